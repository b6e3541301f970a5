"""Which records a master adds, and which it may remove, from what every name server was seen with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from acmectl.model.tlsa import RecordSet, TlsaRecord
from acmectl.policy.kept_records import (
    KeptRecords,
    accepted_from,
    announced,
    former,
    given_up,
    needs_look,
    observe,
    out_of_reach,
    to_add,
    to_remove,
    to_send,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
OWNER, OTHER = "_25._tcp.mail.example.org", "_465._tcp.mail.example.org"
OLD, USED, NEXT = (TlsaRecord(OWNER, f"3 1 1 {digit * 64}") for digit in "abc")
WANTED = frozenset({USED, NEXT})


def seen(
    *everywhere: TlsaRecord, only_here: tuple[TlsaRecord, ...] = (), ttl: timedelta = HOUR
) -> dict[str, RecordSet]:
    every = frozenset(record.association for record in everywhere)
    return {OWNER: RecordSet(every, every | {record.association for record in only_here}, ttl)}


def settled(*ours: TlsaRecord, complete_at: datetime | None = NOW) -> KeptRecords:
    return KeptRecords(frozenset(ours), WANTED, complete_at, HOUR, NOW)


@pytest.mark.parametrize(
    ("known", "after", "needed"),
    [
        (KeptRecords(), timedelta(), True),
        (settled(USED, NEXT), HOUR, False),
        (settled(USED, NEXT), 12 * HOUR, True),
        (settled(USED, NEXT), -HOUR, True),
        (settled(USED, NEXT, complete_at=None), HOUR, True),
        (settled(OLD, USED, NEXT), HOUR, False),
        (settled(OLD, USED, NEXT), 2 * HOUR, True),
    ],
)
def test_servers_are_asked_where_something_is_to_be_done_or_long_unknown(
    known: KeptRecords, after: timedelta, *, needed: bool
) -> None:
    assert needs_look(known, WANTED, NOW + after) is needed


def test_servers_are_asked_when_the_file_lists_something_else() -> None:
    assert needs_look(settled(USED), frozenset({OLD}), NOW + HOUR)


def test_what_a_server_lacks_is_added_where_it_could_be_looked() -> None:
    away = TlsaRecord(OTHER, USED.association)
    assert to_add({*WANTED, away}, seen(USED, only_here=(NEXT,))) == (NEXT,)


def test_where_one_record_is_missing_all_are_sent() -> None:
    away = TlsaRecord(OTHER, USED.association)
    assert to_send({*WANTED, away}, (NEXT,)) == (USED, NEXT)
    assert to_send({*WANTED, away}, ()) == ()


def test_servers_are_not_asked_for_what_another_file_lists() -> None:
    known, later = settled(OLD, USED, NEXT), NOW + 2 * HOUR
    assert not needs_look(known, WANTED, later, wanted_elsewhere=[OLD])


def test_a_record_that_is_needed_under_another_name_is_given_up() -> None:
    assert given_up(settled(OLD, USED), [OLD]).ours == {USED}


def test_records_that_were_there_before_us_are_not_ours() -> None:
    assert announced(KeptRecords(), [USED, NEXT], seen(only_here=(USED,))).ours == {NEXT}


def test_the_set_is_complete_since_every_server_was_first_seen_with_all_of_it() -> None:
    first = observe(KeptRecords(), WANTED, seen(USED, only_here=(NEXT,)), ttl=HOUR, now=NOW)
    assert first.complete_at is None
    second = observe(first, WANTED, seen(USED, NEXT), ttl=HOUR, now=NOW + HOUR)
    assert second.complete_at == NOW + HOUR
    third = observe(second, WANTED, seen(USED, NEXT), ttl=HOUR, now=NOW + 9 * HOUR)
    assert third.complete_at == NOW + HOUR
    assert observe(third, WANTED, {}, ttl=HOUR, now=NOW + 10 * HOUR).complete_at is None


def test_another_list_is_complete_anew_and_a_clock_that_was_wrong_is_forgiven() -> None:
    known = observe(settled(), frozenset({USED}), seen(USED, NEXT), ttl=HOUR, now=NOW + HOUR)
    assert known.complete_at == NOW + HOUR
    assert observe(known, frozenset({USED}), seen(USED), ttl=HOUR, now=NOW).complete_at == NOW


def test_the_longest_time_to_live_counts() -> None:
    known = observe(KeptRecords(), WANTED, seen(USED, ttl=24 * HOUR), ttl=HOUR, now=NOW)
    assert observe(known, WANTED, seen(USED, NEXT), ttl=HOUR, now=NOW).lives_for == 24 * HOUR


def test_our_record_is_removed_when_no_resolver_can_need_it_any_more() -> None:
    known, sets = settled(OLD, USED, NEXT), seen(OLD, USED, NEXT)
    assert to_remove(known, sets, now=NOW + HOUR) == ()
    assert to_remove(known, sets, now=NOW + 2 * HOUR) == (OLD,)


def test_nothing_is_removed_that_is_not_ours_wanted_elsewhere_or_unseen() -> None:
    known, later = settled(OLD, USED, NEXT), NOW + 2 * HOUR
    assert to_remove(settled(USED), seen(OLD, USED, NEXT), now=later) == ()
    assert to_remove(known, seen(OLD, USED), wanted_elsewhere=[OLD], now=later) == ()
    assert to_remove(known, {}, now=later) == ()
    assert to_remove(known, seen(USED, NEXT), now=later) == ()


def test_what_is_gone_is_ours_no_more_unless_it_is_wanted() -> None:
    known = observe(settled(OLD, USED, NEXT), WANTED, seen(USED), ttl=HOUR, now=NOW)
    assert known.ours == {USED, NEXT}
    away = TlsaRecord(OTHER, OLD.association)
    assert away in observe(settled(away), WANTED, seen(USED), ttl=HOUR, now=NOW).ours


def test_records_are_accepted_by_every_client_a_while_after_every_server_has_them() -> None:
    assert accepted_from(settled(complete_at=None)) is None
    accepted = accepted_from(settled())
    assert accepted is not None
    assert NOW + HOUR < accepted <= NOW + 2 * HOUR


def test_former_records_are_ours_that_are_not_wanted_any_more() -> None:
    assert former(settled(OLD, USED)) == (OLD,)


def test_what_is_left_at_a_former_service_is_given_up_a_week_after_its_time_if_no_server_answers() -> None:
    away = TlsaRecord(OTHER, OLD.association)
    known, later = settled(away, USED), NOW + timedelta(days=8)
    assert out_of_reach(known, seen(USED), later) == {away}
    assert out_of_reach(known, {}, later) == {away}
    assert out_of_reach(known, seen(USED) | {OTHER: RecordSet()}, later) == frozenset()
    assert out_of_reach(known, seen(USED), NOW + timedelta(days=7)) == frozenset()
    assert out_of_reach(settled(away, complete_at=None), seen(USED), later) == frozenset()
