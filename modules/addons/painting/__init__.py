"""Scripts of extensions inside the engine's process; the only part of the add-ons with torch."""
