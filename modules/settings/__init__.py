"""Option table, command-line flags, paths and atomic storage. Imports nothing from the other rooms."""
