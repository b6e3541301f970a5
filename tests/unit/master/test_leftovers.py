"""What an earlier run left: how often it is tried to be removed, what a person is told, and when it is given up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl.errors import SolverError
from acmectl.master.books import Books
from acmectl.master.leftovers import Leftovers
from acmectl.model.names import Identifier
from acmectl.solvers.base import Capabilities, Response
from acmectl.storage.memory import Memory

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OURS = tuple(Response(Identifier(f"n{n}.test"), "dns-01", f"token{n}", "x") for n in range(30))


class Remover:
    """A solver that removes, or says why not."""

    capabilities = Capabilities(("dns-01",), wildcard=True)

    def __init__(self) -> None:
        self.reason: str | None = None
        self.asked: list[Sequence[Response]] = []

    def publish(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:
        raise AssertionError(f"nothing is published: {responses}")

    def seen(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:
        raise AssertionError(f"nothing is waited for: {responses}")

    def remove(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:
        self.asked.append(responses)
        return {r: SolverError(self.reason) for r in responses} if self.reason else {}


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    memory = Memory(tmp_path / "state.db")
    yield memory
    memory.close()


def books_of(memory: Memory, mark: str = "here") -> Books:
    return Books(memory, directory_url="https://ca.test/directory", new_orders=1, marks={"dns": mark})


def clean(
    memory: Memory, solver: Remover, *, after: timedelta = timedelta(), mark: str = "here"
) -> tuple[Response, ...]:
    """A run's cleaning up; returns what is left."""
    books = books_of(memory, mark)
    Leftovers(lambda _: solver, ["dns"], books=books, memory=memory, now=lambda: NOW + after).remove()
    return books.litter.leftovers("dns")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return messages


def test_what_can_be_removed_is_removed_in_silence(memory: Memory, caplog: pytest.LogCaptureFixture) -> None:
    books_of(memory).litter.publishing("dns", OURS)
    solver = Remover()
    assert clean(memory, solver) == ()
    assert clean(memory, solver) == ()
    assert (len(solver.asked), said(caplog)) == (1, [])


def test_one_reason_is_told_once_for_all_names(memory: Memory, caplog: pytest.LogCaptureFixture) -> None:
    books_of(memory).litter.publishing("dns", OURS)
    solver = Remover()
    solver.reason = "nobody listens"
    clean(memory, solver)
    (line,) = said(caplog)
    assert line == (
        "what an earlier run published, or may have, was not removed for `n0.test`, `n1.test`, `n2.test` and 27 more: "
        "nobody listens"
    )


def test_the_tries_become_rare_and_end_after_a_week_with_a_note(
    memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    books_of(memory).litter.publishing("dns", OURS[:1])
    solver = Remover()
    solver.reason = "nobody listens"
    hours = range(24 * 7 + 1)
    for hour in hours:
        assert clean(memory, solver, after=timedelta(hours=hour)) == OURS[:1]
    assert 8 <= len(solver.asked) <= 12
    said(caplog)
    left = [clean(memory, solver, after=timedelta(days=8, hours=hour)) for hour in range(3)]
    assert left == [(), (), ()]
    assert said(caplog) == [
        "given up after 7 days: what solver `dns` published in an earlier run may still be there: TXT `_acme-challenge.n0.test`"
    ]
    assert memory.fact("left/dns") is None


def test_a_clock_that_was_set_back_delays_no_try(memory: Memory) -> None:
    books_of(memory).litter.publishing("dns", OURS[:1])
    solver = Remover()
    solver.reason = "nobody listens"
    for _ in range(2):
        clean(memory, solver, after=timedelta(days=400))
    solver.reason = None
    assert clean(memory, solver) == ()


def test_what_was_published_with_other_options_is_told_and_waits_for_them(
    memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    books_of(memory).litter.publishing("dns", OURS[:1])
    solver = Remover()
    for _ in range(3):
        assert clean(memory, solver, mark="elsewhere") == OURS[:1]
    first, second = said(caplog)
    assert first == second
    assert first == (
        "what an earlier run published may still be there, as solver `dns` has other options since: "
        "TXT `_acme-challenge.n0.test`; give it those back for one run, or remove it yourself"
    )
    assert clean(memory, solver) == ()
    assert said(caplog) == []


def test_what_is_published_again_with_other_options_is_still_at_the_first_place(memory: Memory) -> None:
    books_of(memory).litter.publishing("dns", OURS[:1])
    later = books_of(memory, "elsewhere")
    later.litter.publishing("dns", OURS[:2])
    later.litter.removed("dns", OURS[:2])
    assert later.litter.leftovers("dns") == OURS[:1]
