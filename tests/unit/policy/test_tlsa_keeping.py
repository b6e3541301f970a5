"""Which keys services keep for now, instead of one that clients may turn away from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from acmectl.model.tlsa import KeptSet, PublishedKeys, RecordSet, association
from acmectl.policy import tlsa
from acmectl.policy.tlsa import Keys
from acmectl.policy.tlsa_keeping import Looked, is_worth_keeping

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MAIL, WEB = "_25._tcp.a.test", "_443._tcp.a.test"
OLD, NEW, OTHER = "AAAA", "BBBB", "CCCC"
OF_OLD, OF_NEW, OF_OTHER = map(association, (OLD, NEW, OTHER))
NOTHING: frozenset[str] = frozenset()


def looked(now: datetime = NOW, *, before: PublishedKeys | None = None, **found: frozenset[str]) -> Looked:
    """What was known at last, and what is seen now."""
    names = {"mail": MAIL, "web": WEB}
    sets = {names[name]: RecordSet(records, records, HOUR if records else HOUR * 0) for name, records in found.items()}
    keys, owners = Keys(NEW, None), [MAIL, WEB]
    return Looked(tlsa.observe(before or PublishedKeys(), keys, owners, sets, ttl=HOUR, now=now), sets)


def keeps(looked: Looked, *owners: str, is_plausible: bool = True) -> bool:
    return is_worth_keeping(OLD, NEW, looked, owners, is_plausible=is_plausible)


@pytest.mark.parametrize(
    ("records", "is_kept"),
    [
        pytest.param({OF_OLD}, True, id="the zone speaks of the presented key alone"),
        pytest.param({OF_OLD, OF_NEW}, True, id="resolvers may have the set without the new key"),
        pytest.param({OF_OTHER}, False, id="clients turn away from both"),
        pytest.param({OF_NEW}, False, id="who asks now turns away from the presented key"),
        pytest.param({"3 1 2 00ff"}, True, id="another hash may be that of the presented key"),
        pytest.param({OF_NEW, "3 0 1 00ff"}, True, id="or of its certificate"),
        pytest.param(set(), False, id="no client asks for any key"),
    ],
)
def test_a_service_keeps_a_key_that_clients_may_accept_where_they_may_not_accept_the_new_one(
    records: set[str],
    is_kept: bool,  # noqa: FBT001  # a row of the table
) -> None:
    assert keeps(looked(mail=frozenset(records)), MAIL) is is_kept


def test_a_service_gets_a_key_that_every_client_accepts() -> None:
    both = frozenset({OF_OLD, OF_NEW})
    first = looked(mail=both)
    assert keeps(looked(NOW + HOUR, mail=both, before=first.known), MAIL)
    assert not keeps(looked(NOW + 2 * HOUR, mail=both, before=first.known), MAIL)


def test_a_service_keeps_its_key_while_nobody_sees_the_zone() -> None:
    assert keeps(Looked(), MAIL)
    both = frozenset({OF_OLD, OF_NEW})
    first = looked(mail=both)
    later = looked(NOW + 2 * HOUR, web=both, before=first.known)
    assert keeps(later, MAIL)
    assert keeps(later, MAIL, WEB)


def test_a_key_that_clients_hardly_accept_is_kept_only_by_what_was_seen() -> None:
    assert not keeps(Looked(), MAIL, is_plausible=False)
    assert not keeps(looked(mail=frozenset({OF_OTHER})), MAIL, WEB, is_plausible=False)
    assert keeps(looked(mail=frozenset({OF_OLD})), MAIL, WEB, is_plausible=False)


def test_what_was_not_seen_counts_not_against_a_service_that_does_better_with_the_new_key() -> None:
    new = frozenset({OF_NEW})
    first = looked(mail=new)
    assert keeps(first, MAIL, WEB), "resolvers may have another set"
    assert not keeps(looked(NOW + 2 * HOUR, mail=new, before=first.known), MAIL, WEB)
    both = frozenset({OF_OLD, OF_NEW})
    assert keeps(looked(NOW + 2 * HOUR, mail=both, before=looked(mail=both).known), MAIL, WEB)


def test_a_key_is_judged_by_the_time_of_the_look_and_not_by_a_look_at_nothing() -> None:
    first = looked(mail=frozenset({OF_OLD, OF_NEW}))
    assert keeps(Looked(replace(first.known, looked_at=None), first.sets), MAIL)


def test_a_service_keeps_its_key_while_resolvers_may_have_what_an_emptied_zone_had() -> None:
    first = looked(mail=frozenset({OF_OLD}))
    emptied = looked(mail=NOTHING, before=first.known)
    assert emptied.known.sets == (KeptSet(MAIL, HOUR, NOW + 1.1 * HOUR),)
    assert keeps(emptied, MAIL)
    later = NOW + 2 * HOUR
    assert not keeps(looked(later, mail=NOTHING, before=emptied.known), MAIL)


def test_one_service_whose_clients_accept_the_presented_key_is_enough() -> None:
    assert keeps(looked(mail=frozenset({OF_OTHER}), web=frozenset({OF_OLD})), MAIL, WEB)
    assert not keeps(looked(mail=frozenset({OF_OTHER}), web=NOTHING), MAIL, WEB)


def test_a_zone_speaks_of_a_key_where_one_of_its_services_has_a_record() -> None:
    found = looked(mail=frozenset({OF_OTHER}), web=frozenset({OF_OLD}))
    assert found.speaks_of(OLD, [MAIL, WEB])
    assert not found.speaks_of(OLD, [MAIL, "_465._tcp.a.test"])
