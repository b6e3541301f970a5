from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.deploy.wire.expected import expected
from acmectl.deploy.wire.looking import Sighting
from acmectl.deploy.wire.options import Endpoint
from acmectl.deploy.wire.verifying import Request, observe
from acmectl.model.certificates import KeyType
from tests.servers.chains import Generation, issue

NAME = "xmpp.example.test"
Look = Callable[..., Sighting]


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    return issue(tmp_path_factory.mktemp("ecdsa") / "1", NAME)


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    return issue(tmp_path_factory.mktemp("ecdsa") / "2", NAME)


@pytest.fixture(scope="session")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    return issue(tmp_path_factory.mktemp("rsa") / "1", NAME, key_type=KeyType.RSA_2048)


@pytest.fixture
def look() -> Look:
    """One look, without patience, at an endpoint of one address."""

    def look_once(
        endpoint: Endpoint, generation: Generation, *, family: str | None = None, timeout: float = 20
    ) -> Sighting:
        wanted = expected(generation.installed, generation.directory, names=generation.names, family=family)
        request = Request((endpoint,), wanted, timedelta(0), timedelta(seconds=timeout))
        (sighting,) = observe([request])[request]
        return sighting

    return look_once


@pytest.fixture
def issued(tmp_path: Path) -> Callable[..., Generation]:
    def issue_one(
        *names: str,
        begins: timedelta = -timedelta(days=1),
        ends: timedelta = timedelta(days=60),
        intermediate_ends: timedelta = timedelta(days=400),
    ) -> Generation:
        number = sum(1 for _ in tmp_path.iterdir()) + 1
        return issue(tmp_path / str(number), *names, begins=begins, ends=ends, intermediate_ends=intermediate_ends)

    return issue_one
