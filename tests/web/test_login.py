"""The login: form, link, cookie, and what happens to those who guess."""

from __future__ import annotations

import re

import pytest

from modules.settings.flags import Flags
from modules.web.exposure import gate_config
from modules.web.gate import Gate
from modules.web.gate.addresses import is_this_machine, network
from modules.web.gate.attempts import FREE_FAILURES, LONGEST_WAIT, Attempts
from modules.web.gate.login import Links, Login
from modules.web.gate.sessions import LIFE_SECONDS, Sessions
from tests.web.test_gate import basic, config, connect, echo
from tests.web.test_gate import call as call_once

SITE = "http://127.0.0.1:7860"
BROWSER = {"accept": "text/html,*/*", "user-agent": "Mozilla/5.0", "sec-fetch-site": "none"}
SCRIPT = {"user-agent": "Mozilla/5.0", "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin"}


class Door:
    """One gate over many requests, as a server has it."""

    def __init__(self, login):
        self.gate = Gate(echo, config(login=login))

    def call(self, *given, **more):
        return call_once(*given, gate=self.gate, **more)

    def log_in(self, form, **headers):
        headers = {"origin": SITE, "accept": "text/html", **headers}
        return self.call("POST", "/easel/login", headers, body=[form])


@pytest.fixture
def door():
    return Door(Login(page_users={"ann": "secret", "李": "密码"}))


def test_a_visitor_gets_the_form_and_a_script_gets_no_dialog(door):
    status, headers, body = door.call(headers=BROWSER)
    assert status == 401
    assert headers["content-type"].startswith("text/html")
    assert "www-authenticate" not in headers
    assert b'name="username"' in body
    assert "script-src" not in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    status, headers, _ = door.call(path="/easel/v1/models", headers=SCRIPT)
    assert status == 401
    assert "www-authenticate" not in headers
    assert "www-authenticate" in door.call(path="/sdapi/v1/options")[1]


def test_the_form_speaks_the_visitors_language(door):
    english = door.call(headers=BROWSER)[2].decode()
    chinese = door.call(headers={**BROWSER, "accept-language": "zh-CN,zh;q=0.9"})[2].decode()
    assert "Log in to Easel" in english
    assert "登录" in chinese


def test_the_form_opens_the_page_and_the_cookie_keeps_it_open(door):
    status, headers, _ = door.log_in(b"username=%E6%9D%8E&password=%E5%AF%86%E7%A0%81")
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    session = {"cookie": cookie.partition(";")[0]}
    assert door.call(headers={**BROWSER, **session})[0] == 200
    assert connect(session, door.gate.config)


def test_a_wrong_login_is_told_in_the_form_without_echoing_it(door):
    status, headers, body = door.log_in(b"username=ann&password=<b>guess")
    assert status == 401
    assert "set-cookie" not in headers
    assert b"not right" in body
    assert b"guess" not in body


@pytest.mark.parametrize("origin", ["https://evil.test", "null", None])
def test_the_form_must_come_from_our_own_page(door, origin):
    answer = door.log_in(b"username=ann&password=secret", origin=origin)
    assert answer[0] == 403


def test_a_form_that_is_none_is_refused(door):
    assert door.log_in(b"x" * 5000)[0] == 413
    assert door.log_in(b"&".join(b"a=1" for _ in range(50)))[0] == 400


def session_of(door):
    headers = door.log_in(b"username=ann&password=secret")[1]
    return {"cookie": headers["set-cookie"].partition(";")[0]}


def test_a_cookie_alone_changes_nothing_without_a_browsers_word_for_it(door):
    session = session_of(door)
    assert door.call("POST", headers=session)[0] == 403
    assert door.call("POST", headers={**session, "origin": SITE})[0] == 200
    assert door.call("POST", headers={**session, "sec-fetch-site": "same-origin"})[0] == 200
    assert door.call("POST", headers=basic("ann:secret"))[0] == 200


def test_logging_out_ends_the_session_for_good(door):
    session = session_of(door)
    status, headers, _ = door.call("POST", "/easel/logout", {**session, "origin": SITE})
    assert status == 303
    assert "Max-Age=0" in headers["set-cookie"]
    assert door.call(headers={**BROWSER, **session})[0] == 401
    assert door.call(headers={**BROWSER, **session_of(door)})[0] == 200


def test_a_link_from_another_site_gets_in_by_asking_again(door):
    """A strict cookie stays at home when another site leads here."""
    foreign = {**BROWSER, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    status, headers, body = door.call(headers={**foreign, "sec-fetch-site": "cross-site"})
    assert status == 200
    assert b'http-equiv="refresh"' in body
    assert "set-cookie" not in headers
    assert door.call(headers={**foreign, "sec-fetch-site": "same-origin"})[0] == 401


def test_a_link_works_once_and_the_next_one_is_announced():
    links = Links()
    door = Door(Login(token="program", links=links))
    told = []
    links.announce = told.append
    first = links.current
    status, headers, _ = door.call(query=f"token={first}".encode(), headers=BROWSER)
    assert status == 303
    assert told == [links.current]
    assert links.current != first
    status, _, body = door.call(query=f"token={first}".encode(), headers=BROWSER)
    assert status == 401
    assert b"has been used" in body
    session = {"cookie": headers["set-cookie"].partition(";")[0]}
    again = door.call(query=f"token={first}".encode(), headers={**BROWSER, **session})
    assert (again[0], again[1]["location"]) == (303, "/")


def test_the_token_of_the_console_serves_programs_and_the_form():
    door = Door(Login(token="program", links=Links()))
    assert door.call(headers={"authorization": "Bearer program"})[0] == 200
    assert door.call(headers=basic(":program"))[0] == 200
    assert b'name="username"' not in door.call(headers=BROWSER)[2]
    assert door.log_in(b"password=program")[0] == 303


def test_guessing_is_slowed_down_and_the_right_password_waits_too(door):
    for _ in range(FREE_FAILURES):
        assert door.call(headers=basic("ann:guess"))[0] == 401
    status, headers, _ = door.call(headers=basic("ann:secret"))
    assert status == 429
    assert int(headers["retry-after"]) >= 1
    status, headers, body = door.log_in(b"username=ann&password=secret")
    assert status == 429
    assert "set-cookie" not in headers
    assert b"Too many wrong logins" in body


def test_guessing_links_and_sockets_counts_too():
    for guess in ({"query": b"token=guess"}, {"headers": {"authorization": "Bearer guess"}}):
        door = Door(Login(token="program", links=Links()))
        answers = [door.call(**guess)[0] for _ in range(FREE_FAILURES + 1)]
        assert answers == [401] * FREE_FAILURES + [429]


def test_someone_who_is_logged_in_is_not_locked_out_by_others_guesses(door):
    session = session_of(door)
    for _ in range(FREE_FAILURES + 1):
        door.call(headers=basic("ann:guess"))
    assert door.call(headers={**BROWSER, **session})[0] == 200


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_each_failure_doubles_the_wait_up_to_a_quarter_of_an_hour():
    clock = Clock()
    attempts = Attempts(clock)
    waits = []
    for _ in range(20):
        attempts.failed("192.0.2.1")
        waits.append(attempts.wait("192.0.2.1"))
    assert waits[: FREE_FAILURES - 1] == [0.0] * (FREE_FAILURES - 1)
    assert waits[FREE_FAILURES - 1 : FREE_FAILURES + 3] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == LONGEST_WAIT
    assert attempts.wait("192.0.2.2") == 0.0
    clock.now += LONGEST_WAIT
    assert attempts.wait("192.0.2.1") == 0.0
    attempts.succeeded("192.0.2.1")
    attempts.failed("192.0.2.1")
    assert attempts.wait("192.0.2.1") == 0.0


def test_a_day_of_guessing_tries_a_hundred_passwords():
    clock = Clock()
    attempts, tried = Attempts(clock), 0
    while clock.now < 1000.0 + 86400.0:
        clock.now += attempts.wait("192.0.2.1")
        attempts.failed("192.0.2.1")
        tried += 1
    assert tried < 120


def test_many_addresses_gain_nothing_but_this_machine_stays_free():
    attempts = Attempts(Clock())
    for number in range(200):
        attempts.failed(f"198.51.100.{number}")
    assert attempts.wait("203.0.113.9") > 0
    assert attempts.wait("127.0.0.1") == 0


def test_a_host_with_many_ipv6_addresses_is_one_client():
    attempts = Attempts(Clock())
    for number in range(FREE_FAILURES):
        attempts.failed(f"2001:db8:1:2::{number:x}")
    assert attempts.wait("2001:db8:1:2:ffff::1") > 0
    assert attempts.wait("2001:db8:1:3::1") == 0
    assert network("::ffff:192.0.2.1") == network("192.0.2.1") == "192.0.2.1"
    assert is_this_machine("::ffff:127.0.0.1")
    assert not is_this_machine("::ffff:192.0.2.1")
    assert not is_this_machine("localhost.evil")


def test_remembered_failures_do_not_grow_without_end():
    attempts = Attempts(Clock())
    for number in range(6000):
        attempts.failed(f"10.{number // 250}.{number % 250}.1")
    assert len(attempts._records) <= 4096


def test_a_cookie_cannot_be_changed_forged_or_used_for_ever():
    clock = Clock()
    sessions = Sessions(now=clock)
    value = sessions.begin(secure=True).partition(";")[0]
    assert sessions.is_valid(value)
    name, _, told = value.partition("=")
    end, nonce, signature = told.split(".")
    for forged in (
        f"{int(end) + 9}.{nonce}.{signature}",
        f"{end}.x.{signature}",
        f"{end}.{nonce}.",
        f"{end}.{nonce}",
        "..",
        "",
        "x" * 9000,
        "é.é.é",
    ):
        assert not sessions.is_valid(f"{name}={forged}")
    assert not Sessions(now=clock).is_valid(value)
    clock.now += LIFE_SECONDS + 1
    assert not sessions.is_valid(value)
    assert "Secure" in sessions.begin(secure=True)


def test_secrets_do_not_show_when_a_login_is_printed():
    login = Login({"ann": "hunter2"}, {"bob": "hunter3"}, token="hunter4", links=Links())
    shown = repr(login) + repr(gate_config(Flags(listen=True, api_auth="bob:hunter3")))
    assert not re.search(r"hunter|secret=|_ended", shown)


def test_behind_a_proxy_its_name_is_ours_only_with_a_login():
    given = {"cors_allow_origins": "https://pictures.example, http://[broken"}
    assert not gate_config(Flags(**given)).hosts.allows("pictures.example")
    hosts = gate_config(Flags(**given, gradio_auth="ann:secret")).hosts
    assert hosts.allows("pictures.example")
    assert not hosts.allows("evil.example")


def test_a_program_with_the_apis_login_does_not_lock_itself_out_elsewhere():
    door = Door(Login(page_users={"ann": "secret"}, api_users={"bob": "other"}))
    for _ in range(FREE_FAILURES * 2):
        assert door.call(path="/internal/sysinfo", headers=basic("bob:other"))[0] == 401
    assert door.call(path="/sdapi/v1/options", headers=basic("bob:other"))[0] == 200


def test_refusals_cannot_fill_the_log(caplog):
    door = Door(Login(page_users={"ann": "secret"}))
    with caplog.at_level("WARNING", "easel.gate"):
        for _ in range(500):
            door.call(path="/x\n2026 forged \x1b[31m line", headers={"host": "evil\r\n"})
    assert len(caplog.records) <= 20
    for record in caplog.records:
        assert record.getMessage().isprintable()


def test_guessing_at_the_socket_counts_too(door):
    for _ in range(FREE_FAILURES):
        assert not connect(basic("ann:guess"), door.gate)
    assert not connect(basic("ann:secret"), door.gate)
    assert connect(basic("ann:secret"), door.gate.config)
