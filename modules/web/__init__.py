"""Everything that speaks HTTP: the gate, the REST API, the live channel, files and the page."""
