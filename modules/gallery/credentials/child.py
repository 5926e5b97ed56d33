"""Signs and reads Content Credentials in a process of its own; a script that knows nothing of us.

One task comes over stdin and one answer goes to stdout: a line of JSON whose ``sizes`` say how many
bytes of which part follow. The private key travels this way too and is in no command line.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import sys
from typing import Any

Parts = dict[str, bytes]

SECONDS = 30
MEMORY = 4 * 1024**3
YEARS = 30
"""A signature without a timestamp ends with its certificate."""
QUIET = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
    "builder": {"thumbnail": {"enabled": False}},
    "cawg_trust": {"verify_trust_list": False},
}
"""Nothing is fetched, and no small copy of the picture or of what it was made from is put in."""

OTHER_USES = (
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
"""What the keys are not for."""


def main() -> None:
    """Answer the one task."""
    _limit()
    task, parts = _received(sys.stdin.buffer)
    # The library may print; the answer must stay readable.
    out = os.dup(1)
    os.dup2(2, 1)
    try:
        answer, given = TASKS[task["task"]](task, parts)
    except Exception as error:  # whatever the library raises is the answer
        answer, given = {"error": f"{type(error).__name__}: {error}"[:500]}, {}
    answer["sizes"] = {name: len(part) for name, part in given.items()}
    with os.fdopen(out, "wb") as stream:
        stream.write(json.dumps(answer).encode("ascii") + b"\n")
        for part in given.values():
            stream.write(part)
    # Without the interpreter's and the library's farewell.
    os._exit(0)


def _certificate(task: dict[str, Any], _parts: Parts) -> tuple[dict[str, Any], Parts]:
    """A new key, its certificate, and the root that signed it; the root's own key is forgotten."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    root, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    pem = serialization.Encoding.PEM
    chain = [_issued(task, leaf, root, ca=False), _issued(task, root, root, ca=True)]
    form = serialization.PrivateFormat.PKCS8
    key = leaf.private_bytes(pem, form, serialization.NoEncryption())
    return {}, {"key": key, "certificate": b"".join(one.public_bytes(pem) for one in chain)}


def _issued(task: dict[str, Any], subject: Any, issuer: Any, *, ca: bool) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(common: str) -> x509.Name:
        pairs = ((NameOID.ORGANIZATION_NAME, task["organization"]), (NameOID.COMMON_NAME, common))
        return x509.Name([x509.NameAttribute(key, value) for key, value in pairs])

    now = datetime.datetime.now(datetime.timezone.utc)
    # Only the day, and a little earlier: clocks differ, and the hour is nobody's business.
    begin = now.replace(hour=0, minute=0, second=0, microsecond=0) - datetime.timedelta(days=1)
    usage = dict.fromkeys(OTHER_USES, False)
    key = subject.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(task["root" if ca else "name"]))
        .issuer_name(name(task["root"]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca, 0 if ca else None), True)
        .add_extension(x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, **usage), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), False
        )
    )
    if not ca:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, False)
    return builder.sign(issuer, hashes.SHA256())


def _sign(task: dict[str, Any], parts: Parts) -> tuple[dict[str, Any], Parts]:
    """The picture with a manifest; ``source`` is what it was made from, if anything."""
    import c2pa

    context = c2pa.Context(c2pa.Settings.from_dict(QUIET))
    signer = c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(b"es256", parts["certificate"], parts["key"], None)
    )
    builder = c2pa.Builder(task["manifest"], context=context)
    if "source" in parts:
        builder.add_ingredient(
            json.dumps(task["ingredient"]), task["source_type"], io.BytesIO(parts["source"])
        )
    signed = io.BytesIO()
    builder.sign(signer, task["type"], io.BytesIO(parts["picture"]), signed)
    return {}, {"picture": signed.getvalue()}


def _read(task: dict[str, Any], parts: Parts) -> tuple[dict[str, Any], Parts]:
    """What a picture's manifest says and whether it holds; ``store`` is None without any."""
    import c2pa

    settings: dict[str, Any] = {**QUIET}
    if parts.get("anchors"):
        settings["trust"] = {"trust_anchors": parts["anchors"].decode("ascii")}
    context = c2pa.Context(c2pa.Settings.from_dict(settings))
    try:
        reader = c2pa.Reader(task["type"], io.BytesIO(parts["picture"]), context=context)
    except c2pa.C2paError.ManifestNotFound:
        return {"store": None}, {}
    return {"store": json.loads(reader.json()), "state": reader.get_validation_state()}, {}


TASKS = {"certificate": _certificate, "sign": _sign, "read": _read}


def _received(stream: Any) -> tuple[dict[str, Any], Parts]:
    task = json.loads(stream.readline())
    return task, {name: stream.read(size) for name, size in task["sizes"].items()}


def _limit() -> None:
    """Time and memory that no picture of usual size needs."""
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    main()
