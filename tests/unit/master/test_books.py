from __future__ import annotations

from dataclasses import replace

from acmectl.storage.memory import Memory
from tests.unit.master.book_keeping import books, valid


def test_a_lifetime_that_the_ca_shows_no_more_is_remembered(memory: Memory) -> None:
    run = books(memory)
    run.valid([valid()])
    assert run.with_lifetime(valid(None)) == valid()
    other = replace(valid(None), url="https://ca.test/authz/2")
    assert run.with_lifetime(other) == other
