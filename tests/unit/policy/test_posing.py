"""Which TLSA records vouch for keys that were revoked as compromised."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from acmectl.model.tlsa import Publication, PublishedKeys, RecordSet, TlsaRecord, association
from acmectl.policy.posing import vouching
from acmectl.policy.tlsa import Keys, needs_look

MAIL = "_25._tcp.a.test"
USED, NEXT, BAD = "AAAA", "BBBB", "CCCC"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = Keys(USED, NEXT, deployed=True, distrusted=frozenset({BAD}))
TOLD = (TlsaRecord(MAIL, association(BAD)),)


def seen(*records: str) -> dict[str, RecordSet]:
    return {MAIL: RecordSet(anywhere=frozenset(records))}


def test_the_record_of_a_compromised_key_is_found_wherever_one_server_has_it() -> None:
    assert vouching(KEYS, [MAIL], seen(association(USED), association(BAD))) == TOLD
    assert vouching(KEYS, [MAIL], seen(association(USED), "2 1 1 082082", "3 1 1 xyz")) == ()
    assert vouching(KEYS, [MAIL], {}) == ()


def test_a_compromised_key_that_services_still_have_is_waited_for() -> None:
    sets = seen(association(BAD))
    assert vouching(replace(KEYS, in_use=BAD), [MAIL], sets) == ()
    assert vouching(replace(KEYS, served=(BAD,)), [MAIL], sets) == ()


def test_servers_are_asked_at_once_for_a_compromised_key_that_serves_nobody_any_more() -> None:
    fine = tuple(Publication(MAIL, pin, seen_at=NOW) for pin in (USED, NEXT))
    known = PublishedKeys((*fine, Publication(MAIL, BAD, seen_at=NOW)), frozenset({USED, NEXT}), looked_at=NOW)
    assert needs_look(known, KEYS, [MAIL], NOW, due=False)
    told = replace(known, publications=(*fine, Publication(MAIL, BAD, seen_at=NOW, retired_at=NOW)))
    assert not needs_look(told, KEYS, [MAIL], NOW, due=False)
