"""Start Easel: make its environment when that is needed, then run a command in it.

`python3 launch.py` serves the page; `python3 launch.py help` lists the other commands. This file
must stay readable for any Python, so that an unsuitable one gets a sentence and not a traceback;
everything else is in modules/setup, which uses the standard library only.
"""

import sys

OLDEST = (3, 10)
NEWEST = (3, 12)


def python_complaint(version):
    """Return what is wrong with a Python of this version tuple, as one sentence, or None."""
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        return None
    too = "old" if tuple(version[:2]) < OLDEST else "new"
    return (
        "Easel needs Python 3.10, 3.11 or 3.12, and this one is too "
        + too
        + " (Python "
        + ".".join(str(part) for part in version[:3])
        + "): run launch.py again with python3.11, or install it from https://www.python.org first."
    )


def main():
    """Check the interpreter, then hand over to modules/setup."""
    complaint = python_complaint(sys.version_info)
    if complaint:
        sys.stderr.write(complaint + "\n")
        return 1
    from modules.setup.command import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
