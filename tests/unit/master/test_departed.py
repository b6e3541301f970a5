from __future__ import annotations

from datetime import timedelta

from acmectl.storage.memory import Memory
from tests.unit.master.book_keeping import NOW, books, valid


def test_what_is_not_wanted_any_more_can_be_given_up_as_long_as_it_is_valid(memory: Memory) -> None:
    run, soon = books(memory), NOW + timedelta(days=29)
    run.valid([valid()])
    run.departed.let_go([valid()], NOW)
    assert memory.authorizations() == ()
    assert [a.url for a in run.departed.known(soon)] == [valid().url]
    assert run.departed.known(NOW + timedelta(days=31)) == ()
    run.valid([valid()])
    assert run.departed.known(soon) == (), "it is wanted again"
    run.departed.let_go([valid()], NOW)
    run.forget(run.departed.known(NOW), NOW)
    assert run.departed.known(NOW) == ()
