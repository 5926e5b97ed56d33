"""The parts of settling a request: prompts, pictures, further model files, Extras."""
