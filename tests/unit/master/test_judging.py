"""What is believed of the authorizations of a ready order of which only one was looked at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from acmectl import keys
from acmectl.ca.session import Session
from acmectl.master.attempts import Attempt, Proven
from acmectl.master.judging import Judge
from acmectl.model.certificates import KeyType
from acmectl.model.names import Identifier
from acmectl.model.orders import Authorization, AuthorizationStatus, Challenge, ChallengeStatus, Order, OrderStatus
from acmectl.policy.refresh import Wanted
from acmectl.solvers.base import Response
from tests.servers.faults import FaultyCA, Reply, running_faults

ANSWERED = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=40)  # the CA's `Date` is that of the system
VALIDATED = ANSWERED + timedelta(seconds=30)  # the first one took its time
LIFETIME = timedelta(hours=7)
NAMES = tuple(Wanted(Identifier(name), "default", None, "web") for name in ("slow.test", "quick.test"))


@pytest.fixture
def ca() -> Iterator[FaultyCA]:
    with running_faults() as server:
        yield server


def judged(ca: FaultyCA, *, says_when: bool) -> list[Proven]:
    """Both names of an order, by the word of the CA on the first."""
    said = {"validated": f"{VALIDATED:%Y-%m-%dT%H:%M:%SZ}"} if says_when else {}
    challenge = {"type": "http-01", "url": ca.base + "/challenge/0", "status": "valid", "token": "token", **said}
    shown = {
        "status": "valid",
        "identifier": {"type": "dns", "value": "slow.test"},
        "expires": f"{VALIDATED + LIFETIME:%Y-%m-%dT%H:%M:%SZ}",
        "challenges": [challenge],
    }
    urls = [f"{ca.base}/authz/{number}" for number in (0, 1)]
    order = {
        "status": "ready",
        "identifiers": [{"type": "dns", "value": w.identifier.value} for w in NAMES],
        "authorizations": urls,
        "finalize": ca.base + "/finalize",
    }
    ca.script("POST /order", Reply(200, order, {"Content-Type": "application/json"}))
    ca.script("POST /authz/0", Reply(200, shown, {"Content-Type": "application/json"}))
    attempts = [_attempt(wanted, url) for wanted, url in zip(NAMES, urls, strict=True)]
    opened = Order(ca.base + "/order", OrderStatus.PENDING, frozenset(w.identifier for w in NAMES), tuple(urls), "f")
    with Session(
        ca.directory_url,
        key=keys.generate(KeyType.ECDSA_P256),
        account_url=ca.base + "/account/1",
        pauses=lambda _: None,
    ) as session:
        judge = Judge(session, pool=1, timeout=timedelta(minutes=3))
        results = judge.wait([(opened, NAMES)], dict.fromkeys(attempts, ANSWERED), {})
    proven = [results[wanted] for wanted in NAMES]
    assert [request.path for request in ca.requests].count("/authz/1") == 0, "one look speaks for all"
    return [p for p in proven if isinstance(p, Proven)]


def _attempt(wanted: Wanted, url: str) -> Attempt:
    challenge = Challenge("http-01", f"{url}/http", status=ChallengeStatus.PENDING, token="token")
    authorization = Authorization(url, wanted.identifier, AuthorizationStatus.PENDING, None, (challenge,))
    return Attempt(
        wanted, wanted.solver, authorization, challenge, Response(wanted.identifier, "http-01", "token", "token.key")
    )


def test_siblings_get_the_lifetime_that_was_seen(ca: FaultyCA) -> None:
    slow, quick = judged(ca, says_when=True)
    assert (slow.expires_at, slow.lifetime, slow.validated_at) == (VALIDATED + LIFETIME, LIFETIME, VALIDATED)
    assert (quick.expires_at, quick.lifetime) == (ANSWERED + LIFETIME, LIFETIME)


def test_where_the_ca_does_not_say_when_it_validated_the_answer_stands_in_and_siblings_get_a_bound_from_below(
    ca: FaultyCA,
) -> None:
    slow, quick = judged(ca, says_when=False)
    assert (slow.expires_at, slow.lifetime) == (VALIDATED + LIFETIME, VALIDATED + LIFETIME - ANSWERED)
    assert quick.expires_at is not None
    assert ANSWERED + LIFETIME - timedelta(hours=1) < quick.expires_at <= ANSWERED + LIFETIME, (
        "never later than the truth"
    )
