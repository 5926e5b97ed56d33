"""Option table, command-line flags, paths, atomic storage. Imports nothing of the other rooms."""
