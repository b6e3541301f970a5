"""Open orders -> valid authorizations: publish, see, answer, wait, and clean up in any case.

Names are judged by their authorizations, never by the order that carried them: one failed name makes the order
invalid while the others become valid, and a follower with the same set of names may finalize it under our hands.

Requests: an authorization is fetched once and its challenge answered once; the *order* is polled for all its names; then one
authorization of the order is fetched again, to learn when it expires. Its siblings were validated within the same
minute: they get the moment before their answer plus the lifetime seen, a bound that is never later than the truth.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl import workers
from acmectl.errors import AcmectlError, CAError, Problem, SolverError
from acmectl.master.choosing import Choosing
from acmectl.model.orders import Authorization, AuthorizationStatus, Challenge, ChallengeStatus, Order, OrderStatus
from acmectl.policy.refresh import Wanted
from acmectl.solvers.base import Response, Solver

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.master.books import Books

log = logging.getLogger(__name__)

ORDER_TIMEOUT = timedelta(minutes=3)  # Boulder retries a validation for about a minute and a half


@dataclass(frozen=True, slots=True)
class Proven:
    """A valid authorization, and since when it is known to be; `fresh` if this run proved it."""

    authorization: Authorization
    expires_at: datetime | None
    lifetime: timedelta | None
    challenge_type: str | None
    fresh: bool


class Deactivated(CAError):
    """An authorization was taken away while it was being proven: a follower released a stuck order; order again."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One pending authorization on its way."""

    wanted: Wanted
    solver: str
    authorization: Authorization
    challenge: Challenge
    response: Response


class Prover:
    """Proves the pending authorizations of a set of orders of one account."""

    def __init__(
        self,
        session: Session,
        solver: Callable[[str], Solver],
        *,
        workers: int,
        books: Books,
        timeout: timedelta = ORDER_TIMEOUT,
        choosing: Choosing | None = None,
    ) -> None:
        """`solver` gives a solver by name; `books` note what lies in the world; the CA may take `timeout` for one order.

        `choosing` is the run's, which knows what a preflight has found out.
        """
        self._session = session
        self._solver = solver
        self._workers = workers
        self._books = books
        self._timeout = timeout
        self._choosing = choosing or Choosing(solver, books, now=session.ca_now)
        self._trails: dict[Wanted, str] = {}
        self._unpublished: set[Response] = set()

    def trail(self, wanted: Wanted) -> str:
        """What was tried last for a name: which challenge of which authorization of which order."""
        return self._trails.get(wanted, "")

    def prove(
        self, orders: Iterable[tuple[Order, tuple[Wanted, ...]]]
    ) -> tuple[dict[Wanted, Proven], dict[Wanted, AcmectlError]]:
        """Bring every authorization of `orders` to a decision; returns the valid ones and the reasons of the others."""
        orders = list(orders)
        authorizations, errors = self._fetch(orders)
        self._note_arrivals(orders, authorizations)
        return self._decide(orders, authorizations, errors)

    def prove_alone(
        self, authorizations: Mapping[Wanted, Authorization]
    ) -> tuple[dict[Wanted, Proven], dict[Wanted, AcmectlError]]:
        """As `prove`, for authorizations that no order carries (newAuthz)."""
        return self._decide([], authorizations, {})

    def _decide(
        self,
        orders: list[tuple[Order, tuple[Wanted, ...]]],
        authorizations: Mapping[Wanted, Authorization],
        errors: dict[Wanted, AcmectlError],
    ) -> tuple[dict[Wanted, Proven], dict[Wanted, AcmectlError]]:
        proven = {w: _seen(a) for w, a in authorizations.items() if a.status is AuthorizationStatus.VALID}
        attempts: list[_Attempt] = []
        try:
            published = self._published(authorizations, attempts, errors)
            answered = self._answer(published, errors)
            proven |= self._wait(orders, answered, errors)
        finally:
            self._remove(attempts)
        return proven, errors

    def _published(
        self,
        authorizations: Mapping[Wanted, Authorization],
        attempts: list[_Attempt],
        errors: dict[Wanted, AcmectlError],
    ) -> list[_Attempt]:
        """Publish and see, by the next solver of a name where one fails; what is tried is noted in `attempts` before."""
        seen: list[_Attempt] = []
        tried: dict[Wanted, dict[str, AcmectlError]] = {}
        pending = dict(authorizations)
        while begun := self._attempts(pending, tried, errors):
            self._note_choices(begun)
            attempts += begun
            failed = self._publish(begun)
            seen += [a for a in begun if a not in failed]
            for attempt, reason in failed.items():
                tried.setdefault(attempt.wanted, {})[attempt.solver] = reason
                self._choosing.failed(attempt.wanted, attempt.solver, reason)
            pending = {a.wanted: a.authorization for a in failed}
        return seen

    def _fetch(
        self, orders: list[tuple[Order, tuple[Wanted, ...]]]
    ) -> tuple[dict[Wanted, Authorization], dict[Wanted, AcmectlError]]:
        from acmectl.ca.orders import fetch_authorization

        by_url = {url: names for order, names in orders for url in order.authorization_urls}
        fetched, failed = workers.each(
            by_url, lambda url: fetch_authorization(self._session, url), workers=self._workers
        )
        found: dict[Wanted, Authorization] = {}
        for url, authorization in fetched.items():
            found |= {w: authorization for w in by_url[url] if w.identifier == authorization.identifier}
        reason = next(iter(failed.values()), CAError("the CA's order does not list an authorization for it"))
        errors = {w: reason for _, names in orders for w in names if w not in found}
        return found, errors

    def _note_arrivals(
        self, orders: list[tuple[Order, tuple[Wanted, ...]]], authorizations: Mapping[Wanted, Authorization]
    ) -> None:
        """Which order brought which authorization: many to many, on servers that reuse both."""
        arrived = []
        for order, names in orders:
            for wanted in names:
                if authorization := authorizations.get(wanted):
                    self._trails[wanted] = f"authorization {authorization.url} of order {order.url}"
                    text = f"{authorization.url} ({authorization.status}), by order {order.url}"
                    arrived.append((wanted.identifier, "authorization", text))
        self._books.say(arrived, self._session.ca_now())

    def _note_choices(self, attempts: Iterable[_Attempt]) -> None:
        """Which challenge was preferred, and why."""
        chosen = []
        for attempt in attempts:
            kind, authorization = attempt.challenge.type, attempt.authorization
            self._trails.setdefault(attempt.wanted, f"authorization {authorization.url}")
            self._trails[attempt.wanted] = f"challenge {kind} of {self._trails[attempt.wanted]}"
            offered = ", ".join(sorted(c.type for c in authorization.challenges))
            text = f"{kind}, the first of what solver `{attempt.solver}` can do; the CA offers {offered}"
            chosen.append((attempt.wanted.identifier, "challenge", text))
        self._books.say(chosen, self._session.ca_now())

    def _attempts(
        self,
        authorizations: Mapping[Wanted, Authorization],
        tried: Mapping[Wanted, Mapping[str, AcmectlError]],
        errors: dict[Wanted, AcmectlError],
    ) -> list[_Attempt]:
        attempts = []
        for wanted, authorization in authorizations.items():
            if authorization.status is AuthorizationStatus.VALID:
                continue
            try:
                attempts.append(self._attempt(wanted, authorization, tried.get(wanted, {})))
            except AcmectlError as error:
                errors[wanted] = error
        return attempts

    def _attempt(self, wanted: Wanted, authorization: Authorization, tried: Mapping[str, AcmectlError]) -> _Attempt:
        from acmectl.ca.proving import key_authorization

        if authorization.status is not AuthorizationStatus.PENDING:
            raise judged(authorization)
        offered = {c.type: c for c in authorization.challenges}
        choice = self._choosing.first(wanted, offered, tried)
        challenge = offered[choice.type]
        response = Response(
            wanted.identifier, challenge.type, challenge.token, key_authorization(self._session, challenge)
        )
        return _Attempt(wanted, choice.solver, authorization, challenge, response)

    def _publish(self, attempts: list[_Attempt]) -> dict[_Attempt, AcmectlError]:
        """Publish and see; returns why which attempts may not be answered."""
        groups = _by_solver(attempts)

        def publish(name: str) -> dict[Response, SolverError]:
            solver, responses = self._solver(name), tuple(a.response for a in groups[name])
            self._books.publishing(name, responses)
            failures = dict(solver.publish(responses))
            self._unpublished.update(failures)
            return failures | dict(solver.seen([r for r in responses if r not in failures]))

        failed, broken = workers.each(groups, publish, workers=self._workers)
        reasons = {a: broken.get(a.solver) or failed[a.solver].get(a.response) for a in attempts}
        return {attempt: reason for attempt, reason in reasons.items() if reason is not None}

    def _answer(self, attempts: list[_Attempt], errors: dict[Wanted, AcmectlError]) -> dict[_Attempt, datetime]:
        """Answer what was seen; returns when (by the CA's clock), just before each answer."""
        from acmectl.ca.proving import answer

        def respond(attempt: _Attempt) -> datetime:
            at = self._session.ca_now()
            if attempt.challenge.status is ChallengeStatus.PENDING:
                answer(self._session, attempt.challenge, identifier=attempt.wanted.identifier)
            return at

        answered, failed = workers.each(attempts, respond, workers=self._workers)
        for attempt, error in failed.items():
            errors[attempt.wanted] = self._after_refusal(attempt, error)
        return answered

    def _after_refusal(self, attempt: _Attempt, error: AcmectlError) -> AcmectlError:
        """Why an answer was refused: perhaps the authorization was taken away under us ("must be pending")."""
        from acmectl.ca.orders import fetch_authorization

        try:
            now = fetch_authorization(self._session, attempt.authorization.url)
        except CAError:
            return error
        return judged(now) if now.status is AuthorizationStatus.DEACTIVATED else error

    def _wait(
        self,
        orders: list[tuple[Order, tuple[Wanted, ...]]],
        answered: Mapping[_Attempt, datetime],
        errors: dict[Wanted, AcmectlError],
    ) -> dict[Wanted, Proven]:
        by_order = {
            order.url: [a for a in answered if a.authorization.url in order.authorization_urls] for order, _ in orders
        }
        whole = [order.url for order, names in orders if by_order[order.url] and set(names).isdisjoint(errors)]
        until: dict[_Attempt, float] = {}

        def settle(url: str) -> dict[Wanted, Proven | AcmectlError]:
            end = self._end()
            until.update(dict.fromkeys(by_order[url], end))
            return self._settle(url, {a: answered[a] for a in by_order[url]}, until=end)

        settled, failed = workers.each(whole, settle, workers=self._workers)
        results: dict[Wanted, Proven | AcmectlError] = {}
        for url, error in failed.items():
            results |= dict.fromkeys((a.wanted for a in by_order[url]), error)
        for of_order in settled.values():
            results |= of_order
        results |= self._judge_each({a: until.get(a, self._end()) for a in answered if a.wanted not in results})
        errors.update({w: result for w, result in results.items() if not isinstance(result, Proven)})
        return {w: result for w, result in results.items() if isinstance(result, Proven)}

    def _end(self) -> float:
        """When the CA's time for an order that is waited for from now on is over, on the clock that nobody sets."""
        return self._session.clocks.monotonic() + self._timeout.total_seconds()

    def _judge_each(self, until: Mapping[_Attempt, float]) -> dict[Wanted, Proven | AcmectlError]:
        """Look at authorizations one by one. A hundred that hang take no longer than one: they share their order's time."""
        done, failed = workers.each(until, lambda a: self._judge(a, until=until[a]), workers=self._workers)
        return {a.wanted: result for a, result in (done | failed).items()}

    def _settle(
        self, url: str, answered: Mapping[_Attempt, datetime], *, until: float
    ) -> dict[Wanted, Proven | AcmectlError]:
        """Wait for one order that can become ready: one poll of it speaks for all its names. Empty where it does not."""
        from acmectl.ca.orders import wait_for_order

        order = wait_for_order(self._session, url, while_in=frozenset({OrderStatus.PENDING}), timeout=self._timeout)
        return self._all_valid(answered, until) if order.status is OrderStatus.READY else {}

    def _all_valid(self, answered: Mapping[_Attempt, datetime], until: float) -> dict[Wanted, Proven | AcmectlError]:
        first, *others = answered
        seen = self._judge(first, until=until)
        results: dict[Wanted, Proven | AcmectlError] = {first.wanted: seen}
        for other in others:
            if isinstance(seen, Proven) and seen.lifetime is not None:
                results[other.wanted] = Proven(
                    other.authorization,
                    answered[other] + seen.lifetime,
                    seen.lifetime,
                    other.challenge.type,
                    fresh=True,
                )
            else:
                results[other.wanted] = self._judge(other, until=until)
        return results

    def _judge(self, attempt: _Attempt, *, until: float) -> Proven | AcmectlError:
        """What the CA says of one authorization; `until` by the session's monotonic clock, and one look at least."""
        from acmectl.ca.orders import wait_for_authorization

        left = timedelta(seconds=max(0.0, until - self._session.clocks.monotonic()))
        try:
            authorization = wait_for_authorization(self._session, attempt.authorization.url, timeout=left)
        except CAError as error:
            return error
        if authorization.status is AuthorizationStatus.VALID:
            return _seen(authorization, fresh=True)
        return judged(authorization)

    def _remove(self, attempts: list[_Attempt]) -> None:
        groups = _by_solver(attempts)

        def remove(name: str) -> None:
            responses = tuple(a.response for a in groups[name])
            failures = self._solver(name).remove(responses)
            for response, error in failures.items():
                # what was never published is no surprise, and its own error is reported
                level = logging.INFO if response in self._unpublished else logging.WARNING
                log.log(level, "left behind for `%s`: %s", response.identifier, error)
            self._books.removed(name, [r for r in responses if r not in failures])

        _, broken = workers.each(groups, remove, workers=self._workers)
        for name, error in broken.items():
            log.warning("solver `%s` could not clean up: %s", name, error)


def judged(authorization: Authorization) -> CAError:
    """Why an authorization that is not valid is not, in the CA's own words."""
    problem = authorization.error or Problem("", "")
    match authorization.status:
        case AuthorizationStatus.DEACTIVATED:
            return Deactivated("the authorization was deactivated while it was being proven")
        case AuthorizationStatus.PENDING:
            return CAError(f"the CA did not decide within {ORDER_TIMEOUT.total_seconds():g} s")
        case AuthorizationStatus.INVALID if authorization.error:
            return CAError(f"the CA's validation failed: {problem}")
        case status:
            return CAError(f"the authorization is `{status}`")


def _seen(authorization: Authorization, *, fresh: bool = False) -> Proven:
    expires_at, validated_at = authorization.expires_at, authorization.validated_at
    lifetime = expires_at - validated_at if expires_at and validated_at else None
    types = [c.type for c in authorization.challenges if c.status is ChallengeStatus.VALID]
    return Proven(authorization, expires_at, lifetime, types[0] if types else None, fresh=fresh)


def _by_solver(attempts: Iterable[_Attempt]) -> dict[str, list[_Attempt]]:
    groups: dict[str, list[_Attempt]] = {}
    for attempt in attempts:
        groups.setdefault(attempt.solver, []).append(attempt)
    return groups
