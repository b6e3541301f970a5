"""Asking the CA about what is remembered: which authorizations it still holds valid (`--verify`), and giving some up (`forget`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from acmectl import workers
from acmectl.errors import AcmectlError, CARefused
from acmectl.master.report import Forgotten, Found, Looked
from acmectl.model.memory import RememberedAuthorization
from acmectl.model.orders import AuthorizationStatus

if TYPE_CHECKING:
    from acmectl.ca.session import Session

_GONE = frozenset({404, 410})


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
        valid = authorization.status is AuthorizationStatus.VALID
        looked.append(Looked(now, Found.VALID if valid else Found.LOST, f"the CA says `{authorization.status}`"))
    return looked + [_unseen(by_url[url], error, session) for url, error in failed.items()]


def give_up(session: Session, known: Iterable[RememberedAuthorization], *, pool: int) -> list[Forgotten]:
    """Deactivate each authorization at the CA; one that it does not know any more is given up already."""
    from acmectl.ca.orders import deactivate_authorization

    by_url = {a.url: a for a in known}
    done, failed = workers.each(by_url, lambda url: deactivate_authorization(session, url), workers=pool)
    return [Forgotten(by_url[url]) for url in done] + [
        Forgotten(by_url[url], None if _is_gone(error) else error) for url, error in failed.items()
    ]


def _unseen(known: RememberedAuthorization, error: AcmectlError, session: Session) -> Looked:
    if _is_gone(error):
        lost = replace(known, status=AuthorizationStatus.EXPIRED, seen_at=session.ca_now())
        return Looked(lost, Found.LOST, "the CA does not know it any more")
    return Looked(known, Found.UNKNOWN, error.message)


def _is_gone(error: AcmectlError) -> bool:
    return isinstance(error, CARefused) and error.problem.status in _GONE
