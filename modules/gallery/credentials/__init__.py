"""Content Credentials (C2PA): a signed note in a picture's file that says it was generated.

The work is done by c2pa-python in a process of its own (`child.py`), which has limits and can be
lost: it reads files of strangers. Nothing here connects to anything.
"""

from modules.gallery.credentials.manifest import Making
from modules.gallery.credentials.process import CredentialsError
from modules.gallery.credentials.report import Report, read_credentials
from modules.gallery.credentials.signing import CredentialWriter

__all__ = ["CredentialWriter", "CredentialsError", "Making", "Report", "read_credentials"]
