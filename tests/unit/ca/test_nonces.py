from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from acmectl.ca.nonces import AT_ONCE, Nonces


def test_the_freshest_nonce_goes_out_first_and_only_once() -> None:
    nonces = Nonces(lambda: "fetched")
    nonces.add("older")
    nonces.add("newer")

    assert [nonces.take() for _ in range(3)] == ["newer", "older", "fetched"]


def test_at_most_four_threads_ask_at_once() -> None:
    everybody_there = threading.Event()
    lock = threading.Lock()
    asking = most = 0

    def fetch() -> str:
        nonlocal asking, most
        with lock:
            asking += 1
            most = max(most, asking)
            if asking == AT_ONCE:
                everybody_there.set()
        assert everybody_there.wait(10)
        with lock:
            asking -= 1
        return "nonce"

    nonces = Nonces(fetch)
    with ThreadPoolExecutor(16) as pool:
        taken = [f.result() for f in [pool.submit(nonces.take) for _ in range(16)]]

    assert taken == ["nonce"] * 16
    assert most == AT_ONCE


def test_a_thread_that_waited_takes_what_another_brought_meanwhile() -> None:
    nonces = Nonces(lambda: "fetched")
    blocked = threading.Event()
    go_on = threading.Event()

    def fetch() -> str:
        blocked.set()
        assert go_on.wait(10)
        return "fetched"

    slow = Nonces(fetch)
    with ThreadPoolExecutor(AT_ONCE + 1) as pool:
        asking = [pool.submit(slow.take) for _ in range(AT_ONCE)]
        assert blocked.wait(10)
        slow.add("brought")
        late = pool.submit(slow.take)
        assert late.result(10) == "brought"
        go_on.set()
        assert {f.result(10) for f in asking} == {"fetched"}
    assert nonces.take() == "fetched"
