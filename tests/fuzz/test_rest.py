"""Whatever a request holds that OpenAPI allows, or nearly: no error of ours comes back."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.rest import operations, rest_target, rest_without_engine

EXAMPLES = 250


@pytest.fixture(scope="module")
def rest(tmp_path_factory):
    with rest_without_engine(tmp_path_factory.mktemp("fuzz")) as made:
        yield made


def test_no_request_gets_an_error_of_ours(rest):
    assert len(operations(rest.openapi)) > 70
    target = rest_target(rest)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.given)
    def requests(how: dict) -> None:
        target.act(how)

    requests()
