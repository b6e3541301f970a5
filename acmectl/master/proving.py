"""Open orders -> valid authorizations: publish, see, answer, wait, and clean up in any case.

Names are judged by their authorizations, never by the order that carried them: one failed name makes the order
invalid while the others become valid, and a follower with the same set of names may finalize it under our hands.

Requests: an authorization is fetched once and its challenge answered once; the *order* is polled for all its names; then one
authorization of the order is fetched again, to learn when it expires (`judging`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl import workers
from acmectl.errors import AcmectlError, CAError
from acmectl.master.attempts import ORDER_TIMEOUT, Attempt, Proven, ValidationFailed, judged, prepared, seen
from acmectl.master.choosing import Choosing
from acmectl.master.judging import Judge
from acmectl.master.publishing import Publisher
from acmectl.model.orders import Authorization, AuthorizationStatus, ChallengeStatus, Order
from acmectl.policy.refresh import Wanted
from acmectl.solvers.base import Solver

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.master.books import Books


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
        self._workers = workers
        self._books = books
        self._publisher = Publisher(solver, books, pool=workers)
        self._judge = Judge(session, pool=workers, timeout=timeout)
        self._choosing = choosing or Choosing(solver, books, now=session.ca_now)
        self._trails: dict[Wanted, str] = {}

    def trail(self, wanted: Wanted) -> str:
        """What was tried last for a name: which challenge of which authorization of which order."""
        return self._trails.get(wanted, "")

    def prove(
        self, orders: Iterable[tuple[Order, tuple[Wanted, ...]]]
    ) -> tuple[dict[Wanted, Proven], dict[Wanted, AcmectlError]]:
        """Bring every authorization of `orders` to a decision; returns the valid ones and the reasons of the others."""
        orders = list(orders)
        since = self._session.ca_now()
        authorizations, errors = self._fetch(orders)
        self._note_arrivals(orders, authorizations)
        return self._decide(orders, authorizations, errors, since)

    def prove_alone(
        self, authorizations: Mapping[Wanted, Authorization]
    ) -> tuple[dict[Wanted, Proven], dict[Wanted, AcmectlError]]:
        """As `prove`, for authorizations that no order carries (newAuthz)."""
        return self._decide([], authorizations, {}, self._session.ca_now())

    def _decide(
        self,
        orders: list[tuple[Order, tuple[Wanted, ...]]],
        authorizations: Mapping[Wanted, Authorization],
        errors: dict[Wanted, AcmectlError],
        since: datetime,
    ) -> tuple[dict[Wanted, Proven], dict[Wanted, AcmectlError]]:
        proven = {w: seen(a) for w, a in authorizations.items() if a.status is AuthorizationStatus.VALID}
        attempts: list[Attempt] = []
        try:
            answered = self._answer(self._published(authorizations, attempts, errors), errors, since)
            results = self._judge.wait(orders, answered, errors)
            self._note_validations(answered, results)
            for wanted, result in results.items():
                if isinstance(result, Proven):
                    proven[wanted] = result
                else:
                    errors[wanted] = result
        finally:
            self._publisher.remove(attempts)
        return proven, errors

    def _published(
        self,
        authorizations: Mapping[Wanted, Authorization],
        attempts: list[Attempt],
        errors: dict[Wanted, AcmectlError],
    ) -> list[Attempt]:
        """Publish and see, by the next solver of a name where one fails; what is tried is noted in `attempts` before."""
        seen: list[Attempt] = []
        tried: dict[Wanted, dict[str, AcmectlError]] = {}
        pending = dict(authorizations)
        while begun := self._attempts(pending, tried, errors):
            self._note_choices(begun)
            attempts += begun
            failed = self._publisher.publish(begun)
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

    def _note_choices(self, attempts: Iterable[Attempt]) -> None:
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

    def _note_validations(self, answered: Iterable[Attempt], results: Mapping[Wanted, Proven | AcmectlError]) -> None:
        """By which solvers the CA found the proof, and by which it did not: what else went wrong says nothing of them."""
        told = {(a.wanted, a.solver): results.get(a.wanted) for a in answered}
        self._choosing.validated(
            {key: None for key, result in told.items() if isinstance(result, Proven)}
            | {key: result for key, result in told.items() if isinstance(result, ValidationFailed)}
        )

    def _attempts(
        self,
        authorizations: Mapping[Wanted, Authorization],
        tried: Mapping[Wanted, Mapping[str, AcmectlError]],
        errors: dict[Wanted, AcmectlError],
    ) -> list[Attempt]:
        attempts = []
        for wanted, authorization in authorizations.items():
            if authorization.status is AuthorizationStatus.VALID:
                continue
            try:
                attempts.append(prepared(self._session, wanted, authorization, self._choosing, tried.get(wanted, {})))
            except AcmectlError as error:
                errors[wanted] = error
        return attempts

    def _answer(
        self, attempts: list[Attempt], errors: dict[Wanted, AcmectlError], since: datetime
    ) -> dict[Attempt, datetime]:
        """Answer what was seen; returns a moment before each validation, by the CA's clock and to its second.

        Mostly just before the answer. Where another master of the account was first, it is `since`, when the CA still showed all as pending.
        """
        from acmectl.ca.proving import answer

        def respond(attempt: Attempt) -> datetime:
            at = self._session.ca_now()
            if attempt.challenge.status is not ChallengeStatus.PENDING:
                return since.replace(microsecond=0)
            shown = answer(self._session, attempt.challenge, identifier=attempt.wanted.identifier)
            return (since if shown.status is ChallengeStatus.VALID else at).replace(microsecond=0)

        answered, failed = workers.each(attempts, respond, workers=self._workers)
        for attempt, error in failed.items():
            errors[attempt.wanted] = self._after_refusal(attempt, error)
        return answered

    def _after_refusal(self, attempt: Attempt, error: AcmectlError) -> AcmectlError:
        """Why an answer was refused: perhaps the authorization was taken away under us ("must be pending")."""
        from acmectl.ca.orders import fetch_authorization

        try:
            now = fetch_authorization(self._session, attempt.authorization.url)
        except CAError:
            return error
        return judged(now) if now.status is AuthorizationStatus.DEACTIVATED else error
