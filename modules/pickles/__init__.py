"""What lies where in torch's files, found without torch and without running anything in them.

Nothing here imports anything but the standard library: the reader runs in a small process of its
own, with limits, for every file from outside. `modules.pickles.child.examine` is the door.
"""
