"""Installing, updating, switching and removing extensions."""
