"""`launch.py selftest`: every capability once, on tiny random models made on the spot."""
