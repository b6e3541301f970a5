"""What a refusal of the CA means for the next runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl.errors import CARefused, Problem, RateLimited
from acmectl.master.books import Books
from acmectl.model.names import Identifier
from acmectl.policy.refresh import Wanted
from acmectl.storage.memory import Memory

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WANTED = Wanted(Identifier("a.test"), "default", None, "dns")
PAUSED = RateLimited(Problem("rateLimited", "paused: see https://ca.test/unpause", 429), doing="the new order")


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    memory = Memory(tmp_path / "state.db")
    yield memory
    memory.close()


def test_a_paused_name_waits_for_a_person_if_one_can_ask_for_it(memory: Memory) -> None:
    assert Books(memory, new_orders=1).failed({WANTED: PAUSED}, NOW)[WANTED].retry_at is None


def test_a_paused_name_that_nobody_can_ask_for_is_tried_daily(memory: Memory) -> None:
    failure = Books(memory, new_orders=1, may_wait=False).failed({WANTED: PAUSED}, NOW)[WANTED]
    assert failure.retry_at == NOW + timedelta(hours=23)


def test_a_refused_account_is_never_left_alone_for_ever(memory: Memory) -> None:
    books = Books(memory, new_orders=1)
    assert books.block("default", PAUSED, NOW).retry_at == NOW + timedelta(hours=23)
    deactivated = CARefused(Problem("unauthorized", "deactivated", 403), doing="the new order")
    assert books.block("mail", deactivated, NOW).retry_at == NOW + timedelta(minutes=1)
    assert set(memory.failures("account")) == {"default", "mail"}
