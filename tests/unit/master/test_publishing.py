"""What is noted of what lies in the world, when a challenge comes again that an earlier run published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from acmectl.errors import SolverError
from acmectl.master.attempts import Attempt
from acmectl.master.books import Books
from acmectl.master.publishing import Publisher
from acmectl.model.names import Identifier
from acmectl.model.orders import Authorization, AuthorizationStatus, Challenge, ChallengeStatus
from acmectl.policy.refresh import Wanted
from acmectl.solvers.base import Capabilities, Response
from acmectl.storage.memory import Memory

NAME = Identifier("a.test")
CHALLENGE = Challenge("dns-01", "https://ca.test/challenge/1", "token", ChallengeStatus.PENDING)
AUTHORIZATION = Authorization("https://ca.test/authz/1", NAME, AuthorizationStatus.PENDING, None, (CHALLENGE,))
RESPONSE = Response(NAME, "dns-01", "token", "token.thumbprint")
ATTEMPT = Attempt(Wanted(NAME, "default", None, "dns"), "dns", AUTHORIZATION, CHALLENGE, RESPONSE)


class Down:
    """A solver that reaches nobody, and so knows that what it was to publish is not there."""

    capabilities = Capabilities(("dns-01",), wildcard=True)

    def publish(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:
        return {response: SolverError("nobody listens") for response in responses}

    def seen(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:
        return {response: SolverError("not seen") for response in responses}

    def remove(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:
        del responses
        return {}


def left_after(books: Books) -> tuple[Response, ...]:
    publisher = Publisher(lambda _: Down(), books, pool=1)
    assert ATTEMPT in publisher.publish([ATTEMPT])
    publisher.remove([ATTEMPT])
    return books.litter.leftovers("dns")


def test_what_an_earlier_run_may_have_published_stays_noted_although_this_one_could_not(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "state.db")
    books = Books(memory, directory_url="https://ca.test/directory", new_orders=1)
    assert left_after(books) == ()
    books.litter.publishing("dns", [RESPONSE])
    assert left_after(books) == (RESPONSE,)
    memory.close()
