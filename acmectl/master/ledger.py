"""What came of the names of one account in this run, written down as soon as it is known: a run that is killed has lost nothing.

A valid authorization that came back is a new one, one that is good for long enough, or the one that was to be replaced. Which it is is
judged here too, for the last is remembered in another way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from acmectl.errors import AcmectlError, CAError, CARefused, CAUnreachable
from acmectl.master.attempts import Deactivated, Proven
from acmectl.master.books import Books, remembered
from acmectl.master.ordering import Unordered
from acmectl.master.report import NameResult, Outcome, Settings
from acmectl.master.sparing import NotRefreshed, Spared, Stale
from acmectl.model.memory import RememberedAuthorization
from acmectl.policy import refresh, replacing
from acmectl.policy.refresh import Knowledge, Wanted
from acmectl.policy.replacing import Zone

Outcomed = Proven | AcmectlError


class Ledger:
    """The outcomes of one account in one run."""

    def __init__(
        self,
        account: str,
        *,
        books: Books,
        settings: Settings,
        knowledge: Callable[[str | None], Knowledge],
        trail: Callable[[Wanted], str],
        now: Callable[[], datetime],
    ) -> None:
        """`knowledge` is of the CA, by profile; `trail` tells what was tried last for a name; `now` gives the CA's time."""
        self._account = account
        self._books = books
        self._settings = settings
        self._knowledge = knowledge
        self._trail = trail
        self._now = now
        self._until: dict[Wanted, datetime | None] = {}
        self._lost: set[Wanted] = set()
        self._good: set[tuple[str | None, Zone]] = set()
        self._results: dict[Wanted, NameResult] = {}
        self._outcomes: dict[Wanted, Outcomed] = {}

    def stands(self, standing: Mapping[Wanted, RememberedAuthorization]) -> None:
        """Until when followers can use what is not given up."""
        self._until |= {w: a.expires_at for w, a in standing.items()}

    def given_up(self, names: Iterable[Wanted]) -> None:
        """What is about to be deactivated."""
        self._lost |= {*names}

    def result(self, wanted: Wanted) -> NameResult:
        """What came of a name in the end."""
        return self._results[wanted]

    def outcome(self, wanted: Wanted) -> Outcomed | None:
        """What came of a name so far, if anything."""
        return self._outcomes.get(wanted)

    def good_zones(self, profile: str | None) -> set[Zone]:
        """The zones of which a name was proven in this run."""
        return {zone for of, zone in self._good if of == profile}

    def remember(self, outcomes: Mapping[Wanted, Outcomed]) -> None:
        """Write down what came of the names, in few transactions, and what to say of it.

        An authorization that is to be replaced is remembered as it is, and its failures with it: it has succeeded in nothing yet.
        """
        self._outcomes |= outcomes
        self._judge_zones(outcomes)
        stale = {s.wanted: s.authorization for s in self.stale(outcomes)}
        proven = {w: p for w, p in outcomes.items() if isinstance(p, Proven) and w not in stale}
        errors = {w: e for w, e in outcomes.items() if isinstance(e, AcmectlError)}
        self._books.seen(stale.values())
        self._results |= {w: NameResult(w, Outcome.FOUND, a.expires_at) for w, a in stale.items()}  # if nothing follows
        self._books.valid(self._remembered(w, p) for w, p in proven.items())
        own = {w: e for w, e in errors.items() if not isinstance(e, Unordered | Spared)}
        failures = self._books.failures.failed(own, self._now())
        results = [
            NameResult(w, Outcome.PROVEN if p.fresh else Outcome.FOUND, p.expires_at) for w, p in proven.items()
        ] + [
            NameResult(
                w,
                Outcome.FAILED,
                self._until.get(w) if isinstance(e, NotRefreshed) else None,
                e.message,
                e.hint,
                failures[w].retry_at if w in failures else getattr(e, "retry_at", None),
                is_paused=w in failures and failures[w].retry_at is None,
            )
            for w, e in errors.items()
        ]
        self._results |= {result.wanted: result for result in results}
        self._books.say(((r.wanted.identifier, r.outcome, self._words(r)) for r in results), self._now())

    def _judge_zones(self, outcomes: Mapping[Wanted, Outcomed]) -> None:
        """Remember where names failed that were given up: a later run gives no others of the zone up for it."""
        for profile in {w.profile for w in outcomes}:
            of_profile = {w: o for w, o in outcomes.items() if w.profile == profile}
            self._good |= {(profile, replacing.zone(w)) for w, o in of_profile.items() if _is_fresh(o)}
            good = self.good_zones(profile)
            failed = {replacing.zone(w) for w, o in of_profile.items() if w in self._lost and _could_not_be_proven(o)}
            self._books.validations.judge_zones(self._account, profile, failed=failed - good, proven=good)

    def failed_zones(self, profile: str | None) -> dict[Zone, int]:
        """How many names of a zone have failed in this run; of zones that failed before, as many as canaries do."""
        failed = Counter(
            replacing.zone(w) for w, o in self._outcomes.items() if w.profile == profile and _could_not_be_proven(o)
        )
        return failed | dict.fromkeys(self._books.validations.failed_zones(self._account, profile), replacing.CANARIES)

    def stale(self, outcomes: Mapping[Wanted, Outcomed]) -> list[Stale]:
        """The names whose authorization came back valid and is the one to replace, not a fresher one."""
        stale = []
        for wanted, outcome in outcomes.items():
            if not isinstance(outcome, Proven) or outcome.fresh:
                continue
            authorization, known = self._remembered(wanted, outcome), self._knowledge(wanted.profile)
            if refresh.is_stale(authorization, known, self._settings.schedule, self._now()):
                stale.append(self.candidate(wanted, authorization))
        return stale

    def candidate(self, wanted: Wanted, authorization: RememberedAuthorization) -> Stale:
        """A name whose authorization is to be replaced, and what is at stake."""
        schedule, now = self._settings.schedule, self._now()
        ends = refresh.horizon(authorization, self._knowledge(wanted.profile), schedule)
        return Stale(wanted, authorization, replacing.stake(ends.cutoff_at if ends else now, now, schedule.every))

    def _remembered(self, wanted: Wanted, proven: Proven) -> RememberedAuthorization:
        return self._books.with_lifetime(
            remembered(
                wanted,
                proven.authorization.url,
                expires_at=proven.expires_at,
                validated_at=proven.validated_at,
                lifetime=proven.lifetime,
                challenge_type=proven.challenge_type,
                now=self._now(),
            )
        )

    def _words(self, result: NameResult) -> str:
        """For the log: until when, or who failed whom and in whose words."""
        if result.outcome is not Outcome.FAILED:
            return f"until {result.expires_at:%Y-%m-%d %H:%M:%S} UTC" if result.expires_at else "until an unknown time"
        trail = self._trail(result.wanted)
        return f"{result.reason} [{trail}]" if trail else result.reason


def _is_fresh(outcome: Outcomed) -> bool:
    return isinstance(outcome, Proven) and outcome.fresh


def _could_not_be_proven(outcome: Outcomed) -> bool:
    """Whether the CA validated a name, or tried to, in vain: a refusal, an outage, or a solver says nothing of the zone at the CA."""
    return isinstance(outcome, CAError) and not isinstance(outcome, CARefused | CAUnreachable | Deactivated)
