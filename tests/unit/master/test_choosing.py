"""Which of several solvers proves a name, and what is said of those that are passed over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl.errors import AcmectlError, CAError, SolverError
from acmectl.master.books import Books
from acmectl.master.choosing import Choice, Choosing
from acmectl.master.preflight import Preflight, Probed
from acmectl.master.receipts import RememberedReceipts
from acmectl.master.trying import attempt
from acmectl.model.names import Identifier
from acmectl.policy.refresh import Wanted
from acmectl.solvers.base import Capabilities, Probe, Response
from acmectl.storage.memory import Memory

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DNS = Capabilities(("dns-01",), wildcard=True)
WEB = Capabilities(("http-01",), wildcard=False)
BOTH = Capabilities(("dns-01", "http-01"), wildcard=True, ip=True)


class Fake:
    """A solver that cannot publish for `bad` names, and notes what lies in the world."""

    def __init__(self, capabilities: Capabilities, *bad: str) -> None:
        self.capabilities = capabilities
        self.bad = bad
        self.calls: list[tuple[str, ...]] = []
        self.lying: set[Response] = set()

    def publish(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:
        self.calls.append(tuple(r.identifier.value for r in responses))
        self.lying |= set(responses)
        return {r: SolverError("no such zone") for r in responses if r.identifier.value in self.bad}

    def seen(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:  # noqa: ARG002  # sees all
        return {}

    def remove(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:
        self.lying -= set(responses)
        return {}


class Desk:
    """A choosing over some solvers, with its books."""

    def __init__(self, directory: Path, **solvers: Fake) -> None:
        self.solvers = solvers
        self.memory = Memory(directory / "state.db")
        self.books = Books(self.memory, new_orders=300, directory_url="https://ca.test/directory")
        self.choosing = Choosing(self.solver, self.books, now=lambda: NOW)
        self.preflight = Preflight(self.solver, self.books, pool=2, choosing=self.choosing)

    def solver(self, name: str) -> Fake:
        if name not in self.solvers:
            raise SolverError(f"the plug-in `{name}` is broken")
        return self.solvers[name]

    def told(self) -> list[str]:
        return [f"{event.subject}: {event.text}" for event in self.memory.events()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(
        tmp_path, dns=Fake(DNS, "bad.test", "worst.test"), web=Fake(WEB, "worst.test"), both=Fake(BOTH), dear=DEAR
    )
    yield made
    made.memory.close()


DEAR = Fake(Capabilities(("dns-01",), wildcard=True, probe=Probe.NONE), "bad.test")


def wanted(name: str, *solvers: str) -> Wanted:
    return Wanted(Identifier(name), "default", None, solvers[0], solvers[1:])


@pytest.mark.parametrize(
    ("name", "solvers", "offered", "expected"),
    [
        ("a.test", ["dns", "web"], None, ("dns", "dns-01")),
        ("a.test", ["web", "dns"], None, ("web", "http-01")),
        ("a.test", ["dns", "web"], ["http-01"], ("web", "http-01")),
        ("a.test", ["both"], ["http-01"], ("both", "http-01")),
        ("*.a.test", ["web", "dns"], None, ("dns", "dns-01")),
        ("*.a.test", ["both"], ["dns-01", "http-01"], ("both", "dns-01")),
        ("192.0.2.1", ["dns", "both"], None, ("both", "http-01")),
        ("a.test", ["broken", "web"], None, ("web", "http-01")),
    ],
)
def test_the_first_that_can_and_that_the_ca_offers_is_chosen(
    desk: Desk, name: str, solvers: list[str], offered: list[str] | None, expected: tuple[str, str]
) -> None:
    choice = desk.choosing.first(wanted(name, *solvers), offered)
    assert (choice.solver, choice.type) == expected


def test_why_one_was_passed_over_is_in_the_log_once(desk: Desk) -> None:
    for _ in range(2):
        desk.choosing.first(wanted("*.a.test", "web", "broken", "dns"))
        desk.choosing.first(wanted("a.test", "dns", "web"), ["http-01"])
    assert desk.told() == [
        "*.a.test: solver `web` is passed over: solver `web` cannot prove a wildcard",
        "*.a.test: solver `broken` is passed over: the plug-in `broken` is broken",
        "a.test: solver `dns` is passed over: solver `dns` proves by dns-01, but the CA offers http-01",
    ]


@pytest.mark.parametrize(
    ("name", "solvers", "message"),
    [
        ("a.test", ["dns"], "solver `dns` proves by dns-01, but the CA offers http-01"),
        ("192.0.2.1", ["dns"], "solver `dns` cannot prove an address"),
        (
            "a.test",
            ["dns", "broken"],
            "no solver works: solver `dns` proves by dns-01, but the CA offers http-01; the plug-in `broken` is broken",
        ),
    ],
)
def test_where_none_is_left_every_reason_is_told(desk: Desk, name: str, solvers: list[str], message: str) -> None:
    with pytest.raises(AcmectlError) as caught:
        desk.choosing.first(wanted(name, *solvers), ["http-01"])
    assert caught.value.message == message


def test_a_name_that_fails_its_probe_is_tried_by_its_next_solver(desk: Desk) -> None:
    good, bad = wanted("good.test", "dns", "web"), wanted("bad.test", "dns", "web")
    worst, alone = wanted("worst.test", "dns", "web"), wanted("bad.test", "dns")
    failed = desk.preflight.failing([good, bad, worst, alone])
    assert {w: e.message for w, e in failed.items()} == {
        worst: "no solver works: `dns`: no such zone; `web`: no such zone",
        alone: "no such zone",
    }
    assert desk.solvers["dns"].calls == [("good.test", "bad.test", "worst.test", "bad.test")]
    assert desk.solvers["web"].calls == [("bad.test", "worst.test")]
    assert not any(solver.lying for solver in desk.solvers.values())
    assert desk.preflight.failing([good, bad]) == {}
    assert len(desk.solvers["dns"].calls) == 1, "what passed is not probed again"


def test_what_failed_earlier_in_the_run_comes_last_and_is_still_tried_when_there_is_no_other(desk: Desk) -> None:
    name = wanted("bad.test", "dns", "web")
    desk.preflight.failing([name])
    assert desk.choosing.first(name).solver == "web"
    assert desk.choosing.first(name, ["dns-01"]).solver == "dns"
    assert "bad.test: solver `dns` is passed over: no such zone" in desk.told()


class Runs:
    """A name with two solvers in runs that follow each other."""

    def __init__(self, desk: Desk) -> None:
        self.name = wanted("a.test", "web", "dns")
        self.desk = desk

    def chosen(self, after: timedelta = timedelta()) -> str:
        """By a run of its own, which knows what the books say."""
        return Choosing(self.desk.solver, self.desk.books, now=lambda: NOW + after).first(self.name).solver

    def validated(self, solver: str, error: AcmectlError | None, after: timedelta = timedelta()) -> None:
        choosing = Choosing(self.desk.solver, self.desk.books, now=lambda: NOW + after)
        choosing.validated({(self.name, solver): error})


def test_what_the_ca_did_not_validate_comes_last_in_later_runs_for_a_month(desk: Desk) -> None:
    runs = Runs(desk)
    runs.validated("web", CAError("the CA's validation failed: connection"))
    assert runs.chosen() == "dns"
    assert desk.told() == ["a.test: solver `web` is passed over: the CA's validation failed: connection"]
    assert runs.chosen(timedelta(days=29)) == "dns"
    assert runs.chosen(timedelta(days=31)) == "web"


def test_solvers_that_the_ca_did_not_validate_take_turns(desk: Desk) -> None:
    runs = Runs(desk)
    for hour, solver in enumerate(["web", "dns", "web", "dns"]):
        assert runs.chosen(timedelta(hours=hour)) == solver
        runs.validated(solver, CAError("not found"), timedelta(hours=hour))


def test_a_solver_that_the_ca_validated_is_no_longer_passed_over(desk: Desk) -> None:
    runs = Runs(desk)
    runs.validated("web", CAError("not found"))
    runs.validated("web", None)
    assert runs.chosen() == "web"


def test_nothing_is_kept_of_a_name_with_one_solver(desk: Desk) -> None:
    desk.choosing.validated({(wanted("a.test", "web"), "web"): CAError("not found")})
    assert desk.memory.facts("failed-validations") == ()


def test_a_solver_that_may_not_be_probed_is_taken_on_trust(desk: Desk) -> None:
    DEAR.calls.clear()
    name = wanted("bad.test", "dear")
    assert desk.preflight.failing([name]) == {}
    (trial,) = attempt([name], desk.choosing, desk.preflight)
    assert (trial.error, trial.is_probed, trial.failed) == (None, False, False)
    assert DEAR.calls == []


def test_trying_tells_every_solver_that_was_tried(desk: Desk) -> None:
    names = [wanted("bad.test", "web", "dns"), wanted("*.a.test", "web", "dns"), wanted("worst.test", "dns", "web")]
    first = attempt(names, desk.choosing, desk.preflight)
    assert [(str(t.wanted.identifier), t.solver, t.type, t.failed) for t in first] == [
        ("bad.test", "web", "http-01", False),
        ("*.a.test", "web", None, False),
        ("*.a.test", "dns", "dns-01", False),
        ("worst.test", "dns", "dns-01", True),
        ("worst.test", "web", "http-01", True),
    ]
    every = attempt(names[:1], desk.choosing, desk.preflight, every=True)
    assert [(t.solver, t.failed) for t in every] == [("web", False), ("dns", True)]


def test_all_names_of_a_solver_travel_in_one_batch(desk: Desk) -> None:
    names = [wanted(f"n{number}.test", "dns") for number in range(200)]
    desk.preflight.failing(names)
    assert [len(call) for call in desk.solvers["dns"].calls] == [200]


def test_a_solver_that_raises_fails_its_names_and_no_others(desk: Desk) -> None:
    candidates = [
        (wanted("a.test", "broken"), Choice("broken", "dns-01", Probe.PUBLISH)),
        (wanted("a.test", "web"), Choice("web", "http-01", Probe.PUBLISH)),
    ]
    outcomes = list(desk.preflight.probe(candidates).values())
    assert [outcome.error is None for outcome in outcomes].count(True) == 1
    assert Probed() in outcomes


def test_receipts_outlive_the_process_and_go_when_their_response_is_removed(desk: Desk, tmp_path: Path) -> None:
    ours = [Response(Identifier("a.test"), "dns-01", f"token{n}", "x") for n in range(3)]
    receipts = RememberedReceipts("dns", desk.memory, desk.books)
    desk.books.litter.publishing("dns", ours)
    receipts.put(ours[0], "record 0")
    receipts.put(ours[1], "record 1")
    memory = Memory(tmp_path / "state.db")
    later = RememberedReceipts("dns", memory, Books(memory, new_orders=300, directory_url="https://ca.test/directory"))
    assert [later.get(response) for response in ours] == ["record 0", "record 1", None]
    desk.books.litter.removed("dns", ours[:1])
    receipts.put(ours[2], "record 2")
    assert [later.get(response) for response in ours] == [None, "record 1", "record 2"]
    memory.close()


def test_what_could_not_be_published_is_not_called_left_behind(tmp_path: Path) -> None:
    class Down(Fake):
        def remove(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:
            return {response: SolverError("no such record") for response in responses}

    desk = Desk(tmp_path, down=Down(DNS, "bad.test"))
    names = [(wanted(name, "down"), Choice("down", "dns-01", Probe.PUBLISH)) for name in ("bad.test", "good.test")]
    bad, good = desk.preflight.probe(names).values()
    desk.memory.close()
    assert (bad.error is None, bad.left) == (False, None)
    assert good.error is None
    assert good.left is not None
