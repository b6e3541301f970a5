"""Requests against a CA that misbehaves: nonces, repetition, limits."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from acmectl import workers
from acmectl.ca import accounts, orders
from acmectl.ca.session import Session
from acmectl.errors import CAProtocolError, CARefused, CAUnreachable, Interrupted, RateLimited
from acmectl.model.names import Identifier
from acmectl.model.orders import OrderStatus
from tests.servers.faults import FaultyCA, Reply, problem, running_faults
from tests.servers.pebble import free_ports
from tests.unit.ca.conftest import FakeTime

A = Identifier("a.example.com")
NEW_ORDER = "POST /new-order"
ORDER = "POST /order/1"


def created(ca: FaultyCA) -> Reply:
    return Reply(201, ca.order(), {"Location": f"{ca.base}/order/1"})


def short_session(ca: FaultyCA, key: ec.EllipticCurvePrivateKey, *, seconds: float) -> Session:
    limit = timedelta(seconds=seconds)
    return Session(ca.directory_url, key=key, account_url=f"{ca.base}/account/1", request_limit=limit)


def test_badnonce_is_retried_ten_times_each_signed_anew_with_the_nonce_of_the_reply(
    ca: FaultyCA, session: Session
) -> None:
    given = [ca.fresh_nonce() for _ in range(10)]
    ca.script(NEW_ORDER, *(Reply(400, problem(400, "badNonce").body, nonce=nonce) for nonce in given), created(ca))

    order = orders.new_order(session, [A], profile=None)

    assert order.status is OrderStatus.PENDING
    used = [r.protected["nonce"] for r in ca.asked(NEW_ORDER)]
    assert used[1:] == given
    assert len(set(used)) == 11
    assert len(ca.asked("HEAD /new-nonce")) == 1


def test_the_eleventh_badnonce_is_an_error(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    ca.script(NEW_ORDER, problem(400, "badNonce", "no good"))

    with pytest.raises(CARefused, match="badNonce"):
        orders.new_order(session, [A], profile=None)

    assert len(ca.asked(NEW_ORDER)) == 11
    assert time.pauses == []


@pytest.mark.parametrize("nonce", ["", "a b", "ä", "bm9uY2V"])
def test_a_reply_without_a_usable_nonce_makes_us_ask_for_one(ca: FaultyCA, session: Session, nonce: str) -> None:
    ca.script(NEW_ORDER, Reply(400, problem(400, "badNonce").body, nonce=nonce), created(ca))

    orders.new_order(session, [A], profile=None)

    assert len(ca.asked("HEAD /new-nonce")) == 2


def test_newnonce_without_a_nonce_is_a_protocol_error(ca: FaultyCA, session: Session) -> None:
    ca.script("HEAD /new-nonce", Reply(nonce=""))

    with pytest.raises(CAProtocolError, match="Replay-Nonce"):
        orders.new_order(session, [A], profile=None)


def test_each_nonce_is_used_once_by_sixteen_threads(ca: FaultyCA, session: Session) -> None:
    ca.script(ORDER, Reply(body=ca.order()))
    url = f"{ca.base}/order/1"
    threads = [threading.Thread(target=lambda: orders.fetch_order(session, url)) for _ in range(16)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    nonces = [r.protected["nonce"] for r in ca.asked(ORDER)]
    assert len(nonces) == len(set(nonces)) == 16
    assert len(ca.asked("GET /directory")) == 1


def test_a_server_error_is_retried_with_growing_pauses(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    broken = Reply(502, b"<html>bad gateway</html>", {"Content-Type": "text/html"})
    ca.script(NEW_ORDER, broken, broken, broken, broken, created(ca))

    orders.new_order(session, [A], profile=None)

    assert time.pauses == [1, 2, 4, 8]
    assert session.requests["newOrder"] == 5


def test_a_server_error_that_stays_is_unreachable_with_its_own_words(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, problem(500, "serverInternal", "the database is down"))

    with pytest.raises(CAUnreachable) as caught:
        orders.new_order(session, [A], profile=None)

    assert "500" in caught.value.message
    assert "the database is down" in caught.value.message
    assert len(ca.asked(NEW_ORDER)) == 5


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "30"},
        {"Retry-After": "Fri, 01 May 2026 12:00:30 GMT"},
        {"Retry-After": "Sat, 01 May 2027 12:00:30 GMT", "Date": "Sat, 01 May 2027 12:00:00 GMT"},
    ],
    ids=["seconds", "date", "date of a CA whose clock differs"],
)
def test_a_503_is_waited_for_as_long_as_it_asks(
    ca: FaultyCA, session: Session, time: FakeTime, headers: dict[str, str]
) -> None:
    ca.script(NEW_ORDER, Reply(503, b"", {"Date": ""} | headers), created(ca))

    orders.new_order(session, [A], profile=None)

    assert time.pauses == [30]


def test_a_503_that_asks_for_an_hour_goes_to_the_caller_at_once(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    ca.script(NEW_ORDER, Reply(503, b"", {"Retry-After": "3600"}))

    with pytest.raises(CAUnreachable) as caught:
        orders.new_order(session, [A], profile=None)

    assert caught.value.retry_after == timedelta(hours=1)
    assert time.pauses == []


def test_a_429_on_a_new_order_is_raised_and_not_slept_through(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    detail = 'too many failed authorizations (5) for "a.example.com" in the last 1h0m0s'
    headers = {"Retry-After": "20", "Date": "Fri, 01 May 2026 12:00:00 GMT"}
    ca.script(NEW_ORDER, problem(429, "rateLimited", detail, headers=headers))

    with pytest.raises(RateLimited) as caught:
        orders.new_order(session, [A], profile=None)

    assert caught.value.retry_after == timedelta(seconds=20)
    assert caught.value.problem.status == 429
    assert caught.value.problem.detail == detail
    assert "2026-05-01 12:00:20 UTC" in str(caught.value.hint)
    assert time.pauses == []


def test_a_429_on_a_poll_is_waited_for(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    ca.script(ORDER, problem(429, "rateLimited", headers={"Retry-After": "7"}), Reply(body=ca.order("ready")))

    assert orders.fetch_order(session, f"{ca.base}/order/1").status is OrderStatus.READY
    assert time.pauses == [7]


def test_a_429_on_a_poll_that_asks_for_an_hour_is_raised(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    ca.script(ORDER, problem(429, "rateLimited", headers={"Retry-After": "3600"}))

    with pytest.raises(RateLimited):
        orders.fetch_order(session, f"{ca.base}/order/1")

    assert time.pauses == []


def test_a_429_without_json_is_still_a_rate_limit(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, Reply(429, b"<html>slow down</html>", {"Content-Type": "text/html", "Retry-After": "99"}))

    with pytest.raises(RateLimited) as caught:
        orders.new_order(session, [A], profile=None)

    assert caught.value.retry_after == timedelta(seconds=99)


def test_a_paused_identifier_names_the_page_where_a_person_can_lift_it(ca: FaultyCA, session: Session) -> None:
    detail = "Your account is temporarily prevented: visit https://ca.example/unpause?jwt=abc."
    ca.script(NEW_ORDER, problem(429, "rateLimited", detail))

    with pytest.raises(RateLimited) as caught:
        orders.new_order(session, [A], profile=None)

    assert caught.value.retry_after is None
    assert "`https://ca.example/unpause?jwt=abc`" in str(caught.value.hint)


def test_a_rate_limit_without_any_advice_sends_a_person(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, problem(429, "rateLimited", "no more"))

    with pytest.raises(RateLimited) as caught:
        orders.new_order(session, [A], profile=None)

    assert "a person" in str(caught.value.hint)


def test_a_kept_connection_that_the_server_closes_is_retried_at_once(
    ca: FaultyCA, session: Session, time: FakeTime
) -> None:
    ca.script(NEW_ORDER, Reply(cut="head"), created(ca))

    orders.new_order(session, [A], profile=None)

    assert time.pauses == []
    used = [r.protected["nonce"] for r in ca.asked(NEW_ORDER)]
    assert len(set(used)) == 2


def test_a_line_that_is_cut_again_is_retried_with_pauses(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    cut = Reply(cut="head")
    ca.script(NEW_ORDER, cut, cut, cut, created(ca))

    orders.new_order(session, [A], profile=None)

    assert time.pauses == [1, 2]


def test_an_answer_that_breaks_off_in_the_middle_is_asked_for_again(ca: FaultyCA, session: Session) -> None:
    ca.script(ORDER, Reply(body=ca.order(), cut="body"), Reply(body=ca.order("ready")))

    assert orders.fetch_order(session, f"{ca.base}/order/1").status is OrderStatus.READY


def test_nobody_listening_is_unreachable_after_four_pauses(key: ec.EllipticCurvePrivateKey, time: FakeTime) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}/directory"
    session = Session(url, key=key, pauses=time.pause, monotonic=time.monotonic, now=time.now)
    with session, pytest.raises(CAUnreachable) as caught:
        _ = session.directory

    assert caught.value.message == f"cannot reach `{url}`: connection refused"
    assert time.pauses == [1, 2, 4, 8]


@pytest.mark.parametrize(
    "url", ["", "directory", "ftp://127.0.0.1/x", "https://", "http://[::1", "https://a..b/x", "http://\0/"]
)
def test_a_text_that_is_no_url_is_an_error_of_ours(url: str, time: FakeTime) -> None:
    with Session(url, pauses=time.pause) as session, pytest.raises(CAUnreachable):
        _ = session.directory


@pytest.mark.parametrize("drip", ["head", "body"])
def test_a_dripping_server_is_cut_off(key: ec.EllipticCurvePrivateKey, ca: FaultyCA, drip: str) -> None:
    ca.script("GET /directory", Reply(body=ca.directory, drip="head" if drip == "head" else "body"))
    begin = datetime.now(UTC)

    with short_session(ca, key, seconds=0.5) as session, pytest.raises(CAUnreachable) as caught:
        _ = session.directory

    assert datetime.now(UTC) - begin < timedelta(seconds=3)
    assert "within 0.5 s" in caught.value.message
    assert len(ca.asked("GET /directory")) == 1


def test_the_thread_of_a_dripping_body_ends_by_itself(key: ec.EllipticCurvePrivateKey, ca: FaultyCA) -> None:
    ca.script("GET /directory", Reply(body=ca.directory, drip="body"))
    name = f"GET {ca.directory_url}"

    with short_session(ca, key, seconds=0.3) as session, pytest.raises(CAUnreachable):
        _ = session.directory

    left_behind = [thread for thread in threading.enumerate() if thread.name == name]
    for thread in left_behind:
        thread.join(5)
    assert not any(thread.is_alive() for thread in left_behind)


def test_a_huge_body_is_not_read(ca: FaultyCA, session: Session) -> None:
    ca.script("GET /directory", Reply(body=ca.directory, filler=20_000_000))

    with pytest.raises(CAProtocolError, match="larger than 1000000 bytes"):
        _ = session.directory


@pytest.mark.parametrize("path", ["GET /directory", NEW_ORDER])
def test_a_huge_body_of_a_redirect_is_not_read_either(ca: FaultyCA, session: Session, path: str) -> None:
    ca.script(path, Reply(302, b"", {"Location": "/elsewhere"}, filler=20_000_000))

    with pytest.raises(CAProtocolError, match="larger than 1000000 bytes"):
        orders.new_order(session, [A], profile=None)


def test_a_body_just_below_the_limit_is_read(ca: FaultyCA, session: Session) -> None:
    length = len(json.dumps(ca.directory))
    ca.script("GET /directory", Reply(body=ca.directory, filler=1_000_000 - length))

    assert session.directory.url == ca.directory_url


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_a_post_is_not_followed(ca: FaultyCA, session: Session, status: int) -> None:
    ca.script(NEW_ORDER, Reply(status, b"", {"Location": f"{ca.base}/elsewhere"}))
    ca.script("GET /elsewhere", created(ca))
    ca.script("POST /elsewhere", created(ca))

    with pytest.raises(CAProtocolError, match="redirects to"):
        orders.new_order(session, [A], profile=None)

    assert not ca.asked("GET /elsewhere") + ca.asked("POST /elsewhere")


def test_a_redirect_of_the_directory_is_followed(ca: FaultyCA, session: Session) -> None:
    ca.script("GET /directory", Reply(302, b"", {"Location": "/moved"}))
    ca.script("GET /moved", Reply(body=ca.directory))

    assert session.directory.endpoint("newOrder") == f"{ca.base}/new-order"


def test_a_redirect_to_no_url_is_a_protocol_error(ca: FaultyCA, session: Session) -> None:
    ca.script("GET /directory", Reply(302, b"", {"Location": "http://[::1"}))

    with pytest.raises(CAProtocolError, match="is no URL"):
        _ = session.directory


def test_redirects_in_a_circle_end(ca: FaultyCA, session: Session) -> None:
    ca.script("GET /directory", Reply(302, b"", {"Location": "/directory"}))

    with pytest.raises(CAProtocolError, match="too many redirects"):
        _ = session.directory

    assert len(ca.asked("GET /directory")) == 6


def test_one_user_agent_names_us_and_the_library(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, created(ca))
    orders.new_order(session, [A], profile=None)

    agents = {r.headers["User-Agent"] for r in ca.requests}

    assert len(ca.requests) == 3
    assert len(agents) == 1
    assert agents.pop().startswith("acmectl/")


def test_a_netrc_is_not_read(ca: FaultyCA, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    ca.script(NEW_ORDER, created(ca))

    orders.new_order(session, [A], profile=None)

    assert all("Authorization" not in r.headers for r in ca.requests)


def test_a_proxy_of_the_environment_is_used_and_resolved_once(
    ca: FaultyCA, key: ec.EllipticCurvePrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_faults() as proxy:
        proxied = "http://ca.example.net/directory"
        proxy.script(f"GET {proxied}", Reply(body=ca.directory))
        proxy.script(f"HEAD {ca.base}/new-nonce", Reply())
        proxy.script(f"POST {ca.base}/new-order", created(ca))
        for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", proxy.base)
        with Session(proxied, key=key, account_url=f"{ca.base}/account/1") as session:
            _ = session.directory
            monkeypatch.delenv("http_proxy")
            orders.new_order(session, [A], profile=None)

        assert len(proxy.requests) == 3
        assert ca.requests == []


def test_no_proxy_is_asked_for_a_ca_on_loopback(
    ca: FaultyCA, key: ec.EllipticCurvePrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca.script(NEW_ORDER, created(ca))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_ports(1)[0]}")
    with Session(ca.directory_url, key=key, account_url=f"{ca.base}/account/1") as session:
        assert orders.new_order(session, [A], profile=None).status is OrderStatus.PENDING


def test_a_proxy_that_is_not_there_is_named_with_its_setting(monkeypatch: pytest.MonkeyPatch, time: FakeTime) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://somebody:secret@127.0.0.1:{free_ports(1)[0]}")
    with (
        Session("http://ca.example.net/directory", pauses=time.pause) as session,
        pytest.raises(CAUnreachable) as caught,
    ):
        _ = session.directory

    assert "proxy" in caught.value.message
    assert "secret" not in caught.value.message + str(caught.value.hint)


@pytest.mark.parametrize(
    "ask",
    [
        lambda session, _: orders.new_order(session, [A], profile=None),
        orders.fetch_order,
        orders.fetch_authorization,
        orders.deactivate_authorization,
        lambda session, _: accounts.fetch(session),
        lambda session, _: accounts.find(session),
    ],
    ids=["new_order", "fetch_order", "fetch_authorization", "deactivate", "fetch", "find"],
)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"3", b'"text"', b'{"status": 3}', b"\xff\xfe", b"[" * 100_000, b"<html>hello</html>"],
    ids=["nothing", "cut off", "list", "null", "number", "text", "odd status", "binary", "deep", "html"],
)
def test_odd_answers_are_protocol_errors(
    ca: FaultyCA, session: Session, ask: Callable[[Session, str], object], body: bytes
) -> None:
    for path in ("/new-order", "/order/1", "/account/1", "/new-account"):
        ca.script(f"POST {path}", Reply(200, body, {"Location": f"{ca.base}/order/1"}))

    with pytest.raises(CAProtocolError, match=r"http://127\.0\.0\.1:"):
        ask(session, f"{ca.base}/order/1")


def test_a_worker_does_not_wait_for_a_reply_once_its_pool_was_given_up(
    ca: FaultyCA, key: ec.EllipticCurvePrivateKey
) -> None:
    outcomes: list[BaseException] = []
    ca.script(ORDER, Reply(body=ca.order(), filler=10_000, drip="body"))  # for minutes

    def work(item: str) -> None:
        if item == "defect":
            until = threading.Event()
            while not ca.asked(ORDER):
                until.wait(0.01)  # bounded polling for a condition: by the timeout of the test
            raise ZeroDivisionError
        try:
            orders.fetch_order(session, f"{ca.base}/order/1")
        except BaseException as error:
            outcomes.append(error)
            raise

    started = monotonic()
    with short_session(ca, key, seconds=60) as session, pytest.raises(ZeroDivisionError):
        workers.each(["request", "defect"], work, workers=2)

    assert [type(error) for error in outcomes] == [Interrupted]
    assert monotonic() - started < 20
