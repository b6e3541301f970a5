"""Requests that must not be sent blindly twice: after a lost reply, look what became of the first one.

A finalization or an answer to a challenge may have arrived although no reply came. Sent again, the CA would refuse it for
being late, and we would report the refusal instead of what happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from acmectl.ca.patience import Patience
from acmectl.ca.session import Session
from acmectl.errors import CARefused, CAUnreachable

_State = TypeVar("_State")


def until_known(
    session: Session, *, send: Callable[[], _State], look: Callable[[], _State], undone: Callable[[_State], bool]
) -> _State:
    """What `send` answers, or, where its reply is lost, what `look` shows; sent again while that is still `undone`.

    A refusal of such a second try is not believed when `look` shows that something was done. Raises what `send` or
    `look` raise, CAUnreachable once patience is used up.
    """
    patience = Patience(session.clocks)
    in_doubt = False
    while True:
        try:
            return send()
        except CARefused:
            if not in_doubt or undone(state := look()):
                raise
            return state
        except CAUnreachable as failure:
            in_doubt = True
            if not undone(state := look()):
                return state
            if not patience.wait(failure.retry_after):
                raise
