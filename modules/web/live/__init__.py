"""The live channel: one WebSocket on which a page hears everything that happens."""
