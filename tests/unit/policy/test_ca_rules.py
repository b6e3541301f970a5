from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from acmectl.policy.ca_rules import LETS_ENCRYPT, LETS_ENCRYPT_LIMITS, PEBBLE, Limit, cutoff, rules_at

_TODAY = datetime(2026, 8, 1, tzinfo=UTC)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("order_lifetime", "expected"),
    [
        (7 * _DAY, 21 * _HOUR),
        (8 * _HOUR, _HOUR),
        (_HOUR, _HOUR),
        (timedelta(0), _HOUR),
        (8 * _DAY, 24 * _HOUR),
        (90 * _DAY, 24 * _HOUR),
        (10 * _HOUR, timedelta(minutes=75)),
    ],
)
def test_the_cutoff_is_an_eighth_of_the_orders_lifetime_between_an_hour_and_a_day(
    order_lifetime: timedelta, expected: timedelta
) -> None:
    assert cutoff(order_lifetime) == expected


@pytest.mark.parametrize(
    ("when", "reuse", "certificate"),
    [
        (_TODAY, 30 * _DAY, 90 * _DAY),
        (datetime(2027, 2, 9, 23, 59, 59, tzinfo=UTC), 30 * _DAY, 90 * _DAY),
        (datetime(2027, 2, 10, tzinfo=UTC), 10 * _DAY, 64 * _DAY),
        (datetime(2028, 2, 15, tzinfo=UTC), 10 * _DAY, 64 * _DAY),
        (datetime(2028, 2, 16, tzinfo=UTC), 7 * _HOUR, 45 * _DAY),
        (datetime(2040, 1, 1, tzinfo=UTC), 7 * _HOUR, 45 * _DAY),
    ],
)
def test_classic_shrinks_on_the_announced_days(when: datetime, reuse: timedelta, certificate: timedelta) -> None:
    rules = rules_at("classic", when)
    assert (rules.reuse, rules.certificate_lifetime) == (reuse, certificate)
    shortened = reuse < _DAY  # not announced; with orders of 7 days nothing could be reused at all
    assert (rules.order_lifetime, rules.pending_lifetime) == ((8 * _HOUR, _HOUR) if shortened else (7 * _DAY, 7 * _DAY))
    assert rules.max_names == 100
    assert rules.cutoff < rules.reuse


@pytest.mark.parametrize(("profile", "certificate"), [("tlsserver", 45 * _DAY), ("shortlived", 160 * _HOUR)])
def test_the_short_profiles_have_short_orders_and_few_names(profile: str, certificate: timedelta) -> None:
    rules = rules_at(profile, _TODAY)
    assert rules.name == profile
    assert (rules.reuse, rules.order_lifetime, rules.pending_lifetime) == (7 * _HOUR, 8 * _HOUR, _HOUR)
    assert (rules.max_names, rules.certificate_lifetime, rules.cutoff) == (25, certificate, _HOUR)


def test_no_profile_means_the_default_one() -> None:
    assert rules_at(None, _TODAY) == rules_at("classic", _TODAY)


def test_an_unknown_profile_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        rules_at("no-such-profile", _TODAY)


def test_every_profile_is_named_after_its_key_and_has_rules_at_all_times() -> None:
    for name, eras in LETS_ENCRYPT.items():
        moments = [since for since, _ in eras]
        assert moments == sorted(moments)
        assert {rules.name for _, rules in eras} == {name}
        assert rules_at(name, datetime(1970, 1, 1, tzinfo=UTC)) == eras[0][1]


def test_the_limits_are_those_that_lets_encrypt_documents() -> None:
    assert LETS_ENCRYPT_LIMITS.new_orders == Limit(300, 3 * _HOUR)
    assert LETS_ENCRYPT_LIMITS.failed_validations == Limit(5, _HOUR)
    assert LETS_ENCRYPT_LIMITS.certificates_per_domain == Limit(50, 7 * _DAY)
    assert LETS_ENCRYPT_LIMITS.certificates_per_set == Limit(5, 7 * _DAY)


def test_pebble_keeps_authorizations_an_hour_and_orders_a_day() -> None:
    assert (PEBBLE.reuse, PEBBLE.pending_lifetime, PEBBLE.order_lifetime) == (_HOUR, _HOUR, _DAY)
