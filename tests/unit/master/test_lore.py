"""What is learned of which CA."""

from __future__ import annotations

from datetime import timedelta

from acmectl.errors import CAError
from acmectl.master.reuse import Reuse
from acmectl.storage.memory import Memory
from tests.unit.master.book_keeping import NOW, URL, WANTED, books


def test_what_was_learned_of_one_ca_is_not_believed_of_another(memory: Memory) -> None:
    old = books(memory)
    old.lore.learn_limit(None, 25, NOW)
    old.lore.learn_span("classic", None, timedelta(days=7))
    old.lore.new_authz_refused(CAError("404"), NOW)
    Reuse(memory, directory_url=URL).learn(None, [WANTED.identifier], reused=True)
    for run, limit, span, works, proven in (
        (old, 25, timedelta(days=7), False, True),
        (books(memory, url="https://other.test/directory"), 100, None, True, False),
    ):
        assert (run.lore.learned_limit(None, NOW), run.lore.knowledge("classic", None).span) == (limit, span)
        assert run.lore.new_authz_works is works
        url = URL if proven else "https://other.test/directory"
        assert Reuse(memory, directory_url=url).is_proven(None) is proven


def test_a_limit_of_names_is_asked_for_again_after_ninety_days(memory: Memory) -> None:
    run = books(memory)
    run.lore.learn_limit(None, 1, NOW)
    assert run.lore.learned_limit(None, NOW + timedelta(days=90)) == 1
    assert run.lore.learned_limit(None, NOW + timedelta(days=91)) == 100
    run.lore.learn_limit(None, 25, NOW + timedelta(days=91))
    assert run.lore.learned_limit(None, NOW + timedelta(days=92)) == 25
