"""Which names a master proves: a table of what is remembered, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from acmectl.model.memory import Failure, RememberedAuthorization
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus
from acmectl.policy import refresh
from acmectl.policy.lifetimes import MARGIN, Schedule
from acmectl.policy.refresh import Action, Knowledge, Wanted

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAME = Identifier("mail.example.com")
WANTED = Wanted(NAME, "default", "classic", "dns")
KNOWN: dict[str | None, Knowledge] = {"classic": Knowledge(timedelta(hours=21))}
HOURLY = Schedule(timedelta(hours=1))
LAPSE = Schedule(timedelta(hours=1), early=False)


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
    knowledge: dict[str | None, Knowledge] | None = None,
    schedule: Schedule = HOURLY,
    forced: bool = False,
    now: datetime = NOW,
    blocked: dict[str, Failure] | None = None,
) -> refresh.Decision:
    plan = refresh.plan(
        [WANTED],
        known,
        failures or {},
        now=now,
        knowledge=KNOWN if knowledge is None else knowledge,
        schedule=schedule,
        forced=frozenset({NAME}) if forced else frozenset(),
        blocked=blocked,
    )
    (decision,) = plan.decisions
    return decision


def test_a_name_that_was_never_seen_is_proven() -> None:
    assert (decide().action, decide().reason) == (Action.PROVE, "new")


EARLY = timedelta(hours=22) + MARGIN


def test_an_authorization_is_kept_until_the_run_after_the_next_would_be_too_late() -> None:
    decision = decide(remembered(EARLY + timedelta(minutes=1)))
    assert (decision.action, decision.at) == (Action.KEEP, NOW + timedelta(minutes=1))
    assert decide(remembered(EARLY)).action is Action.REFRESH
    assert decide(remembered(timedelta(hours=21, minutes=1))).action is Action.REFRESH


def test_an_authorization_that_the_ca_does_not_reuse_any_more_is_proven_again() -> None:
    assert decide(remembered(timedelta(hours=21))).action is Action.PROVE
    assert decide(remembered(timedelta(hours=-1))).reason == "lapsed: the CA does not reuse it any more"


def test_a_master_that_lets_authorizations_lapse_never_refreshes() -> None:
    assert decide(remembered(timedelta(hours=21, minutes=1)), schedule=LAPSE).action is Action.KEEP
    assert decide(remembered(timedelta(hours=21)), schedule=LAPSE).action is Action.PROVE


def test_where_nothing_is_ever_reused_nothing_is_refreshed() -> None:
    short = remembered(timedelta(hours=1), lifetime=timedelta(hours=7))
    assert decide(short).action is Action.KEEP
    assert decide(replace(short, expires_at=NOW)).action is Action.PROVE


def test_a_longer_order_than_published_raises_the_cutoff() -> None:
    longer: dict[str | None, Knowledge] = {"classic": Knowledge(timedelta(hours=21), timedelta(days=8))}
    assert decide(remembered(timedelta(hours=24)), knowledge=longer).action is Action.PROVE


def test_only_the_authorization_that_is_to_be_replaced_is_stale() -> None:
    known = KNOWN["classic"]
    assert refresh.is_stale(remembered(EARLY), known, HOURLY, NOW)
    assert not refresh.is_stale(remembered(timedelta(days=29)), known, HOURLY, NOW)
    assert not refresh.is_stale(remembered(timedelta(hours=1)), known, LAPSE, NOW)
    assert not refresh.is_stale(remembered(None), known, HOURLY, NOW)


def test_an_authorization_whose_end_is_unknown_is_looked_at_again() -> None:
    assert decide(remembered(None)).action is Action.PROVE


def test_an_authorization_that_was_lost_is_proven_with_the_cas_word_for_it() -> None:
    decision = decide(replace(remembered(timedelta(days=9)), status=AuthorizationStatus.DEACTIVATED))
    assert (decision.action, decision.reason) == (Action.PROVE, "lost: the CA says `deactivated`")


def test_of_two_authorizations_the_one_that_lives_longer_counts() -> None:
    old, new = (
        remembered(timedelta(hours=23)),
        replace(remembered(timedelta(days=29)), url="https://ca.example/authz/2"),
    )
    assert decide(old, new).authorization == new
    assert decide(new, old).authorization == new


def test_a_name_that_failed_waits_for_its_next_attempt() -> None:
    at = NOW + timedelta(minutes=5)
    decision = decide(failures=failure(at))
    assert (decision.action, decision.reason, decision.at) == (Action.WAIT, "failed before: DNS is down", at)
    assert decide(failures=failure(NOW)).action is Action.PROVE
    assert decide(failures=failure(None)).action is Action.WAIT


def test_a_name_of_a_refused_account_waits_with_it_and_a_kept_one_does_not_care() -> None:
    at = NOW + timedelta(hours=1)
    refused = {"default": Failure("account", "default", 1, NOW, NOW, at, "deactivated")}
    decision = decide(blocked=refused)
    assert (decision.action, decision.at, decision.failure) == (Action.WAIT, at, refused["default"])
    assert decision.reason == "the account `default` was refused: deactivated"
    assert decide(remembered(timedelta(days=29)), blocked=refused).action is Action.KEEP
    assert decide(blocked=refused, forced=True).action is Action.PROVE
    assert decide(blocked=refused, now=at).action is Action.PROVE
    assert decide(blocked={"mail": refused["default"]}).action is Action.PROVE


def test_a_name_that_a_person_asked_for_waits_as_well_while_the_ca_wants_its_account_left_alone() -> None:
    at = NOW + timedelta(minutes=20)
    limited = {"default": Failure("account", "default", 1, NOW, NOW, at, "too many new orders", asked_until=at)}
    decision = decide(blocked=limited, forced=True)
    assert (decision.action, decision.at, decision.failure) == (Action.WAIT, at, limited["default"])
    assert decision.reason == "the CA asked to leave the account `default` alone: too many new orders"
    assert decide(blocked=limited, forced=True, now=at).action is Action.PROVE


def test_what_ended_in_its_time_has_lapsed_and_what_ended_before_was_lost() -> None:
    gone = replace(remembered(timedelta(hours=2)), status=AuthorizationStatus.EXPIRED)
    assert decide(gone).reason == "lost: the CA says `expired`"
    assert decide(gone, now=NOW + timedelta(hours=2)).reason == "lapsed: the CA does not reuse it any more"


def test_a_name_that_a_person_asked_for_is_proven_whatever_is_remembered() -> None:
    decision = decide(remembered(timedelta(days=29)), failures=failure(None), forced=True)
    assert (decision.action, decision.reason) == (Action.PROVE, "asked for by name")


def test_the_same_name_under_another_profile_or_account_is_another_authorization() -> None:
    for other in (replace(WANTED, profile="tlsserver"), replace(WANTED, account="mail")):
        plan = refresh.plan([other], [remembered(timedelta(days=29))], {}, now=NOW, knowledge=KNOWN, schedule=HOURLY)
        assert plan.due == (other,)


def test_a_name_that_is_no_longer_wanted_is_forgotten() -> None:
    known = remembered(timedelta(days=29))
    assert refresh.plan([], [known], {}, now=NOW, knowledge=KNOWN, schedule=HOURLY).forget == (known,)


@given(
    left=st.timedeltas(min_value=timedelta(hours=-50), max_value=timedelta(days=90)),
    lifetime=st.none() | st.timedeltas(min_value=timedelta(minutes=1), max_value=timedelta(days=90)),
    every=st.timedeltas(min_value=timedelta(minutes=5), max_value=timedelta(days=2)),
    early=st.booleans(),
)
def test_the_moment_that_a_plan_names_is_the_moment_at_which_it_acts(
    left: timedelta, lifetime: timedelta | None, every: timedelta, *, early: bool
) -> None:
    known, schedule = remembered(left, lifetime), Schedule(every, early=early)
    decision = decide(known, knowledge={}, schedule=schedule)
    if decision.at is None:
        assert decision.action in {Action.PROVE, Action.REFRESH}
    else:
        before = decision.at - timedelta(microseconds=1)
        assert decide(known, knowledge={}, schedule=schedule, now=decision.at).action is not Action.KEEP
        assert decide(known, knowledge={}, schedule=schedule, now=before).action is Action.KEEP


def test_a_name_has_its_solvers_in_the_order_of_preference() -> None:
    name = Identifier("example.com")
    assert Wanted(name, "default", None, "dns").solvers == ("dns",)
    assert Wanted(name, "default", None, "dns", ("web", "hook")).solvers == ("dns", "web", "hook")
