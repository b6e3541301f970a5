from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from acmectl.ca import orders
from acmectl.ca.session import Session
from acmectl.errors import CAUnreachable, KeyMaterialError
from acmectl.model.names import Identifier
from tests.servers.faults import FaultyCA, Reply
from tests.unit.ca.conftest import FakeTime

HEAVY = ("acme", "josepy", "requests", "urllib3", "cryptography", "dns", "rich", "pydantic")


def test_making_a_session_imports_nothing_heavy() -> None:
    program = f"""
import sys
from acmectl.ca import accounts, issuing, orders, proving, session
session.Session("https://ca.example.com/directory").close()
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""


def test_a_session_asks_nothing_until_it_must(ca: FaultyCA, session: Session) -> None:
    assert session.clock_offset is None
    assert session.requests == {}
    assert ca.requests == []


def test_sixteen_threads_read_the_directory_once(ca: FaultyCA, session: Session) -> None:
    threads = [threading.Thread(target=lambda: session.directory) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ca.asked("GET /directory")) == 1


def test_threads_that_wait_for_the_directory_share_its_failure(ca: FaultyCA) -> None:
    ca.script("GET /directory", Reply(502))
    together, never = threading.Barrier(16), threading.Event()
    # Nothing tells that a thread waits for a lock: these pauses leave the other fifteen the time to get there.
    session = Session(ca.directory_url, pauses=lambda _: never.wait(0.1))

    def ask(_: int) -> str:
        together.wait(10)
        with pytest.raises(CAUnreachable) as caught:
            session.directory.endpoint("newOrder")
        return caught.value.message

    with session, ThreadPoolExecutor(16) as pool:
        messages = list(pool.map(ask, range(16)))

    assert len(set(messages)) == 1
    assert len(ca.asked("GET /directory")) == 5, "one attempt, with its four repetitions"


def test_the_clock_of_the_ca_is_learnt_from_its_latest_answer(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    ahead = Reply(body=ca.directory, headers={"Date": "Sat, 01 May 2027 12:00:00 GMT"})
    behind = Reply(body=ca.order(), headers={"Date": "Fri, 01 May 2026 11:00:00 GMT"})
    ca.script("GET /directory", ahead)
    ca.script("POST /order/1", behind)

    _ = session.directory
    assert session.clock_offset == timedelta(days=365)
    assert session.ca_now() == datetime(2027, 5, 1, 12, 0, tzinfo=UTC)

    orders.fetch_order(session, f"{ca.base}/order/1")
    assert session.clock_offset == timedelta(hours=-1)
    assert session.ca_now() == time.now() - timedelta(hours=1)


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 99 May 2026 11:00:00 GMT"])
def test_without_a_date_our_own_clock_counts(ca: FaultyCA, session: Session, time: FakeTime, date: str) -> None:
    ca.script("GET /directory", Reply(body=ca.directory, headers={"Date": date}))

    _ = session.directory

    assert session.clock_offset is None
    assert session.ca_now() == time.now()


def test_requests_are_counted_by_kind_with_every_try(ca: FaultyCA, session: Session) -> None:
    created = Reply(201, ca.order(), {"Location": f"{ca.base}/order/1"})
    ca.script("POST /new-order", Reply(502), created)
    ca.script("POST /order/1", Reply(body=ca.order()))

    order = orders.new_order(session, [Identifier("a.example.com")], profile=None)
    orders.fetch_order(session, order.url)

    assert session.requests == {"directory": 1, "newNonce": 1, "newOrder": 2, "order": 1}


def test_a_counter_that_was_handed_out_does_not_change(session: Session) -> None:
    before = session.requests

    _ = session.directory

    assert before == {}
    assert session.requests == {"directory": 1}


def test_a_closed_session_can_be_used_again(ca: FaultyCA, session: Session) -> None:
    _ = session.directory
    session.close()
    ca.script("POST /order/1", Reply(body=ca.order()))

    assert orders.fetch_order(session, f"{ca.base}/order/1").url == f"{ca.base}/order/1"


def test_a_key_that_cannot_sign_is_refused_before_anything_is_asked(ca: FaultyCA) -> None:
    key = ed25519.Ed25519PrivateKey.generate()

    with Session(ca.directory_url, key=key) as session, pytest.raises(KeyMaterialError):
        _ = session.directory

    assert ca.requests == []
