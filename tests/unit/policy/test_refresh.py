"""Which names a master proves: a table of what is remembered, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acmectl.model.memory import Failure, RememberedAuthorization
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus
from acmectl.policy import refresh
from acmectl.policy.refresh import Action, Wanted

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAME = Identifier("mail.example.com")
WANTED = Wanted(NAME, "default", "classic", "dns")
CUTOFF: dict[str | None, timedelta] = {"classic": timedelta(hours=21)}


def remembered(left: timedelta | None, lifetime: timedelta | None = timedelta(days=30)) -> RememberedAuthorization:
    return RememberedAuthorization(
        account="default",
        profile="classic",
        identifier=NAME,
        url="https://ca.example/authz/1",
        status=AuthorizationStatus.VALID,
        expires_at=None if left is None else NOW + left,
        validated_at=None,
        lifetime=lifetime,
        challenge_type="dns-01",
        seen_at=NOW,
    )


def failure(retry_at: datetime | None) -> dict[str, Failure]:
    return {WANTED.failure_key: Failure("name", WANTED.failure_key, 1, NOW, NOW, retry_at, "DNS is down")}


def decide(
    *known: RememberedAuthorization,
    failures: dict[str, Failure] | None = None,
    cutoff: dict[str | None, timedelta] | None = None,
    forced: bool = False,
) -> refresh.Decision:
    plan = refresh.plan(
        [WANTED],
        known,
        failures or {},
        now=NOW,
        cutoff=CUTOFF if cutoff is None else cutoff,
        forced=frozenset({NAME}) if forced else frozenset(),
    )
    (decision,) = plan.decisions
    return decision


def test_a_name_that_was_never_seen_is_proven() -> None:
    assert (decide().action, decide().reason) == (Action.PROVE, "new")


def test_an_authorization_is_kept_while_followers_can_use_it() -> None:
    decision = decide(remembered(timedelta(hours=22)))
    assert (decision.action, decision.at) == (Action.KEEP, NOW + timedelta(hours=1))


def test_an_authorization_is_proven_again_once_the_ca_stops_reusing_it() -> None:
    assert decide(remembered(timedelta(hours=21))).action is Action.PROVE
    assert decide(remembered(timedelta(hours=-1))).action is Action.PROVE


def test_an_authorization_whose_end_is_unknown_is_looked_at_again() -> None:
    assert decide(remembered(None)).action is Action.PROVE


def test_an_authorization_that_was_lost_is_proven_with_the_cas_word_for_it() -> None:
    decision = decide(replace(remembered(timedelta(days=9)), status=AuthorizationStatus.DEACTIVATED))
    assert (decision.action, decision.reason) == (Action.PROVE, "lost: the CA says `deactivated`")


def test_of_two_authorizations_the_one_that_lives_longer_counts() -> None:
    old, new = remembered(timedelta(hours=2)), replace(remembered(timedelta(days=29)), url="https://ca.example/authz/2")
    assert decide(old, new).authorization == new
    assert decide(new, old).authorization == new


def test_a_name_that_failed_waits_for_its_next_attempt() -> None:
    at = NOW + timedelta(minutes=5)
    decision = decide(failures=failure(at))
    assert (decision.action, decision.reason, decision.at) == (Action.WAIT, "failed before: DNS is down", at)
    assert decide(failures=failure(NOW)).action is Action.PROVE
    assert decide(failures=failure(None)).action is Action.WAIT


def test_a_name_that_a_person_asked_for_is_proven_whatever_is_remembered() -> None:
    decision = decide(remembered(timedelta(days=29)), failures=failure(None), forced=True)
    assert (decision.action, decision.reason) == (Action.PROVE, "asked for by name")


def test_the_same_name_under_another_profile_or_account_is_another_authorization() -> None:
    for other in (replace(WANTED, profile="tlsserver"), replace(WANTED, account="mail")):
        plan = refresh.plan([other], [remembered(timedelta(days=29))], {}, now=NOW, cutoff=CUTOFF)
        assert plan.due == (other,)


def test_a_name_that_is_no_longer_wanted_is_forgotten() -> None:
    known = remembered(timedelta(days=29))
    assert refresh.plan([], [known], {}, now=NOW, cutoff=CUTOFF).forget == (known,)


@pytest.mark.parametrize(
    ("lifetime", "cutoff"),
    [
        (None, timedelta(hours=24)),
        (timedelta(days=30), timedelta(hours=24)),
        (timedelta(days=2), timedelta(days=2) / 7),
        (timedelta(hours=1), timedelta(hours=1)),
    ],
)
def test_the_cutoff_of_an_unknown_ca_is_estimated_from_above(lifetime: timedelta | None, cutoff: timedelta) -> None:
    assert refresh.estimated_cutoff(lifetime) == cutoff


def test_an_authorization_shorter_than_the_cutoff_is_not_asked_for_at_every_run() -> None:
    short = remembered(timedelta(minutes=58), lifetime=timedelta(hours=1))
    assert decide(short, cutoff={}).action is Action.KEEP
    assert decide(replace(short, expires_at=NOW + timedelta(minutes=54)), cutoff={}).action is Action.PROVE


@given(
    left=st.timedeltas(min_value=timedelta(hours=-50), max_value=timedelta(days=90)),
    lifetime=st.none() | st.timedeltas(min_value=timedelta(minutes=1), max_value=timedelta(days=90)),
)
def test_the_moment_that_a_plan_names_is_the_moment_at_which_it_acts(
    left: timedelta, lifetime: timedelta | None
) -> None:
    known = remembered(left, lifetime)
    decision = decide(known, cutoff={})
    if decision.at is None:
        assert decision.action is Action.PROVE
    else:
        at = refresh.plan([WANTED], [known], {}, now=decision.at, cutoff={})
        just_before = refresh.plan([WANTED], [known], {}, now=decision.at - timedelta(microseconds=1), cutoff={})
        assert at.due == (WANTED,)
        assert just_before.due == ()
