"""When a certificate is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from acmectl.model.certificates import CertificateSpec, ImposedKey, Installed, Issuance, KeyType
from acmectl.model.names import Identifier
from acmectl.model.renewals import Reason, RenewalInfo, Revocation, Rollback
from acmectl.policy import renewal
from acmectl.policy.key_choice import KeyChange
from acmectl.policy.renewal import Due, NotDue

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
A, B = Identifier("a.test"), Identifier("b.test")
SPEC = CertificateSpec("mail", frozenset({A}), "default", None)


def installed(age: timedelta, lifetime: timedelta = timedelta(days=90)) -> Installed:
    start = NOW - age
    return Installed("mail", 1, SPEC.names, KeyType.ECDSA_P256, "0a", "ff", "CA", start, start + lifetime)


FRESH = installed(timedelta(days=1))
URL = "https://ca.test/directory"
ASKED = Issuance("mail", 1, "ff", URL, None, SPEC.names)


def due(
    spec: CertificateSpec,
    have: Installed | None,
    damage: str | None = None,
    *,
    issuance: Issuance | None = None,
    url: str = URL,
    forced: bool = False,
) -> Due | NotDue:
    return renewal.due(spec, have, damage, now=NOW, directory_url=url, issuance=issuance, forced=forced)


@pytest.mark.parametrize(
    ("lifetime", "renewed_at"),
    [
        (timedelta(days=90), timedelta(days=60)),
        (timedelta(days=45), timedelta(days=30)),
        (timedelta(days=6), timedelta(days=3)),
    ],
)
def test_a_certificate_is_due_after_two_thirds_of_its_life_or_half_of_a_short_one(
    lifetime: timedelta, renewed_at: timedelta
) -> None:
    start = NOW - timedelta(days=1)
    assert due(SPEC, installed(timedelta(days=1), lifetime)) == NotDue(start + renewed_at)
    expired = due(SPEC, installed(renewed_at, lifetime))
    assert isinstance(expired, Due)
    assert expired.reason.startswith("expires at 20")


@pytest.mark.parametrize(
    ("spec", "have", "damage", "reason"),
    [
        (SPEC, None, None, "no certificate yet"),
        (SPEC, None, "`privkey.pem` is missing", "`privkey.pem` is missing"),
        (SPEC, FRESH, "`privkey.pem` is missing", "`privkey.pem` is missing"),
        (replace(SPEC, names=frozenset({B})), FRESH, None, "names changed: +b.test -a.test"),
        (replace(SPEC, key_type=KeyType.RSA_2048), FRESH, None, "key type changed: ecdsa-p256 -> rsa-2048"),
        (SPEC, replace(FRESH, key_type=None), None, "key type changed: unknown -> ecdsa-p256"),
    ],
)
def test_a_certificate_is_due_when_it_is_not_what_is_wanted(
    spec: CertificateSpec, have: Installed | None, damage: str | None, reason: str
) -> None:
    assert due(spec, have, damage) == Due(reason)


def test_another_ca_or_profile_than_the_certificate_was_issued_by_makes_it_due() -> None:
    assert isinstance(due(SPEC, FRESH, issuance=ASKED), NotDue)
    other = "https://other.test/directory"
    assert due(SPEC, FRESH, issuance=ASKED, url=other) == Due(f"CA changed: {URL} -> {other}")
    assert due(replace(SPEC, profile="short"), FRESH, issuance=ASKED) == Due("profile changed: none -> short")
    was = replace(ASKED, profile="classic")
    assert due(SPEC, FRESH, issuance=was) == Due("profile changed: classic -> none")


def test_where_it_is_not_known_who_issued_a_certificate_it_is_not_due() -> None:
    """Else a lost state database would have every host issue everything anew."""
    assert isinstance(due(replace(SPEC, profile="short"), FRESH, url="https://other.test/directory"), NotDue)


def test_a_name_that_the_ca_added_is_no_change_and_one_that_was_asked_for_is() -> None:
    more = replace(FRESH, names=frozenset({A, B}))
    assert isinstance(due(SPEC, more, issuance=ASKED), NotDue)
    assert due(SPEC, more, issuance=replace(ASKED, names=frozenset({A, B}))) == Due("names changed: -b.test")
    assert due(replace(SPEC, names=frozenset({A, B})), FRESH, issuance=ASKED) == Due("names changed: +b.test")


def test_a_name_more_is_no_reason_where_it_is_not_known_what_was_asked_for() -> None:
    """The state database was lost: the name may be the CA's own, and a certificate for it too many."""
    assert isinstance(due(SPEC, replace(FRESH, names=frozenset({A, B}))), NotDue)


def test_a_certificate_is_due_when_a_person_asks() -> None:
    assert due(SPEC, FRESH, forced=True) == Due("asked for")


DAY = timedelta(days=1)


def advice(start: timedelta, end: timedelta, **more: str) -> RenewalInfo:
    """The CA's window, from now on."""
    return RenewalInfo("mail", "ff", "id", NOW, NOW + DAY / 2, NOW + start, NOW + end, **more)


def judged(
    have: Installed = FRESH,
    *,
    spec: CertificateSpec = SPEC,
    info: RenewalInfo | None = None,
    rollback: Rollback | None = None,
    revocation: Revocation | None = None,
    damage: str | None = None,
    forced: bool = False,
    issuance: Issuance | None = None,
) -> Due | NotDue:
    return renewal.due(
        spec,
        have,
        damage,
        now=NOW,
        directory_url=URL,
        issuance=issuance,
        advice=info,
        rollback=rollback,
        revocation=revocation,
        forced=forced,
    )


def test_the_cas_window_decides_when_a_certificate_is_due() -> None:
    later = judged(info=advice(20 * DAY, 22 * DAY))
    assert isinstance(later, NotDue)
    assert NOW + 20 * DAY <= later.at < NOW + 22 * DAY


def test_a_window_in_the_past_makes_a_certificate_due_at_once_and_says_why_the_ca_asks() -> None:
    page = "https://ca.test/incident"
    now = judged(info=advice(-2 * DAY, -1 * DAY, explanation_url=page))
    assert now == Due(f"the CA asks for renewal, see {page}; expires at 2027-02-19 12:00 UTC")
    assert judged(info=advice(-2 * DAY, -1 * DAY)) == Due("the CA asks for renewal; expires at 2027-02-19 12:00 UTC")


def test_a_certificate_that_is_due_by_its_lifetime_too_says_only_when_it_expires() -> None:
    assert judged(installed(76 * DAY), info=advice(-3 * DAY, -2 * DAY)) == Due("expires at 2026-12-06 12:00 UTC")


@pytest.mark.parametrize(
    ("lifetime", "left"),
    [(90 * DAY, 15 * DAY), (45 * DAY, timedelta(days=7, hours=12)), (timedelta(hours=160), timedelta(hours=40))],
)
def test_a_window_that_would_leave_no_time_for_an_outage_of_the_master_is_cut(
    lifetime: timedelta, left: timedelta
) -> None:
    have = installed(timedelta(hours=1), lifetime)
    assert judged(have, info=advice(lifetime - timedelta(hours=2), lifetime)) == NotDue(have.not_after - left)


def ago(time: timedelta, *, hurried: bool = False) -> Issuance:
    return replace(ASKED, issued_at=NOW - time, hurried=hurried)


MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("left", "rest"),
    [
        (90 * DAY, 30 * DAY),
        (6 * HOUR, 2 * HOUR),
        (150 * MINUTE, HOUR),
        (20 * MINUTE, 10 * MINUTE),
        (9 * MINUTE, HOUR),
        (timedelta(), HOUR),
    ],
)
def test_time_is_no_reason_to_replace_a_certificate_that_was_just_issued(left: timedelta, rest: timedelta) -> None:
    """A CA may date it back so far that its moment is over when it comes."""
    backdated = installed(365 * DAY, 365 * DAY + left)
    assert judged(backdated, issuance=ago(timedelta())) == NotDue(NOW + rest)
    later = replace(backdated, not_before=backdated.not_before - rest, not_after=backdated.not_after - rest)
    assert isinstance(judged(later, issuance=ago(rest)), Due)
    assert isinstance(judged(backdated, issuance=ago(-MINUTE)), Due), "issued in the future: a clock was wrong"
    assert isinstance(judged(backdated, issuance=ASKED), Due), "an older acmectl did not say when"


def test_the_usual_moment_is_not_moved_by_the_rest_after_the_issue() -> None:
    assert judged(issuance=ago(DAY)) == NotDue(renewal.renew_at(FRESH))
    assert isinstance(judged(installed(61 * DAY), issuance=ago(61 * DAY)), Due)


def test_what_a_person_wants_and_what_is_broken_does_not_wait_for_the_rest() -> None:
    just_now = ago(MINUTE)
    assert judged(issuance=just_now, forced=True) == Due("asked for")
    assert judged(issuance=just_now, revocation=REVOKED) == Due("revoked (superseded)")
    assert judged(issuance=just_now, damage="broken") == Due("broken")
    changed = judged(spec=replace(SPEC, names=frozenset({A, B})), issuance=just_now)
    assert changed == Due("names changed: +b.test")


def test_a_ca_that_asks_for_renewal_for_ever_is_followed_once_and_then_after_a_rest() -> None:
    always = advice(-2 * DAY, -1 * DAY)
    assert isinstance(judged(info=always, issuance=ago(DAY)), Due), "it may be about to revoke it"
    assert renewal.is_hurried(FRESH, ago(DAY), always, NOW)
    resting = judged(info=always, issuance=ago(DAY, hurried=True))
    assert resting == NotDue(NOW - DAY + (FRESH.not_after - NOW + DAY) / 3)
    rested = installed(40 * DAY)
    assert isinstance(judged(rested, info=always, issuance=ago(40 * DAY, hurried=True)), Due)
    assert not renewal.is_hurried(rested, ago(40 * DAY), always, NOW)
    assert not renewal.is_hurried(FRESH, None, always, NOW), "nothing is known of its issue"
    assert not renewal.is_hurried(FRESH, ago(DAY), None, NOW), "the CA did not ask"


def test_advice_for_an_earlier_certificate_counts_for_nothing() -> None:
    old = replace(advice(-2 * DAY, -1 * DAY), fingerprint="ee")
    assert judged(info=old) == NotDue(renewal.renew_at(FRESH))


REVOKED = Revocation(1, "0a", "pin", Reason.SUPERSEDED, NOW, distrusts_key=False)


def test_another_certificate_with_a_key_that_was_revoked_as_compromised_is_due() -> None:
    have = replace(FRESH, spki="pin=")
    for pins, due_ in (({"pin="}, Due("its key was revoked as compromised")), ({"other="}, None)):
        found = renewal.due(SPEC, have, None, now=NOW, directory_url=URL, issuance=None, distrusted=frozenset(pins))
        assert found == (due_ or NotDue(renewal.renew_at(have)))


def test_a_revoked_certificate_is_due() -> None:
    assert judged(revocation=REVOKED) == Due("revoked (superseded)")


OLD = installed(75 * DAY)
HELD = Rollback("mail", "ff", renewal.wish(SPEC, None, URL), NOW - DAY, NOW + 6 * DAY)


def test_a_certificate_that_was_put_back_into_use_is_not_renewed_away_for_a_while() -> None:
    assert judged(OLD, rollback=HELD) == NotDue(NOW + 6 * DAY, "rolled back")
    other = replace(OLD, names=frozenset({A, B}))
    assert judged(other, rollback=HELD) == NotDue(NOW + 6 * DAY, "rolled back")
    assert judged(rollback=HELD) == NotDue(renewal.renew_at(FRESH)), "not due anyway"


def test_a_rollback_ends_with_its_time_another_certificate_another_wish_or_a_clock_that_jumped() -> None:
    for over in (
        replace(HELD, held_until=NOW),
        replace(HELD, fingerprint="ee"),
        replace(HELD, wish="something else"),
        replace(HELD, held_until=NOW + 300 * DAY),
    ):
        assert isinstance(judged(OLD, rollback=over), Due)
    assert isinstance(judged(OLD, spec=replace(SPEC, names=frozenset({A, B})), rollback=HELD), Due)


def test_a_rollback_holds_back_neither_damage_nor_revocation_nor_a_person() -> None:
    assert judged(OLD, rollback=HELD, damage="`cert.pem` is missing") == Due("`cert.pem` is missing")
    assert judged(OLD, rollback=HELD, revocation=REVOKED) == Due("revoked (superseded)")
    assert judged(OLD, rollback=HELD, forced=True) == Due("asked for")


@pytest.mark.parametrize(("age", "held"), [(10 * DAY, 7 * DAY), (80 * DAY, 5 * DAY), (90 * DAY, DAY), (100 * DAY, DAY)])
def test_a_certificate_is_held_for_a_week_or_half_of_what_is_left(age: timedelta, held: timedelta) -> None:
    assert renewal.held_until(installed(age), NOW) == NOW + held


def test_a_wish_is_another_one_with_other_names_another_key_profile_account_or_ca() -> None:
    imposed = ImposedKey("`key.pem`", "pin")
    wishes = {
        renewal.wish(SPEC, None, URL),
        renewal.wish(replace(SPEC, names=frozenset({A, B})), None, URL),
        renewal.wish(replace(SPEC, key_type=KeyType.RSA_2048), None, URL),
        renewal.wish(replace(SPEC, profile="short"), None, URL),
        renewal.wish(replace(SPEC, account="other"), None, URL),
        renewal.wish(SPEC, imposed, URL),
        renewal.wish(SPEC, None, "https://other.test/directory"),
    }
    assert len(wishes) == 7
    assert renewal.wish(replace(SPEC, label="other"), None, URL) in wishes


def test_a_key_change_is_a_reason_once_it_need_not_wait() -> None:
    def changing(change: KeyChange, spec: CertificateSpec = SPEC) -> Due | NotDue:
        return renewal.due(spec, FRESH, None, now=NOW, directory_url=URL, issuance=None, key_change=change)

    at = changing(KeyChange())
    assert isinstance(at, NotDue)
    assert changing(KeyChange(asked=True)) == Due("another key was asked for")
    assert changing(KeyChange(asked=True, waits_for="not yet")) == NotDue(at.at, "another key was asked for; not yet")
    rsa = replace(SPEC, key_type=KeyType.RSA_2048)
    assert changing(KeyChange(), rsa) == Due("key type changed: ecdsa-p256 -> rsa-2048")
    assert changing(KeyChange(waits_for="not yet"), rsa) == NotDue(
        at.at, "key type changed: ecdsa-p256 -> rsa-2048; not yet"
    )
    assert changing(KeyChange(waits_for="not yet")) == at
