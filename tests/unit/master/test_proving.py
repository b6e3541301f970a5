"""Proving at a CA that does not decide, and with a solver that cannot publish."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl import keys
from acmectl.ca import accounts
from acmectl.ca.orders import new_order
from acmectl.ca.session import Session
from acmectl.errors import SolverError
from acmectl.master.books import Books
from acmectl.master.proving import Prover
from acmectl.model.certificates import KeyType
from acmectl.model.names import Identifier
from acmectl.model.orders import Order
from acmectl.policy.refresh import Wanted
from acmectl.sandbox.validation import HttpTarget
from acmectl.solvers.base import Capabilities, Response
from acmectl.storage.memory import Memory
from tests.servers.sandbox import running_sandbox

NAMES = tuple(Wanted(Identifier(f"{letter}.test"), "default", None, "web") for letter in "abcde")
TIMEOUT = timedelta(minutes=3)


class Time:
    """A clock that only pauses move."""

    seconds = 0.0

    def pause(self, seconds: float) -> None:
        self.seconds += seconds

    def monotonic(self) -> float:
        return self.seconds


class Nothing:
    """A solver that publishes nothing; where it is `broken` it says so."""

    capabilities = Capabilities(("http-01",), wildcard=False)

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken

    def publish(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:
        return dict.fromkeys(responses, SolverError("no such directory")) if self.broken else {}

    def seen(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:  # noqa: ARG002  # sees all
        return {}

    def remove(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:
        return self.publish(responses)


@contextmanager
def proving(directory: Path, solver: Nothing) -> Iterator[tuple[Prover, Order, Time]]:
    """An order at a CA whose validation gets no answer, and a prover with one thread."""
    time, memory = Time(), Memory(directory / "state.db")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = HttpTarget(silent.getsockname()[1], "127.0.0.1")
        with (
            running_sandbox(directory, http_target=target) as ca,
            Session(
                ca.directory_url,
                key=keys.generate(KeyType.ECDSA_P256),
                ca_bundle=ca.ca_bundle,
                pauses=time.pause,
                monotonic=time.monotonic,
            ) as session,
        ):
            accounts.register(session, contact=(), terms_agreed=True)
            books = Books(memory, directory_url="https://ca.test/directory", new_orders=300)
            prover = Prover(session, lambda _: solver, workers=1, books=books, timeout=TIMEOUT)
            yield prover, new_order(session, [w.identifier for w in NAMES], profile="classic"), time
    memory.close()


def test_names_that_hang_share_the_time_of_their_order(tmp_path: Path) -> None:
    with proving(tmp_path, Nothing()) as (prover, order, time):
        proven, errors = prover.prove([(order, NAMES)])
    assert (proven, set(errors)) == ({}, set(NAMES))
    assert time.seconds <= TIMEOUT.total_seconds() + 10


def test_names_of_an_order_that_cannot_become_ready_share_a_time_as_well(tmp_path: Path) -> None:
    other = Wanted(Identifier("of.another.order.test"), "default", None, "web")
    with proving(tmp_path, Nothing()) as (prover, order, time):
        _, errors = prover.prove([(order, (*NAMES, other))])
    assert set(errors) == {*NAMES, other}
    assert time.seconds <= TIMEOUT.total_seconds() + 10


def test_what_was_never_published_is_not_warned_of_when_it_cannot_be_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with proving(tmp_path, Nothing(broken=True)) as (prover, order, _):
        _, errors = prover.prove([(order, NAMES)])
    assert {error.message for error in errors.values()} == {"no such directory"}
    said = [record.levelname for record in caplog.records if "left behind" in record.getMessage()]
    assert said == ["INFO"] * len(NAMES)
