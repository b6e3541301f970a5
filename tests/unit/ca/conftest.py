"""A scripted CA, a session with it, and clocks that a test can read: pauses are collected, not slept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from acmectl.ca.session import Session
from tests.servers.faults import FaultyCA, running_faults

ACCOUNT_PATH = "/account/1"


@dataclass
class FakeTime:
    """A clock that only pauses move."""

    pauses: list[float] = field(default_factory=list)
    moment: datetime = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.moment += timedelta(seconds=seconds)

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def now(self) -> datetime:
        return self.moment


@pytest.fixture(scope="session")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def ca() -> Iterator[FaultyCA]:
    with running_faults() as server:
        yield server


@pytest.fixture
def session(ca: FaultyCA, key: ec.EllipticCurvePrivateKey, time: FakeTime) -> Iterator[Session]:
    with Session(
        ca.directory_url,
        key=key,
        account_url=ca.base + ACCOUNT_PATH,
        pauses=time.pause,
        monotonic=time.monotonic,
        now=time.now,
        request_limit=timedelta(seconds=20),
    ) as opened:
        yield opened
