"""Cards: every model file with its notes, its preview and what it says of itself."""
