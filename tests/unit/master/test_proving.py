"""Proving at a CA that does not decide, and with a solver that cannot publish."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl import keys
from acmectl.ca import accounts
from acmectl.ca.orders import new_order
from acmectl.ca.session import Session
from acmectl.dns.endpoints import Endpoint
from acmectl.errors import SolverError
from acmectl.master.attempts import Proven
from acmectl.master.books import Books
from acmectl.master.proving import Prover
from acmectl.model.certificates import KeyType
from acmectl.model.names import Identifier
from acmectl.model.orders import Order
from acmectl.policy.refresh import Wanted
from acmectl.sandbox.validation import HttpTarget
from acmectl.solvers.base import Capabilities, Response
from acmectl.solvers.http_server import ChallengeServer
from acmectl.storage.memory import Memory
from tests.servers.bind import free_port
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
            silent.close()  # or the CA would wait for it to the end of its patience
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


class Answering(Nothing):
    """A solver whose own server answers where the CA looks."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.server = ChallengeServer((Endpoint("127.0.0.1", port),))

    def publish(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:
        self.server.answers = {r.token: r.key_authorization for r in responses}
        self.server.start()
        return {}

    def remove(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:  # noqa: ARG002  # all go
        self.server.stop()
        return {}


@contextmanager
def two_solvers(directory: Path) -> Iterator[Callable[[], tuple[Proven | None, str, str]]]:
    """What comes of a.test in each run, and by which solvers it was tried there: the CA finds nothing by `web`, and all by `other`."""
    port, memory = free_port(), Memory(directory / "state.db")
    solvers = {"web": Nothing(), "other": Answering(port)}
    name = Wanted(Identifier("a.test"), "default", None, "web", ("other",))
    with (
        running_sandbox(directory, http_port=port) as ca,
        Session(ca.directory_url, key=keys.generate(KeyType.ECDSA_P256), ca_bundle=ca.ca_bundle) as session,
    ):
        accounts.register(session, contact=(), terms_agreed=True)

        def run() -> tuple[Proven | None, str, str]:
            books = Books(memory, directory_url=ca.directory_url, new_orders=300)
            prover = Prover(session, solvers.__getitem__, workers=1, books=books, timeout=TIMEOUT)
            order = new_order(session, [name.identifier], profile="classic")
            proven, errors = prover.prove([(order, (name,))])
            (text,) = [e.text for e in memory.events("a.test") if e.kind == "challenge"][-1:]
            return proven.get(name), text, str(errors.get(name, ""))

        yield run
    memory.close()


def test_a_name_that_the_ca_did_not_validate_is_proven_by_its_next_solver_in_the_next_run(tmp_path: Path) -> None:
    with two_solvers(tmp_path) as run:
        proven, tried, error = run()
        assert (proven, "`web`" in tried) == (None, True)
        assert error.startswith("the CA's validation failed: ")
        proven, tried, error = run()
        assert (error, "`other`" in tried) == ("", True)
        assert proven
