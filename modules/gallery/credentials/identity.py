"""The key that this installation signs with: made at first use, kept in the data folder."""

from __future__ import annotations

import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from modules.gallery.credentials.process import CredentialsError, ask
from modules.settings import atomic
from modules.settings.paths import Paths

FOLDER = "credentials"
ORGANIZATION = "Easel, self-signed"
NAME = "An installation of Easel"
ROOT = "An installation of Easel, root"
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Identity:
    """PEM texts: the certificate with its root behind it, and the private key."""

    certificate: bytes
    key: bytes


def certificate_file(paths: Paths) -> Path:
    """Where the certificate lies; it holds no name and may be given away."""
    return paths.data / FOLDER / "certificate.pem"


def key_file(paths: Paths) -> Path:
    """Where the private key lies, which nobody else may read."""
    return paths.data / FOLDER / "key.pem"


def own_certificate(paths: Paths) -> bytes:
    """The certificate with its root; nothing when there is none yet."""
    try:
        return certificate_file(paths).read_bytes()
    except OSError:
        return b""


def identity(paths: Paths) -> Identity:
    """The key of this installation; the first call makes it.

    Raises:
        CredentialsError: it cannot be made, kept or read.
    """
    with _LOCK:
        try:
            kept = _read(paths)
            return kept if kept is not None else _make(paths)
        except OSError as error:
            reason = error.strerror or "the system refuses"
            sentence = f"The key for Content Credentials cannot be kept: {reason}."
            raise CredentialsError(sentence) from None


def _read(paths: Paths) -> Identity | None:
    certificate, key = certificate_file(paths), key_file(paths)
    if not certificate.exists() or not key.exists():
        return None
    return Identity(certificate.read_bytes(), key.read_bytes())


def _make(paths: Paths) -> Identity:
    _, parts = ask("certificate", organization=ORGANIZATION, name=NAME, root=ROOT)
    folder = paths.data / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_private(key_file(paths), parts["key"])
    atomic.write_bytes(certificate_file(paths), parts["certificate"])
    return Identity(parts["certificate"], parts["key"])


def _write_private(path: Path, data: bytes) -> None:
    """Readable by its owner alone from the first moment; mkstemp makes files so."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".key.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
