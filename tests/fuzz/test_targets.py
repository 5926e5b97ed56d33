"""A few fixed examples for each reader of foreign content; the rest is `launch.py bench fuzz`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.targets import TARGETS, Target


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name.replace(" ", "-"))
def test_foreign_content_is_read_or_refused(target: Target) -> None:
    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.given)
    def examples(content: object) -> None:
        target.act(content)

    examples()
