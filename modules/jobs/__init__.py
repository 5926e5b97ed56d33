"""The durable queue between the doors (page, API, command line) and the engine."""
