"""The HTTP API: A1111's ``/sdapi/v1``, its ``/internal`` routes, and ``/easel/v1`` for the page."""
