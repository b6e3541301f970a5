"""newAuthz at a CA that refuses it for a moment, for ever, or hands out what there already is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl import keys
from acmectl.ca.session import Session
from acmectl.errors import SolverError
from acmectl.master import beside
from acmectl.master.attempts import Proven
from acmectl.master.books import Books, remembered
from acmectl.master.preflight import Preflight
from acmectl.master.proving import Prover
from acmectl.master.refreshing import Orders, Outcomes, Refresher
from acmectl.master.retrying import Retrying
from acmectl.master.sparing import NotRefreshed, Stale
from acmectl.model.certificates import KeyType
from acmectl.model.names import Identifier
from acmectl.model.orders import Authorization, AuthorizationStatus
from acmectl.policy.refresh import Wanted
from acmectl.policy.replacing import Stake
from acmectl.solvers.base import Capabilities, Response
from acmectl.storage.memory import Memory
from tests.servers.faults import FaultyCA, Reply, problem, running_faults

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WANTED = Wanted(Identifier("a.example.com"), "default", None, "web")


class Sees:
    """A solver whose probes are always seen."""

    capabilities = Capabilities(("http-01",), wildcard=False)

    def publish(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:  # noqa: ARG002  # a Solver's
        return {}

    seen = remove = publish


class Setup:
    """A session with a scripted CA, and one stale name whose authorization the CA knows as `authorization/1`."""

    def __init__(self, ca: FaultyCA, session: Session, books: Books) -> None:
        self.ca, self.session, self.books = ca, session, books
        self.url = f"{ca.base}/authorization/1"
        self.preflight = Preflight(lambda _: Sees(), books, pool=1)
        ends = NOW + timedelta(hours=1)
        authorization = remembered(
            WANTED, self.url, expires_at=ends, validated_at=None, lifetime=None, challenge_type=None, now=NOW
        )
        self.stale = [Stale(WANTED, authorization, Stake.PATIENT)]

    def beside(self) -> Outcomes:
        prover = Prover(self.session, lambda _: Sees(), workers=1, books=self.books)
        return beside.refresh(self.stale, self.session, self.books, prover, self.preflight)

    def in_place(self) -> Outcomes:
        """A refresh at a CA that goes on showing what there was."""
        there = Authorization(self.url, WANTED.identifier, AuthorizationStatus.VALID, None, ())
        old = Proven(there, None, None, None, fresh=False)
        orders = Orders(
            prove=lambda names: dict.fromkeys(names, old),
            stale=lambda _: self.stale,
            asked=lambda names: [list(names)],
            give_up=lambda _: None,
            budget=lambda: 9,
            limit=lambda: 100,
        )
        retrying = Retrying(orders.prove, budget=orders.budget, pause=lambda _: None)
        refresher = Refresher(self.session, self.preflight, orders=orders, pool=1, given_up=set(), retrying=retrying)
        return refresher.refresh(self.stale, failed={}, good=())


@contextmanager
def _session(ca: FaultyCA) -> Iterator[Session]:
    with Session(
        ca.directory_url,
        key=keys.generate(KeyType.ECDSA_P256),
        account_url=f"{ca.base}/account/1",
        pauses=lambda _: None,
    ) as session:
        yield session


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    memory = Memory(tmp_path / "state.db")
    with running_faults() as ca:
        ca.script(
            "GET /directory", Reply(body=ca.directory | {"newAuthz": f"{ca.base}/new-authz", "meta": {}}, nonce="")
        )
        with _session(ca) as session:
            yield Setup(ca, session, Books(memory, directory_url=ca.directory_url, new_orders=9))
    memory.close()


@pytest.mark.parametrize("status", [500, 501, 503])
def test_new_authz_that_fails_for_a_moment_leaves_the_name_to_be_replaced_and_is_asked_again_in_the_next_run(
    setup: Setup, status: int
) -> None:
    setup.ca.script("POST /new-authz", problem(status, "serverInternal", "busy"))
    assert setup.beside() == {}
    assert beside.is_offered(setup.session, setup.books, None)


def test_new_authz_that_is_over_a_limit_leaves_the_name_alone(setup: Setup) -> None:
    setup.ca.script("POST /new-authz", problem(429, "rateLimited", "slow down"))
    outcome = setup.beside()[WANTED]
    assert isinstance(outcome, NotRefreshed)
    assert outcome.cause is not None
    assert beside.is_offered(setup.session, setup.books, None)


@pytest.mark.parametrize("status", [403, 404, 405])
def test_new_authz_that_is_not_there_is_not_asked_again(setup: Setup, status: int) -> None:
    setup.ca.script("POST /new-authz", problem(status, "malformed", "Page not found"))
    assert setup.beside() == {}  # the caller replaces it
    assert not beside.is_offered(setup.session, setup.books, None)


def test_a_name_that_new_authz_rejects_does_not_switch_it_off(setup: Setup) -> None:
    setup.ca.script("POST /new-authz", problem(400, "rejectedIdentifier", "forbidden by policy"))
    outcome = setup.beside()[WANTED]
    assert isinstance(outcome, NotRefreshed)
    assert "forbidden by policy" in outcome.message
    assert beside.is_offered(setup.session, setup.books, None)


def test_what_new_authz_hands_out_again_is_left_to_be_replaced(setup: Setup) -> None:
    """A CA may answer with the authorization that there is: that is the one to replace, and no success."""
    there = {
        "status": "valid",
        "expires": "2026-11-22T13:00:00Z",
        "identifier": {"type": "dns", "value": WANTED.identifier.value},
        "challenges": [],
    }
    setup.ca.script("POST /new-authz", Reply(201, there, {"Location": setup.url}))
    assert setup.beside() == {}
    assert beside.is_offered(setup.session, setup.books, None)


def test_a_deactivation_that_the_ca_refuses_is_no_loss_and_no_success(setup: Setup) -> None:
    setup.ca.script("POST /authorization/1", problem(403, "unauthorized", "not yours"))
    outcome = setup.in_place()[WANTED]
    assert isinstance(outcome, NotRefreshed)
    assert outcome.message.startswith("not refreshed: the old authorization could not be deactivated")
    assert "not yours" in outcome.message
