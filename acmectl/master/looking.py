"""Asking the CA about what is remembered: which authorizations it still holds valid (`--verify`), and giving some up (`forget`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from acmectl import workers
from acmectl.errors import AcmectlError, CAError, CARefused
from acmectl.master.report import Forgotten, Found, Looked
from acmectl.model.memory import RememberedAuthorization
from acmectl.model.orders import Authorization, AuthorizationStatus

if TYPE_CHECKING:
    from acmectl.ca.session import Session

_GONE = frozenset({404, 410})
_USABLE = frozenset({AuthorizationStatus.VALID, AuthorizationStatus.PENDING})


def look(session: Session, known: Sequence[RememberedAuthorization], *, pool: int) -> list[Looked]:
    """GET each authorization; what is not valid any more comes back with the status that it has now.

    An authorization that the CA does not know (404) has expired or was lost (Boulder shows no expired ones).
    """
    from acmectl.ca.orders import fetch_authorization

    by_url = {a.url: a for a in known}
    shown, failed = workers.each(by_url, lambda url: fetch_authorization(session, url), workers=pool)
    looked = []
    for url, authorization in shown.items():
        now = replace(
            by_url[url],
            status=authorization.status,
            expires_at=authorization.expires_at or by_url[url].expires_at,
            seen_at=session.ca_now(),
        )
        looked.append(Looked(now, _found(now, session), f"the CA says `{authorization.status}`"))
    return looked + [_unseen(by_url[url], error, session) for url, error in failed.items()]


def give_up(session: Session, known: Iterable[RememberedAuthorization], *, pool: int) -> list[Forgotten]:
    """Deactivate each authorization at the CA; one that it does not know any more, or shows as ended, is given up already."""
    from acmectl.ca.orders import deactivate_authorization

    by_url = {a.url: a for a in known}
    done, failed = workers.each(by_url, lambda url: deactivate_authorization(session, url), workers=pool)
    return [Forgotten(by_url[url], _unmoved(shown)) for url, shown in done.items()] + [
        Forgotten(by_url[url], None if _has_ended(session, url, error) else error) for url, error in failed.items()
    ]


def _unmoved(shown: Authorization) -> CAError | None:
    """That a deactivation was answered and changed nothing (acme2certifier)."""
    if shown.status not in _USABLE:
        return None
    until = f" until {shown.expires_at:%Y-%m-%d %H:%M:%S} UTC" if shown.expires_at else ""
    return CAError(
        f"the CA took the deactivation, and still shows the authorization as `{shown.status}`",
        hint=f"ask the CA how to take it back: who has the account's key can use it{until}",
    )


def _has_ended(session: Session, url: str, error: AcmectlError) -> bool:
    """Whether an authorization that cannot be deactivated needs no deactivation."""
    from acmectl.ca.orders import fetch_authorization

    if not isinstance(error, CARefused) or _is_gone(error):
        return _is_gone(error)
    try:
        return fetch_authorization(session, url).status not in _USABLE
    except AcmectlError as unseen:
        return _is_gone(unseen)


def _found(known: RememberedAuthorization, session: Session) -> Found:
    """What has become of one: only what ended before its time was lost."""
    if known.status is AuthorizationStatus.VALID:
        return Found.VALID
    has_lapsed = known.expires_at is not None and known.expires_at <= session.ca_now()
    return Found.LAPSED if has_lapsed else Found.LOST


def _unseen(known: RememberedAuthorization, error: AcmectlError, session: Session) -> Looked:
    if _is_gone(error):
        lost = replace(known, status=AuthorizationStatus.EXPIRED, seen_at=session.ca_now())
        found = _found(lost, session)
        gone = "the CA does not know it any more"
        ended = f"it ended at {known.expires_at:%Y-%m-%d %H:%M:%S} UTC" if known.expires_at else gone
        return Looked(lost, found, ended if found is Found.LAPSED else gone)
    return Looked(known, Found.UNKNOWN, error.message)


def _is_gone(error: AcmectlError) -> bool:
    return isinstance(error, CARefused) and error.problem.status in _GONE
