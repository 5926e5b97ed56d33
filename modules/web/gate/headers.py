"""The headers that every answer carries, and the page's content security policy."""

from __future__ import annotations

import base64
import hashlib
import re

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
)

STRICT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""For everything that is not the page: nothing in it may run."""

_INLINE_SCRIPT = re.compile(rb"<script(?P<attributes>[^>]*)>(?P<body>.*?)</script>", re.S | re.I)
_EXTERNAL = re.compile(
    rb"<script[^>]*\ssrc=[\"']https?://[^>]*>\s*</script>|<link[^>]*\shref=[\"']https?://[^>]*>",
    re.I,
)


def page_policy(html: bytes, evaluates: bool = False) -> str:
    """The policy of the Gradio page.

    Its own inline scripts are allowed by their hashes, nothing else inline runs, and no text
    becomes a script: what Gradio would evaluate comes from ``/easel/trusted.js``. Only a page with
    templates that need it ``evaluates``. ``connect-src 'self'`` also means that the page cannot
    talk to any other machine.
    """
    hashes = " ".join(f"'sha256-{digest}'" for digest in inline_script_hashes(html))
    evaluation = " 'unsafe-eval'" if evaluates else ""
    return (
        "default-src 'self'; "
        f"script-src 'self' {hashes}{evaluation}; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "media-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-src 'none'; "
        "frame-ancestors 'none'"
    )


def inline_script_hashes(html: bytes) -> list[str]:
    """SHA-256 hashes, as a policy writes them, of the scripts inside a page."""
    found = []
    for match in _INLINE_SCRIPT.finditer(html):
        if re.search(rb"\ssrc\s*=", match["attributes"], re.I):
            continue
        # A browser hashes the text after turning CR LF into LF.
        body = match["body"].replace(b"\r\n", b"\n")
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")
        if digest not in found:
            found.append(digest)
    return found


def without_external_parts(html: bytes) -> bytes:
    """The page without scripts and links that would fetch something from another machine."""
    return _EXTERNAL.sub(b"", html)
