"""Which keys the DNS should speak of, and when every client accepts one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acmectl.model.tlsa import KeptSet, Publication, PublishedKeys, RecordSet, TlsaRecord, Uptime, association
from acmectl.policy import tlsa, tlsa_records
from acmectl.policy.tlsa import Keys
from acmectl.policy.tlsa_lacks import Lack, lacks

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MAIL, WEB = "_25._tcp.a.test", "_443._tcp.a.test"
OLD, NEXT, FORMER = "AAAA", "BBBB", "CCCC"
OF_A_CA = "2 1 1 00ff"
BOTH = Keys(OLD, NEXT, deployed=True)
NOTHING = PublishedKeys()


def seen(
    *pins: str, lag: frozenset[str] = frozenset(), ttl: timedelta = HOUR, others: frozenset[str] = frozenset()
) -> RecordSet:
    """A record set with these keys, those in `lag` not at every server yet."""
    everywhere = frozenset(map(association, pins)) | others
    return RecordSet(everywhere, everywhere | frozenset(map(association, lag)), ttl)


def look(known: PublishedKeys, found: RecordSet, *, keys: Keys = BOTH, now: datetime = NOW) -> PublishedKeys:
    return tlsa.observe(known, keys, [MAIL], {MAIL: found}, ttl=HOUR, now=now)


def of(known: PublishedKeys, pin: str, owner: str = MAIL) -> Publication:
    found = known.find(owner, pin)
    assert found is not None
    return found


def test_a_key_is_accepted_longer_than_the_time_to_live_after_it_was_seen() -> None:
    known = look(NOTHING, seen(OLD))
    known = look(known, seen(OLD, NEXT), now=NOW + HOUR)
    at = tlsa.accepted_from(of(known, NEXT))
    assert at == NOW + HOUR + 1.1 * HOUR
    assert NEXT not in look(known, seen(OLD, NEXT), now=at - timedelta(seconds=1)).usable
    assert NEXT in look(known, seen(OLD, NEXT), now=at).usable


def test_the_time_to_live_that_counts_is_that_of_the_set_without_the_key() -> None:
    known = look(NOTHING, seen(OLD, ttl=DAY))
    known = look(known, seen(OLD, NEXT, ttl=timedelta(minutes=1)))
    assert tlsa.accepted_from(of(known, NEXT)) == NOW + 1.1 * DAY


def test_a_set_from_before_its_time_to_live_was_shortened_is_waited_for() -> None:
    minute, later, alone = timedelta(minutes=1), NOW + 2 * DAY, Keys(OLD, None, deployed=True)
    known = look(NOTHING, seen(OLD, ttl=DAY), keys=alone)
    shortened = tlsa.observe(known, alone, [MAIL], {MAIL: seen(OLD, ttl=minute)}, ttl=minute, now=later)
    for after, lives_for in ((0 * HOUR, DAY), (26 * HOUR, DAY), (27 * HOUR, minute)):
        now, sets = later + after, {MAIL: seen(OLD, NEXT, ttl=minute)}
        known = tlsa.observe(shortened, BOTH, [MAIL], sets, ttl=minute, now=now)
        assert tlsa.accepted_from(of(known, NEXT)) == now + 1.1 * lives_for
        anew = tlsa.observe(NOTHING, BOTH, [MAIL], sets, ttl=minute, now=now, earlier=shortened.sets)
        assert tlsa.accepted_from(of(anew, NEXT)) == now + 1.1 * lives_for


def test_of_sets_from_before_each_is_waited_for_as_long_as_it_may_be_kept() -> None:
    known, minutes = NOTHING, [timedelta(minutes=n) for n in (100, 200, 50, 10)]
    for hours, ttl in enumerate(minutes):
        known = look(known, seen(OLD, ttl=ttl), now=NOW + hours * HOUR)
    longest = KeptSet(MAIL, minutes[1], NOW + 2 * HOUR + 1.1 * minutes[1])
    shorter = KeptSet(MAIL, minutes[2], NOW + 3 * HOUR + 1.1 * minutes[2])
    assert known.sets == (KeptSet(MAIL, minutes[3]), shorter, longest)
    known = look(known, seen(OLD, ttl=minutes[3]), now=NOW + 4 * HOUR)
    assert known.sets == (KeptSet(MAIL, minutes[3]), longest)
    unseen = tlsa.observe(known, BOTH, [MAIL, WEB], {WEB: seen(OLD)}, ttl=HOUR, now=NOW + 5 * HOUR)
    assert unseen.sets == (KeptSet(WEB, HOUR), *known.sets)
    forgotten = look(replace(unseen, publications=()), seen(OLD, ttl=minutes[1]), now=NOW + 6 * HOUR)
    assert forgotten.sets == (KeptSet(MAIL, minutes[1]),)


def test_a_zone_that_was_emptied_is_bare_once_no_resolver_has_what_was_there() -> None:
    known = look(ours(OLD, NEXT), seen(OLD, NEXT))
    known = look(known, RecordSet(), now=NOW + HOUR)
    for pin in (OLD, NEXT, FORMER):
        assert not tlsa.is_published(pin, known)
    told = f"resolvers may keep the TLSA records that `{MAIL}` had until 2026-11-22 14:06:00 UTC"
    assert tlsa.wait_for(NEXT, known, follows=True) == told
    assert tlsa.ready_at(NEXT, known, follows=True) == NOW + 2.1 * HOUR
    assert not look(known, RecordSet(), keys=Keys(None, NEXT), now=NOW + 2 * HOUR).usable
    known = look(known, RecordSet(), now=NOW + 2.1 * HOUR)
    assert tlsa.ready_at(NEXT, known, follows=True) is None
    assert tlsa.is_published(FORMER, known)
    assert look(known, RecordSet(), keys=Keys(None, NEXT), now=NOW + 3 * HOUR).usable == {NEXT}


def test_a_key_in_use_needs_no_record_where_there_are_none() -> None:
    sets = {MAIL: seen(OLD, NEXT), WEB: RecordSet()}
    known = tlsa.observe(ours(OLD, NEXT), BOTH, [MAIL, WEB], sets, ttl=HOUR, now=NOW)
    assert tlsa.is_published(OLD, known)
    assert not tlsa.is_published(NEXT, known)


def test_a_short_time_to_live_has_a_second_to_spare() -> None:
    known = tlsa.observe(NOTHING, BOTH, [MAIL], {MAIL: seen(OLD, NEXT, ttl=HOUR / 3600)}, ttl=HOUR / 3600, now=NOW)
    assert tlsa.accepted_from(of(known, NEXT)) == NOW + timedelta(seconds=2)


def test_a_record_that_one_server_lacks_is_not_seen() -> None:
    known = look(NOTHING, seen(OLD, lag=frozenset({NEXT})))
    assert of(known, NEXT).seen_at is None
    assert tlsa.accepted_from(of(known, NEXT)) is None


def test_a_record_that_was_gone_for_a_while_is_waited_for_again() -> None:
    known = look(NOTHING, seen(OLD, NEXT))
    known = look(known, seen(OLD), now=NOW + 2 * HOUR)
    assert known.usable == {OLD}
    known = look(known, seen(OLD, NEXT), now=NOW + 3 * HOUR)
    assert of(known, NEXT).seen_at == NOW + 3 * HOUR
    assert known.usable == {OLD}


def test_a_moment_to_come_counts_from_now() -> None:
    known = look(NOTHING, seen(OLD, NEXT), now=NOW + DAY)
    assert of(look(known, seen(OLD, NEXT)), NEXT).seen_at == NOW


@pytest.mark.parametrize(
    ("before", "after", "is_accepted"),
    [
        (Uptime("a", 5), Uptime("a", 15), False),  # 10 seconds, whatever the clock says
        (Uptime("a", 5), Uptime("a", 5 + 3 * 86400), True),
        (Uptime("a", 5), Uptime("a", 5 + 3 * 86400 - 50), True),  # a minute is drift
        (Uptime("a", 5), Uptime("b", 15), True),
        (None, Uptime("a", 15), True),
        (Uptime("a", 5), None, True),
    ],
)
def test_a_clock_that_is_set_forward_makes_no_record_older(
    before: Uptime | None,
    after: Uptime | None,
    is_accepted: bool,  # noqa: FBT001  # a row of the table
) -> None:
    slow = NOW - 3 * DAY
    known = replace(look(ours(FORMER), seen(OLD, NEXT, FORMER), now=slow), uptime=before)
    known = look(tlsa.rebased(known, after, NOW), seen(OLD, NEXT, FORMER))
    assert (NEXT in known.usable) is is_accepted
    retired = tlsa_records.to_remove(known, BOTH, [MAIL], {MAIL: seen(OLD, NEXT, FORMER)}, wanted_elsewhere=(), now=NOW)
    assert bool(retired) is is_accepted
    assert tlsa.rebased(NOTHING, after, NOW) == NOTHING


def test_a_clock_that_is_set_forward_makes_resolvers_forget_nothing() -> None:
    slow = NOW - 3 * DAY
    known = replace(look(look(NOTHING, seen(OLD), now=slow), RecordSet(), now=slow), uptime=Uptime("a", 5))
    assert tlsa.is_published(FORMER, look(known, RecordSet()))
    assert not tlsa.is_published(FORMER, look(tlsa.rebased(known, Uptime("a", 15), NOW), RecordSet()))


def test_a_name_that_cannot_be_looked_at_makes_no_key_usable() -> None:
    known = look(NOTHING, seen(OLD, NEXT))
    known = tlsa.observe(known, BOTH, [MAIL], {}, ttl=HOUR, now=NOW + DAY)
    assert known.usable == frozenset()
    assert of(known, NEXT).seen_at == NOW


def test_every_service_must_have_the_record() -> None:
    sets = {MAIL: seen(OLD, NEXT), WEB: seen(OLD)}
    known = tlsa.observe(NOTHING, BOTH, [MAIL, WEB], sets, ttl=HOUR, now=NOW)
    known = tlsa.observe(known, BOTH, [MAIL, WEB], sets, ttl=HOUR, now=NOW + DAY)
    assert known.usable == {OLD}


def test_the_first_key_is_usable_where_there_are_no_records_at_all() -> None:
    first = Keys(None, NEXT)
    assert look(NOTHING, RecordSet(), keys=first).usable == {NEXT}
    assert look(NOTHING, seen(others=frozenset({OF_A_CA})), keys=first).usable == frozenset()


@pytest.mark.parametrize(
    ("keys", "found", "pins"),
    [
        (BOTH, RecordSet(), [OLD, NEXT]),
        (replace(BOTH, deployed=False), RecordSet(), []),
        (Keys(None, NEXT), RecordSet(), []),
        (Keys(None, NEXT), seen(others=frozenset({OF_A_CA})), [NEXT]),
        (replace(BOTH, deployed=False), seen(FORMER), [OLD, NEXT]),
        (BOTH, seen(OLD, NEXT), []),
        (BOTH, seen(OLD, lag=frozenset({NEXT})), [NEXT]),
        (replace(BOTH, distrusted=frozenset({OLD})), seen(FORMER), [NEXT]),
    ],
)
def test_records_are_added_beside_others_and_first_once_services_have_the_certificate(
    keys: Keys, found: RecordSet, pins: list[str]
) -> None:
    assert tlsa_records.to_add(keys, [MAIL], {MAIL: found}) == tuple((MAIL, pin) for pin in pins)
    assert tlsa_records.to_add(keys, [MAIL], {}) == ()


def test_what_is_added_is_ours_unless_somebody_had_it_there_before() -> None:
    known = look(NOTHING, seen(OLD, lag=frozenset({NEXT})))
    known = tlsa_records.announced(
        known, [(MAIL, NEXT), (WEB, NEXT)], {MAIL: seen(OLD, lag=frozenset({NEXT})), WEB: RecordSet()}
    )
    assert not of(known, NEXT).is_ours
    assert of(known, NEXT, WEB).is_ours
    assert tlsa_records.announced(known, [(WEB, NEXT)], {WEB: seen(NEXT)}) == known


AFTER = Keys(NEXT, FORMER, deployed=True)


def ours(*pins: str) -> PublishedKeys:
    return PublishedKeys(tuple(Publication(MAIL, pin, is_ours=True, seen_at=NOW - DAY, lives_for=HOUR) for pin in pins))


def gone(
    known: PublishedKeys,
    found: RecordSet,
    *,
    keys: Keys = AFTER,
    now: datetime = NOW,
    elsewhere: tuple[TlsaRecord, ...] = (),
) -> tuple[TlsaRecord, ...]:
    known = look(known, found, keys=keys, now=now)
    return tlsa_records.to_remove(known, keys, [MAIL], {MAIL: found}, wanted_elsewhere=elsewhere, now=now)


def test_a_former_key_is_removed_once_it_served_nobody_for_its_time_to_live() -> None:
    found = seen(OLD, NEXT, FORMER)
    known = look(ours(OLD, NEXT), found, keys=AFTER)
    assert of(known, OLD).retired_at == NOW
    assert gone(known, found, now=NOW + HOUR) == ()
    assert gone(known, found, now=NOW + 1.1 * HOUR) == (TlsaRecord(MAIL, association(OLD)),)


def test_a_former_key_stays_while_a_service_may_have_it() -> None:
    found = seen(OLD, NEXT, FORMER)
    behind = replace(AFTER, deployed=False)
    known = look(ours(OLD, NEXT), found, keys=AFTER)
    assert gone(known, found, keys=behind, now=NOW + DAY) == ()
    known = look(known, found, keys=behind, now=NOW + DAY)
    assert of(known, OLD).retired_at is None


def test_a_compromised_key_goes_as_soon_as_it_serves_nobody() -> None:
    found = seen(OLD, NEXT, FORMER)
    compromised = replace(AFTER, distrusted=frozenset({OLD}))
    assert gone(ours(OLD, NEXT), found, keys=compromised) == (TlsaRecord(MAIL, association(OLD)),)
    assert gone(ours(OLD, NEXT), found, keys=replace(compromised, deployed=False)) == ()


def test_nothing_is_removed_that_others_published_or_need() -> None:
    found = seen(OLD, NEXT, FORMER, others=frozenset({OF_A_CA}))
    known = look(ours(OLD, NEXT), found, keys=AFTER)
    strangers = replace(known, publications=tuple(replace(p, is_ours=False) for p in known.publications))
    later = NOW + DAY
    assert gone(strangers, found, now=later) == ()
    assert gone(known, found, now=later, elsewhere=(TlsaRecord(MAIL, association(OLD)),)) == ()
    assert gone(known, seen(OLD), now=later) == ()  # the key in use is missing
    assert [r.association for r in gone(known, found, now=later)] == [association(OLD)]


def test_a_record_that_is_gone_is_forgotten() -> None:
    known = look(ours(OLD, NEXT), seen(NEXT, FORMER), keys=AFTER)
    assert known.find(MAIL, OLD) is None
    unseen = tlsa.observe(ours(OLD, NEXT), AFTER, [MAIL], {}, ttl=HOUR, now=NOW)
    assert of(unseen, OLD).retired_at == NOW


def test_the_records_of_a_service_that_is_not_listed_any_more_go_too() -> None:
    keys = Keys(OLD, None, deployed=True)
    sets = {MAIL: seen(OLD), WEB: seen(OLD)}
    known = replace(ours(OLD), publications=(*ours(OLD).publications, replace(ours(OLD).publications[0], owner=WEB)))
    known = tlsa.observe(known, keys, [WEB], sets, ttl=HOUR, now=NOW)
    removed = tlsa_records.to_remove(known, keys, [WEB], sets, wanted_elsewhere=(), now=NOW + DAY)
    assert removed == (TlsaRecord(MAIL, association(OLD)),)


def settled(keys: Keys = BOTH) -> PublishedKeys:
    known = look(NOTHING, seen(OLD, NEXT), keys=keys)
    return look(known, seen(OLD, NEXT), keys=keys, now=NOW + 2 * HOUR)


@pytest.mark.parametrize(
    ("known", "keys", "after", "due", "looks"),
    [
        (settled(), BOTH, HOUR, False, False),
        (settled(), BOTH, HOUR, True, True),
        (settled(), BOTH, DAY, False, True),
        (settled(), BOTH, -HOUR, False, True),
        (NOTHING, BOTH, HOUR, False, True),
        (settled(), Keys(OLD, FORMER, deployed=True), HOUR, False, True),
        (look(NOTHING, seen(OLD, NEXT)), BOTH, -timedelta(minutes=90), False, False),
        (look(NOTHING, seen(OLD, NEXT)), BOTH, HOUR, False, True),
        (look(NOTHING, seen(OLD)), BOTH, -timedelta(minutes=90), False, True),
        (look(NOTHING, RecordSet(), keys=Keys(None, NEXT)), Keys(NEXT, None, deployed=True), -HOUR, False, True),
        (look(ours(OLD, FORMER), seen(OLD, FORMER), keys=Keys(OLD, None)), Keys(OLD, None), -HOUR, False, False),
        (
            look(ours(OLD, FORMER), seen(OLD, FORMER), keys=Keys(OLD, None)),
            Keys(OLD, None, deployed=True),
            -HOUR,
            False,
            True,
        ),
        (
            look(ours(OLD, FORMER), seen(OLD, FORMER), keys=Keys(OLD, None, deployed=True)),
            Keys(OLD, None, deployed=True),
            HOUR,
            False,
            True,
        ),
        (
            look(ours(OLD, FORMER), seen(OLD, FORMER), keys=Keys(OLD, None, deployed=True)),
            Keys(OLD, None, deployed=True),
            -HOUR * 2,
            False,
            False,
        ),
    ],
)
def test_name_servers_are_asked_when_something_may_be_found_out_or_done(
    known: PublishedKeys,
    keys: Keys,
    after: timedelta,
    due: bool,  # noqa: FBT001  # a row of the table
    looks: bool,  # noqa: FBT001  # a row of the table
) -> None:
    assert tlsa.needs_look(known, keys, [MAIL], NOW + 2 * HOUR + after, due=due) is looks


def test_what_a_key_waits_for_is_told() -> None:
    assert tlsa.wait_for(NEXT, NOTHING, follows=True) == "no TLSA record of it was seen yet"
    assert tlsa.ready_at(NEXT, NOTHING, follows=True) is None
    known = look(NOTHING, seen(OLD))
    assert tlsa.ready_at(NEXT, known, follows=True) is None
    assert tlsa.ready_at(OLD, known, follows=True) == NOW + 1.1 * HOUR
    assert tlsa.wait_for(NEXT, known, follows=True) == f"not every name server has its TLSA record at `{MAIL}`"
    told = tlsa.wait_for(NEXT, look(known, seen(OLD, NEXT)), follows=True)
    assert told == "every client accepts it from 2026-11-22 13:06:00 UTC on, if all name servers still have it"


@pytest.mark.parametrize("pin", [OLD, FORMER])
def test_a_moment_that_is_over_is_not_what_a_key_waits_for(pin: str) -> None:
    before = look(NOTHING, seen(OLD), keys=Keys(OLD, NEXT))
    before = look(before, RecordSet(), keys=Keys(FORMER, NEXT)) if pin == FORMER else before
    unseen = tlsa.observe(before, Keys(pin, NEXT), [MAIL], {}, ttl=HOUR, now=NOW + 3 * HOUR)
    assert not tlsa.is_published(pin, unseen)
    assert tlsa.ready_at(pin, unseen, follows=False) is None
    assert tlsa.wait_for(pin, unseen, follows=False) == "not all name servers were seen at the last look"


def test_a_first_key_waits_for_no_record_where_there_are_none() -> None:
    first, others = Keys(None, NEXT), frozenset({OF_A_CA})

    def looked(at_mail: RecordSet, at_web: RecordSet | None, now: datetime = NOW) -> PublishedKeys:
        sets = {MAIL: at_mail} | ({} if at_web is None else {WEB: at_web})
        return tlsa.observe(NOTHING, first, [MAIL, WEB], sets, ttl=HOUR, now=now)

    lacking, published = seen(others=others), seen(NEXT, others=others)
    known = looked(published, RecordSet())
    assert tlsa.ready_at(NEXT, known, follows=False) == NOW + 1.1 * HOUR
    assert tlsa.wait_for(NEXT, known, follows=False).startswith("every client accepts it from 2026-11-22 13:06:00 UTC")
    assert tlsa.ready_at(NEXT, known, follows=True) is None
    assert tlsa.wait_for(NEXT, known, follows=True) == f"not every name server has its TLSA record at `{WEB}`"
    assert tlsa.ready_at(NEXT, looked(lacking, RecordSet()), follows=False) is None
    assert tlsa.ready_at(NEXT, looked(published, lacking), follows=False) is None
    later = tlsa.observe(known, first, [MAIL, WEB], {MAIL: published, WEB: RecordSet()}, ttl=HOUR, now=NOW + 2 * HOUR)
    assert later.usable == {NEXT}


def test_a_moment_that_is_over_says_nothing_where_a_server_could_not_be_asked() -> None:
    first, owners = Keys(None, NEXT), [MAIL, WEB]
    known = tlsa.observe(NOTHING, first, owners, {MAIL: seen(NEXT)}, ttl=HOUR, now=NOW)
    assert tlsa.ready_at(NEXT, known, follows=False) == NOW + 1.1 * HOUR
    known = tlsa.observe(known, first, owners, {MAIL: seen(NEXT)}, ttl=HOUR, now=NOW + 2 * HOUR)
    assert not known.usable
    assert tlsa.ready_at(NEXT, known, follows=False) is None


def test_a_service_may_get_back_a_key_that_every_client_still_accepts() -> None:
    known = look(NOTHING, seen(OLD))
    assert not tlsa.is_published(FORMER, NOTHING)
    assert not tlsa.is_published(OLD, known)
    known = look(known, seen(OLD), now=NOW + 2 * HOUR)
    assert tlsa.is_published(OLD, known)
    assert not tlsa.is_published(NEXT, known)
    assert not tlsa.is_published(FORMER, known)
    known = look(ours(FORMER), seen(OLD, FORMER), now=NOW + 2 * HOUR)
    assert tlsa.is_published(FORMER, known)
    assert tlsa.is_published(FORMER, look(NOTHING, RecordSet()))
    assert not tlsa.is_published(FORMER, look(ours(FORMER), seen(OLD), now=NOW + 2 * HOUR))
    assert not tlsa.is_published(FORMER, tlsa.observe(ours(FORMER), BOTH, [MAIL], {}, ttl=HOUR, now=NOW))


def test_where_one_record_is_missing_all_are_sent() -> None:
    keys = replace(BOTH, served=(FORMER,), distrusted=frozenset({NEXT}))
    sent = tlsa_records.to_send([keys, Keys("DDDD", None)], [MAIL])
    assert sent == {TlsaRecord(MAIL, association(pin)) for pin in (OLD, FORMER, "DDDD")}


def test_a_former_key_is_needed_until_every_target_has_the_next() -> None:
    behind = replace(AFTER, deployed=False)
    known = look(ours(OLD, NEXT), seen(OLD, NEXT, FORMER), keys=behind)
    assert tlsa.still_served(known, AFTER) == ()
    behind = replace(behind, served=tlsa.still_served(known, behind))
    assert behind.served == (OLD,)
    removed = seen(NEXT, FORMER)
    for _ in range(2):
        known = look(known, removed, keys=behind)
        assert (MAIL, OLD) in tlsa_records.to_add(behind, [MAIL], {MAIL: removed})
        assert tlsa.needs_look(known, behind, [MAIL], NOW, due=False)
        assert lacks(behind, [MAIL], {MAIL: removed}) == ((MAIL, Lack.FORMER_MISSING),)
    assert look(known, removed, keys=AFTER).find(MAIL, OLD) is None
    compromised = replace(behind, distrusted=frozenset({OLD}))
    assert tlsa_records.to_add(compromised, [MAIL], {MAIL: removed}) == ()


def test_the_record_of_a_key_that_hosts_share_is_not_ours() -> None:
    known = tlsa_records.announced(NOTHING, [(MAIL, OLD), (MAIL, NEXT)], {MAIL: RecordSet()}, shared={OLD})
    assert [p.spki for p in known.publications if p.is_ours] == [NEXT]


def test_a_record_that_is_needed_under_another_name_is_not_ours_to_remove() -> None:
    known = tlsa_records.given_up(ours(OLD, NEXT), [TlsaRecord(MAIL, association(OLD))])
    assert [p.spki for p in known.publications if p.is_ours] == [NEXT]
    assert tlsa_records.unfinished(ours(OLD), BOTH, NOW) == {TlsaRecord(MAIL, association(OLD))}
    retired = replace(ours(OLD).publications[0], retired_at=NOW - DAY)
    assert tlsa_records.unfinished(PublishedKeys((retired,)), BOTH, NOW) == frozenset()


def test_records_of_former_keys_that_are_not_ours_to_remove_are_found() -> None:
    known = look(ours(OLD, NEXT, FORMER), seen(OLD, NEXT, FORMER), keys=AFTER)
    theirs = replace(known, publications=tuple(replace(p, is_ours=False) for p in known.publications))
    found, later = {MAIL: seen(OLD, NEXT, FORMER)}, NOW + DAY
    former = (TlsaRecord(MAIL, association(OLD)),)

    def stale(known: PublishedKeys, found: dict[str, RecordSet], now: datetime = later) -> tuple[TlsaRecord, ...]:
        return tlsa_records.stale(known, AFTER, [MAIL], found, may_remove=True, now=now)

    assert stale(theirs, found) == former
    assert stale(known, found) == ()
    assert stale(theirs, found, NOW) == ()
    assert stale(theirs, {MAIL: seen(NEXT, FORMER)}) == ()
    assert stale(theirs, {}) == ()
    assert tlsa_records.stale(known, AFTER, [MAIL], found, may_remove=False, now=later) == former
    assert not tlsa_records.stale(theirs, AFTER, [MAIL], found, wanted_elsewhere=former, may_remove=True, now=later)


def test_records_of_a_service_that_is_not_listed_any_more_are_found_where_they_are_not_ours_to_remove() -> None:
    known = tlsa.observe(ours(OLD, NEXT), BOTH, [WEB], {MAIL: seen(OLD, NEXT), WEB: seen(OLD)}, ttl=HOUR, now=NOW)
    found, later = {MAIL: seen(OLD, NEXT), WEB: seen(OLD)}, NOW + DAY
    left = tuple(TlsaRecord(MAIL, association(pin)) for pin in (OLD, NEXT))
    assert tlsa_records.stale(known, BOTH, [WEB], found, may_remove=False, now=later) == left
    assert tlsa_records.stale(known, BOTH, [WEB], found, may_remove=True, now=later) == ()


def test_what_is_left_at_a_former_service_is_given_up_a_week_after_it_was_of_use_if_no_server_answers() -> None:
    known = tlsa.observe(ours(OLD), BOTH, [WEB], {MAIL: seen(OLD), WEB: seen(OLD)}, ttl=HOUR, now=NOW)
    gone = NOW + 1.1 * HOUR + 7 * DAY
    assert [p.owner for p in tlsa_records.out_of_reach(known, [WEB], {}, gone)] == [MAIL]
    assert tlsa_records.out_of_reach(known, [WEB], {}, gone - HOUR) == ()
    assert tlsa_records.out_of_reach(known, [WEB], {MAIL: seen(OLD)}, gone) == ()
    assert tlsa_records.out_of_reach(known, [WEB, MAIL], {}, gone) == ()
    behind = tlsa.observe(known, replace(BOTH, deployed=False), [WEB], {}, ttl=HOUR, now=NOW)
    assert tlsa_records.out_of_reach(behind, [WEB], {}, gone) == ()


def dropped(known: PublishedKeys, found: RecordSet, now: datetime) -> tuple[PublishedKeys, list[str]]:
    """What is removed at MAIL, which is no service any more."""
    sets = {MAIL: found, WEB: seen(OLD, NEXT)}
    known = tlsa.observe(known, BOTH, [WEB], sets, ttl=HOUR, now=now)
    over = tlsa_records.to_remove(known, BOTH, [WEB], sets, wanted_elsewhere=(), now=now)
    return known, [record.association for record in over]


def test_all_records_of_a_service_that_is_not_listed_any_more_go_at_once() -> None:
    found, known = seen(OLD, NEXT), ours(OLD, NEXT)
    slow = replace(known.publications[1], lives_for=DAY)
    known = replace(known, publications=(known.publications[0], slow))
    known, gone = dropped(known, found, NOW)
    for hours, expected in ((2, []), (24, []), (27, [association(OLD), association(NEXT)])):
        known, gone = dropped(known, found, NOW + hours * HOUR)
        assert gone == expected


def test_the_key_in_use_stays_at_a_former_service_where_another_of_its_keys_is_not_ours_to_remove() -> None:
    known = ours(OLD, NEXT, FORMER)
    theirs = replace(known.publications[1], is_ours=False)
    known = replace(known, publications=(known.publications[0], theirs, known.publications[2]))
    known, _ = dropped(known, seen(OLD, NEXT, FORMER), NOW)
    known, gone = dropped(known, seen(OLD, NEXT, FORMER), NOW + DAY)
    assert gone == [association(FORMER)]
    known, gone = dropped(known, seen(OLD, NEXT), NOW + DAY)
    assert gone == []
    known = tlsa.observe(known, BOTH, [WEB], {MAIL: seen(OLD, NEXT), WEB: seen(OLD, NEXT)}, ttl=HOUR, now=NOW + DAY)
    later = NOW + DAY + 2 * HOUR
    known = tlsa.observe(known, BOTH, [WEB], {MAIL: seen(OLD, NEXT), WEB: seen(OLD, NEXT)}, ttl=HOUR, now=later)
    assert not tlsa.needs_look(known, BOTH, [WEB], later, due=False)


@pytest.mark.parametrize(
    ("keys", "found", "lack"),
    [
        (Keys(None, NEXT), RecordSet(), None),
        (BOTH, RecordSet(), Lack.UNPUBLISHED),
        (BOTH, seen(NEXT), Lack.TURNED_AWAY),
        (BOTH, seen(NEXT, lag=frozenset({OLD})), Lack.TURNED_AWAY),
        (BOTH, seen(others=frozenset({OF_A_CA})), Lack.UNPUBLISHED),
        (BOTH, seen(OLD), Lack.NEXT_MISSING),
        (BOTH, seen(OLD, NEXT), None),
        (replace(BOTH, following=None), seen(OLD), None),
    ],
)
def test_records_that_are_not_those_of_the_keys_are_found(keys: Keys, found: RecordSet, lack: Lack | None) -> None:
    assert lacks(keys, [MAIL, WEB], {MAIL: found}) == (((MAIL, lack),) if lack else ())


class World:
    """A zone at two servers, the second of which lags, one resolver at each, and a certificate with its services MAIL and WEB.

    `shared` says that CNAMEs lead both to one place, `wild` that a wildcard answers for WEB at first, until it has a record of its own. The
    time to live is `ttl`, or a fifth of it: that of a set is the one with which a record was last added.
    """

    def __init__(self, ttl: timedelta, *, shared: bool, wild: bool) -> None:
        self.now, self.ttl, self.other_ttl = NOW, ttl, ttl / 5
        self.pins = [f"{n:04d}" for n in range(200)]
        self.keys, self.number = Keys(self.pins[0], self.pins[1], deployed=True), 2
        self.served = {self.pins[0]}
        self.place = {MAIL: MAIL, WEB: MAIL if shared else WEB}
        self.owners, self.dropped = [MAIL, WEB], self.keys.in_use
        self.wild = {WEB} if wild and not shared else set[str]()
        first = frozenset({self.pins[0]})
        self.zone = dict.fromkeys(self.place.values(), first)
        self.ttls = dict.fromkeys(self.zone, ttl)
        self.lag()
        self.caches = {(n, place): (first, NOW + ttl) for n in (0, 1) for place in self.zone}
        self.known, self.wants = PublishedKeys(), False

    def sets(self) -> dict[str, RecordSet]:
        found = {}
        for owner, place in self.place.items():
            one, two = (frozenset(map(association, zone[place])) for zone in (self.zone, self.second))
            found[owner] = RecordSet(one & two, one | two, max(self.ttls[place], self.second_ttls[place]))
        return found

    def lag(self) -> None:
        """The second server gets what the first one has."""
        self.second, self.second_ttls = dict(self.zone), dict(self.ttls)

    def step(self, what: str) -> None:
        """What happens next, to the host or to the zone."""
        match what:
            case "run":
                self.run()
            case "runs":
                self.run()
                self.lag()
                self.run()
            case "change":
                self.wants = True
            case "remake":
                self.keys = replace(self.keys, following=self.pins[self.number])
                self.number += 1
            case "lag":
                self.lag()
            case "shorten" | "lengthen":
                self.ttl, self.other_ttl = sorted([self.ttl, self.other_ttl], reverse=what == "lengthen")
            case "forget":
                if self.keys.deployed and len(self.owners) == 2 and not self.remembers_longer():
                    self.known = PublishedKeys()
            case "stranger":
                self.zone = {place: pins - {self.keys.following or ""} for place, pins in self.zone.items()}
            case _:
                self.change(what)

    def change(self, what: str) -> None:
        """What happens to services."""
        match what:
            case "fail":
                self.keys = replace(self.keys, deployed=False)
            case "mend":
                self.keys, self.served = replace(self.keys, deployed=True), {self.keys.in_use or ""}
            case "drop" if WEB in self.owners:
                self.owners, self.dropped = [MAIL], self.keys.in_use
            case "list" if self.dropped == self.keys.in_use:
                self.owners = [MAIL, WEB]

    def run(self) -> None:
        keys = replace(self.keys, served=tlsa.still_served(self.known, self.keys))
        if not tlsa.needs_look(self.known, keys, self.owners, self.now, due=self.wants):
            return
        sets = self.sets()
        self.known = tlsa.observe(self.known, keys, self.owners, sets, ttl=self.ttl, now=self.now)
        added = tlsa_records.to_add(keys, self.owners, sets)
        self.known = tlsa_records.announced(self.known, added, sets)
        self.add(tlsa_records.to_send([keys], {owner for owner, _ in added}))
        over = tlsa_records.to_remove(self.known, keys, self.owners, sets, wanted_elsewhere=(), now=self.now)
        wanted = tlsa_records.to_send([keys], self.owners) | tlsa_records.unfinished(self.known, keys, self.now)
        spared = {r for r in over if any(self.end(r) == self.end(other) for other in wanted)}
        self.known = tlsa_records.given_up(self.known, spared)
        for record in set(over) - spared:
            place, text = self.end(record)
            self.zone[place] = frozenset(pin for pin in self.zone[place] if association(pin) != text)
        if self.wants and keys.following in self.known.usable:
            self.keys = Keys(keys.following, self.pins[self.number], deployed=self.keys.deployed)
            self.number, self.wants = self.number + 1, False
            self.served = {self.keys.in_use or ""} | (set() if self.keys.deployed else self.served)

    def add(self, records: frozenset[TlsaRecord]) -> None:
        pins = {association(pin): pin for pin in self.pins}
        for place in {self.place[record.owner] for record in records}:
            before = frozenset[str]() if place in self.wild else self.zone[place]
            self.zone[place] = before | {pins[r.association] for r in records if self.place[r.owner] == place}
            self.ttls[place] = self.ttl
            self.wild -= {place}

    def end(self, record: TlsaRecord) -> tuple[str, str]:
        return self.place[record.owner], record.association

    def resolve(self) -> None:
        """Each resolver keeps what it got for as long as it may."""
        for (n, place), (_, until) in self.caches.items():
            if until <= self.now:
                zone, ttls = ((self.zone, self.ttls), (self.second, self.second_ttls))[n]
                self.caches[n, place] = (zone[place], self.now + ttls[place])

    def remembers_longer(self) -> bool:
        """Whether a resolver has a set for longer than the ones of now are kept."""
        return any(until > self.now + self.ttls[place] for (_, place), (_, until) in self.caches.items())

    def is_right(self) -> bool:
        """Whether clients that get what resolvers have accept what the services serve; a former service does not have the next key alone."""
        listed = {self.place[owner] for owner in self.owners}
        for (_, place), (records, _) in self.caches.items():
            if place in listed:
                if records and not self.served <= records:
                    return False
            elif self.keys.in_use not in records and self.keys.following in records:
                return False
        return True


_LONG = 13 * 3600
_CHANGED = ["runs", "runs", "change", "runs", "runs", "runs"]  # until the key in use is one whose record is ours
_CHANGED_WHILE_A_TARGET_FAILS = [*_CHANGED, "fail", "change", "run", "runs", "runs", "run"]
_DROPPED = [*_CHANGED, "drop", "runs", "runs", "runs", "change", "runs", "runs"]
_SHORTENED = [
    *((_LONG, what) for what in _CHANGED),
    *((1, what) for what in ("shorten", "remake", "runs", "remake", "runs", "change")),
    *((1200, "runs") for _ in range(4)),
]


@settings(max_examples=400, deadline=None)
@example(steps=[(_LONG, what) for what in _CHANGED_WHILE_A_TARGET_FAILS], seconds=60, shared=False, wild=False)
@example(steps=[(_LONG, what) for what in _DROPPED], seconds=60, shared=True, wild=False)
@example(steps=[(_LONG, what) for what in _DROPPED], seconds=60, shared=False, wild=True)
@example(steps=_SHORTENED, seconds=5000, shared=False, wild=False)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([1, 5, 60, 1000, 4000, _LONG]),
            st.sampled_from(
                [
                    "run",
                    "runs",
                    "runs",
                    "runs",
                    "change",
                    "change",
                    "remake",
                    "lag",
                    "forget",
                    "stranger",
                    "fail",
                    "mend",
                    "drop",
                    "list",
                    "shorten",
                    "lengthen",
                ]
            ),
        ),
        max_size=60,
    ),
    seconds=st.sampled_from([1, 60, 1500, 5000]),
    shared=st.booleans(),
    wild=st.booleans(),
)
def test_no_resolver_ever_holds_a_set_without_the_keys_that_services_have(
    steps: list[tuple[int, str]],
    seconds: int,
    shared: bool,  # noqa: FBT001  # drawn
    wild: bool,  # noqa: FBT001  # drawn
) -> None:
    world = World(timedelta(seconds=seconds), shared=shared, wild=wild)
    for pause, what in steps:
        world.now += timedelta(seconds=pause)
        world.step(what)
        world.resolve()
        assert world.is_right(), (what, world.caches)
