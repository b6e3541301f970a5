"""What solvers need to remove what they published (`solvers.base.Receipts`), kept in the state database: a killed run loses none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from acmectl.solvers.base import Response

if TYPE_CHECKING:
    from acmectl.master.books import Books
    from acmectl.storage.memory import Memory


class RememberedReceipts:
    """The receipts of one solver, by the token of a challenge; those of responses that were removed are dropped with the next one."""

    def __init__(self, solver: str, memory: Memory, books: Books) -> None:
        """`books` know which responses of `solver` may still lie in the world."""
        self._solver = solver
        self._memory = memory
        self._books = books

    def get(self, response: Response) -> str | None:
        """What was kept for a response; None if nothing was."""
        return self._kept().get(response.token)

    def put(self, response: Response, text: str) -> None:
        """Keep `text`, durable before this returns."""
        present = {left.token for left in self._books.litter.leftovers(self._solver)}
        kept = {token: text for token, text in self._kept().items() if token in present}
        self._memory.set_fact(self._key, json.dumps(kept | {response.token: text}))

    @property
    def _key(self) -> str:
        return f"receipts/{self._solver}"

    def _kept(self) -> dict[str, str]:
        kept: dict[str, str] = json.loads(self._memory.fact(self._key) or "{}")
        return kept
