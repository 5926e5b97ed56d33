"""One function per sampling method, named after it."""
