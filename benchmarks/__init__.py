"""Measurements that can be repeated: `python3 launch.py bench [group …] [--json]`."""
