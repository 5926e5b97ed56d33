"""Content Credentials: written, read again, broken by a change, and silent about the prompt."""

from __future__ import annotations

import http.server
import io
import stat
import sys
import threading

import pytest
from PIL import Image

from modules.gallery.credentials import CredentialWriter, Making, read_credentials
from modules.gallery.credentials import process as credentials_process
from modules.gallery.credentials.identity import certificate_file, key_file
from modules.gallery.encode import encode_image
from modules.gallery.image_info import read_image_info
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths

TEXT = "a secret garden\nSteps: 3, Sampler: Euler, Seed: 5"
GENERATED = Making("txt2img", "easel 1.2.3", "starter", "0123456789")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return Paths.from_flags(parse_flags(["--data-dir", str(tmp_path_factory.mktemp("data"))]))


def picture(file_format="png", text=TEXT, seal=None):
    image = Image.linear_gradient("L").convert("RGB").resize((96, 64))
    return encode_image(image, file_format, text, seal=seal).data


@pytest.fixture(scope="module")
def signed(paths):
    return picture(seal=CredentialWriter(paths, GENERATED))


@pytest.mark.parametrize("file_format", ["png", "jpg", "webp"])
def test_a_signed_picture_says_that_it_was_generated_and_by_what(paths, file_format):
    data = picture(file_format, seal=CredentialWriter(paths, GENERATED))
    report = read_credentials(data, paths)
    assert report.state == "own"
    assert report.ai
    assert (report.generator, report.model, report.model_hash) == (
        "Easel 1.2.3",
        "starter",
        "0123456789",
    )
    assert report.actions == ("c2pa.created",)
    assert report.problems == ()
    assert read_image_info(data).text == TEXT


def test_one_changed_byte_breaks_the_signature(paths, signed):
    at = signed.index(b"secret garden")
    changed = signed[:at] + b"public" + signed[at + 6 :]
    report = read_credentials(changed, paths)
    assert report.state == "broken"
    assert "assertion.dataHash.mismatch" in report.problems


def test_an_edited_picture_names_its_source_and_keeps_what_it_said(paths, signed):
    edited = Making("img2img", "easel 1.2.3", "starter", "0123456789", source=signed)
    report = read_credentials(picture(seal=CredentialWriter(paths, edited)), paths)
    assert report.state == "own"
    assert report.actions == ("c2pa.opened", "c2pa.edited")
    assert report.sources == ("Source",)
    assert report.ai
    enlarged = Making("extras", "easel 1.2.3", source=signed)
    report = read_credentials(picture(seal=CredentialWriter(paths, enlarged)), paths)
    assert report.ai, "its source was generated, and the credentials in it say so"


def test_the_credentials_hold_no_prompt_no_path_and_no_name(paths):
    data = picture(text="", seal=CredentialWriter(paths, GENERATED))
    for word in (b"secret", str(paths.data).encode(), b"Seed"):
        assert word not in data


def test_the_key_is_readable_by_its_owner_alone(paths, signed):
    assert b"PRIVATE KEY" in key_file(paths).read_bytes()
    assert b"PRIVATE" not in certificate_file(paths).read_bytes()
    assert certificate_file(paths).read_bytes().count(b"BEGIN CERTIFICATE") == 2
    if sys.platform != "win32":
        assert stat.S_IMODE(key_file(paths).stat().st_mode) == 0o600
        assert stat.S_IMODE(key_file(paths).parent.stat().st_mode) == 0o700


def test_another_installation_sees_an_intact_signature_that_is_not_its_own(signed, tmp_path):
    other = Paths.from_flags(parse_flags(["--data-dir", str(tmp_path)]))
    report = read_credentials(signed, other)
    assert (report.state, report.signer) == ("intact", "Easel, self-signed")
    assert not (tmp_path / "credentials").exists(), "reading makes no key"


@pytest.mark.parametrize(
    "data",
    [picture(), b"", b"c2pa", b"\x89PNG\r\n\x1a\n" + b"c2pa" * 50, b"\xff\xd8\xff" + b"c2pa" * 50],
)
def test_pictures_without_credentials_and_rubbish_are_told_apart_from_good_ones(paths, data):
    assert read_credentials(data, paths).state in ("none", "broken")


def test_a_process_that_dies_costs_a_note_and_no_picture(paths, monkeypatch):
    monkeypatch.setattr(credentials_process, "_SCRIPT", paths.data / "missing.py")
    encoded = encode_image(
        Image.new("RGB", (8, 8)), "png", TEXT, seal=CredentialWriter(paths, GENERATED)
    )
    assert "carries no Content Credentials" in encoded.note
    assert read_image_info(encoded.data).text == TEXT


def test_a_manifest_that_lies_elsewhere_is_not_fetched(paths):
    """A picture may name an address for its credentials; looking at it must tell nobody."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/manifest"
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{address}"/>'
        "</rdf:RDF></x:xmpmeta>"
    )
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, "JPEG", xmp=xmp.encode())
    report = read_credentials(buffer.getvalue(), paths)
    server.shutdown()
    server.server_close()
    assert report.state in ("none", "broken")
    assert asked == []
