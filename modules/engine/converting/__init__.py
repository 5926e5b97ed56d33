"""One model in another form: a single file, a diffusers folder, fewer or smaller numbers."""
