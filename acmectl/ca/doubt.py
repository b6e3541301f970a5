"""A signature that the CA does not accept: perhaps the account has another key now.

After a rollover on another host, or where the CA lost the account, requests signed by our key are refused in words that name neither
(Boulder and Pebble: `malformed`, "JWS verification error"). So the CA is asked, once in a session, whose key ours is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.ca.purpose import Purpose
from acmectl.ca.reading import read_location
from acmectl.errors import AccountDeactivated, AccountKeyReplaced, AccountUnknown, CAError, CARefused

if TYPE_CHECKING:
    from acmectl.ca.session import Session

_PURPOSE = Purpose("newAccount", "to show the account of this key")
_STATUSES = (400, 401, 403)
_WORDS = ("jws", "signature")
_HINT = "on the host where the key was rolled over: `acmectl account export FILE`; on this one: `acmectl account import FILE --replace`"


def is_in_doubt(refused: CARefused) -> bool:
    """Whether a refusal can mean that the account's key is another."""
    problem = refused.problem
    if isinstance(refused, AccountUnknown):
        return True
    if problem.status not in _STATUSES or problem.type == "badSignatureAlgorithm":
        return False
    told = str(problem).lower()  # acme2certifier puts its words where the type belongs
    return any(word in told for word in _WORDS)


def resolved(session: Session, refused: CARefused) -> CARefused | None:
    """AccountKeyReplaced where the CA does not know our key for the session's account; None where that was not it."""
    from acmectl.ca import messages

    if isinstance(refused, AccountUnknown):
        return _replaced(session, refused)
    url = session.directory.endpoint("newAccount")
    try:
        owner = read_location(session.post(url, messages.existing_account(), _PURPOSE, by_key=True), "the account")
    except AccountUnknown as unknown:
        return _replaced(session, unknown)
    except AccountDeactivated as deactivated:
        return deactivated
    except CAError:
        return None  # this question was ours: the answer to the caller's is the one that counts
    return None if owner == session.account_url else _replaced(session, refused)


def _replaced(session: Session, refused: CARefused) -> AccountKeyReplaced:
    doing = f"this host's key for the account {session.account_url}, which was given another key, or is gone"
    return AccountKeyReplaced(refused.problem, doing=doing, hint=_HINT)
