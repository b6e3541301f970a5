"""An authority without its wire, under a clock that stands still until it is moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from acmectl.sandbox.authority import Authority
from acmectl.sandbox.clock import Clock
from acmectl.sandbox.issuer import Issuer
from acmectl.sandbox.rules import PRESETS
from acmectl.sandbox.validation import Trusting
from tests.unit.sandbox.desk import Desk

_START = datetime(2026, 8, 1, 12, tzinfo=UTC)

MakeDesk = Callable[..., Desk]


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def make_desk(issuer: Issuer) -> Iterator[MakeDesk]:
    authorities: list[Authority] = []

    def make(preset: str = "boulder", **changes: Any) -> Desk:
        rules = replace(PRESETS[preset], **changes)
        authorities.append(Authority(rules, Clock(lambda: _START), issuer, Trusting()))
        return Desk(authorities[-1])

    yield make
    for authority in authorities:
        authority.close()


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()
