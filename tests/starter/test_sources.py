"""Where the starter model's data come from, and their licences."""

from __future__ import annotations

import re

import pytest

from tools.starter.config import MODEL_FOLDER
from tools.starter.fetch import SOURCES, Source, fetch

FREE = {"Apache-2.0", "MIT"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.key)
def test_every_source_has_a_free_licence_whose_text_lies_beside_the_model(source: Source) -> None:
    assert source.licence in FREE
    text = (MODEL_FOLDER / "licences" / f"{source.key}.txt").read_text(encoding="utf-8")
    words = {"Apache-2.0": "Apache License", "MIT": "Permission is hereby granted"}
    assert words[source.licence] in text
    assert source.name in (MODEL_FOLDER / "NOTICE").read_text(encoding="utf-8")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.key)
def test_every_source_is_pinned_by_version_and_hash(source: Source) -> None:
    assert source.version in source.archive
    assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)


def test_another_archive_than_the_pinned_one_is_refused(tmp_path) -> None:
    source = SOURCES[0]
    (tmp_path / source.archive).write_bytes(b"not the archive")
    with pytest.raises(ValueError, match="sha256"):
        fetch(source, tmp_path)
