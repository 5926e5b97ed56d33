"""Where an extension may come from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.addons.manager.address import folder_name, repository
from modules.requests.errors import RequestError


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("https://github.com/owner/sd-thing", "sd-thing"),
        ("  https://github.com/owner/sd-thing.git/ ", "sd-thing"),
        ("https://codeberg.org/a/b/c.git", "c"),
        ("HTTPS://GitHub.com/owner/Thing", "Thing"),
        ("https://github.com:443/owner/x", "x"),
    ],
)
def test_https_addresses_of_repositories(url, folder):
    found = repository(url)

    assert found.folder == folder
    assert found.url.startswith("https://")
    assert "@" not in found.url


@pytest.mark.parametrize(
    "url",
    [
        "http://github.com/a/b",
        "git@github.com:a/b",
        "ssh://github.com/a/b",
        "git://github.com/a/b",
        "ext::sh -c touch% /tmp/x",
        "file:///etc",
        "/etc/passwd",
        "--upload-pack=touch /tmp/x",
        "https://user:secret@github.com/a/b",
        "https://user@github.com/a/b",
        "https://github.com/a/b?x=1",
        "https://github.com/a/b#x",
        "https://github.com:8443/a/b",
        "https://localhost/a/b",
        "https://printer.local/a/b",
        "https://127.0.0.1/a/b",
        "https://[::1]/a/b",
        "https://2130706433/a/b",
        "https://0x7f.1/a/b",
        "https://github.com/a/../b",
        "https://github.com/a/-b",
        "https://github.com/a b/c",
        "https://github.com/a/b;touch",
        "https://github.com/a/$(x)",
        "https://github.com",
        "https://github.com/",
        "https://-x.com/a/b",
        "https://git hub.com/a",
        "https://github.com/a/b\nx",
        "https://[bad/a",
        "",
    ],
)
def test_everything_else_is_refused_in_one_sentence(url):
    with pytest.raises(RequestError) as refusal:
        repository(url)
    assert "secret" not in refusal.value.sentence


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "a/b", "a\\b", ".git", "-x", "CON", "nul.txt", "a ", "x" * 101, "a.", "é"],
)
def test_folders_that_are_no_names(name):
    with pytest.raises(RequestError):
        folder_name(name)


@pytest.mark.parametrize("branch", ["--upload-pack=x", "a..b", "a b", "x.lock", "-", "a;b"])
def test_branches_that_are_no_names(branch):
    with pytest.raises(RequestError):
        repository("https://github.com/a/b", branch=branch)


@given(st.text(max_size=120))
def test_any_text_is_an_address_or_refused(text):
    try:
        found = repository(text)
    except RequestError:
        return
    assert found.url.startswith("https://")
    assert not set(found.url) & set(" \"'`$;|&<>\n\t\\")
