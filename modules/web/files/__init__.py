"""Pictures by id; no route of ours ever takes a path."""
