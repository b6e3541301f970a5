"""What a master published and may still lie in the world, whoever was to take it away: noted before it is published, kept until it is gone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from acmectl.model.names import Identifier
from acmectl.solvers.base import Response

if TYPE_CHECKING:
    from acmectl.storage.memory import Memory


class Litter:
    """The responses that lie, or may lie, where each solver publishes."""

    def __init__(self, memory: Memory, marks: Mapping[str, str]) -> None:
        """`marks` tell for each solver where its options lead to: what was published under another one cannot be known to be removed."""
        self._memory = memory
        self._marks = marks

    def publishing(self, solver: str, responses: Iterable[Response]) -> None:
        """Note what is about to be published, so that the next run cleans up after one that was killed."""
        self._note(solver, dict.fromkeys(responses, self._marks.get(solver)) | self._left(solver))

    def removed(self, solver: str, responses: Iterable[Response]) -> None:
        """What has been taken away again; what was published under other options is noted still."""
        here = {None, self._marks.get(solver)}
        left, gone = self._left(solver), set(responses)
        if gone:
            self._note(solver, {r: mark for r, mark in left.items() if r not in gone or mark not in here})

    def given_up(self, solver: str, responses: Iterable[Response]) -> None:
        """What nobody tries to take away any more."""
        gone = set(responses)
        self._note(solver, {r: mark for r, mark in self._left(solver).items() if r not in gone})

    def leftovers(self, solver: str) -> tuple[Response, ...]:
        """What may still lie in the world."""
        return tuple(self._left(solver))

    def _left(self, solver: str) -> dict[Response, str | None]:
        """What may still lie in the world, and the mark of the options under which it was published."""
        left = json.loads(self._memory.fact(f"published/{solver}") or "[]")
        marks = [r.pop("mark", None) for r in left]
        responses = [Response(**r | {"identifier": Identifier(r["identifier"])}) for r in left]
        return dict(zip(responses, marks, strict=True))

    def mark(self, solver: str) -> str | None:
        """Where the options of a solver lead to now."""
        return self._marks.get(solver)

    def solvers_with_leftovers(self) -> tuple[str, ...]:
        """The solvers, configured or not, whose records may still lie in the world."""
        names = (key.removeprefix("published/") for key in self._memory.facts("published/"))
        return tuple(name for name in names if self.leftovers(name))

    def _note(self, solver: str, left: Mapping[Response, str | None]) -> None:
        text = json.dumps(
            [
                asdict(r) | {"identifier": r.identifier.value} | ({"mark": mark} if mark else {})
                for r, mark in left.items()
            ]
        )
        self._memory.set_fact(f"published/{solver}", text)
