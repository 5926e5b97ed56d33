"""Whatever a request holds that OpenAPI allows, or nearly: no error of ours comes back."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.rest import Rest, operations, requests_for, rest_without_engine

EXAMPLES = 150
SETTINGS = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,
}


@pytest.fixture(scope="module")
def rest(tmp_path_factory):
    with rest_without_engine(tmp_path_factory.mktemp("fuzz")) as made:
        yield made


def check(rest: Rest, how: dict) -> None:
    """One request; nothing may go wrong on our side."""
    answer = rest.send(**how)
    if answer is None:  # it waits for its picture
        return
    unready = answer.status_code == 503 and answer.headers["content-type"] == "application/json"
    assert unready or answer.status_code < 500, (how, answer.status_code, answer.text[:300])
    if answer.headers.get("content-type", "").startswith("application/json"):
        answer.json()
    assert "Traceback" not in answer.text[:5000]


def test_no_request_gets_an_error_of_ours(rest):
    routes = operations(rest.openapi)
    assert len(routes) > 70
    strategies = [requests_for(*route, rest.openapi) for route in routes]

    @settings(max_examples=EXAMPLES, **SETTINGS)
    @given(st.data(), st.integers(0, len(strategies) - 1))
    def requests(data: st.DataObject, number: int) -> None:
        check(rest, data.draw(strategies[number]))

    requests()
