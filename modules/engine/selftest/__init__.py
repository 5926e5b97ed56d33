"""What the self-test needs of the engine: models made on the spot."""
