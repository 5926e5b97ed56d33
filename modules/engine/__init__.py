"""Everything that imports torch; runs in the engine process only."""
