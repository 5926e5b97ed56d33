"""What a process may still do while it looks at a file from outside.

Nothing here imports anything but the standard library, and nothing of ours: it runs in the small
processes that read strangers' files.
"""
