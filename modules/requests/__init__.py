"""The one description of a job, shared by the page, the REST API, the command line and infotext."""
