"""newAuthz (RFC 8555 section 7.4.1): a new authorization beside the old one, so that refreshing leaves no gap at all.

Rare: Boulder and Pebble do not offer it, and some servers advertise it and answer 404 (acme2certifier); then what refuses once is
remembered, and authorizations are replaced as everywhere else. It takes no wildcards, and knows no profiles: what it makes is reused
in orders without a profile only, so it is not used where the directory has profiles.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, CAError, CAProtocolError, CARefused
from acmectl.master.attempts import Proven
from acmectl.master.proving import Prover
from acmectl.master.sparing import NotRefreshed, Stale, unprovable
from acmectl.model.orders import Authorization
from acmectl.policy.refresh import Wanted

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.master.books import Books
    from acmectl.master.preflight import Preflight

log = logging.getLogger(__name__)

# Refusals that are about the name rather than about the resource (RFC 8555 section 6.7).
_NO_RESOURCE = frozenset({400, 403, 404, 405, 410})
_OF_NAMES = frozenset({"rejectedIdentifier", "unsupportedIdentifier", "caa", "dns"})


def is_offered(session: Session, books: Books, profile: str | None) -> bool:
    """Whether the directory has the resource, for orders without a profile, and it has not refused before."""
    directory = session.directory
    return "newAuthz" in directory.endpoints and not directory.profile_for(profile) and books.lore.new_authz_works


def refresh(
    stale: Sequence[Stale], session: Session, books: Books, prover: Prover, preflight: Preflight
) -> dict[Wanted, Proven | AcmectlError]:
    """Prove a new authorization for each name that may have one; names without an outcome are left to the caller."""
    able = [s.wanted for s in stale if not s.wanted.identifier.is_wildcard]
    failed = preflight.failing(able)
    outcomes: dict[Wanted, Proven | AcmectlError] = {w: unprovable(e) for w, e in failed.items()}
    made: dict[Wanted, Authorization] = {}
    for wanted in able:
        if wanted in failed or not books.lore.new_authz_works:
            continue
        made |= _made(wanted, session, books, outcomes)
    proven, errors = prover.prove_alone(made)
    proven = {w: p for w, p in proven.items() if p.fresh}  # one that was there before is what is to be replaced
    return outcomes | proven | {w: _spared(e) for w, e in errors.items()}


def _made(
    wanted: Wanted, session: Session, books: Books, outcomes: dict[Wanted, Proven | AcmectlError]
) -> dict[Wanted, Authorization]:
    from acmectl.ca.orders import new_authorization

    try:
        return {wanted: new_authorization(session, wanted.identifier)}
    except CAError as error:
        if _is_of_the_resource(error):
            books.lore.new_authz_refused(error, session.ca_now())
            log.info(
                "the CA advertises newAuthz, and refuses it (%s): authorizations are replaced instead", error.message
            )
        elif isinstance(error, CARefused):
            outcomes[wanted] = _spared(error)
        else:
            log.info(
                "newAuthz does not answer just now (%s): `%s` is replaced instead", error.message, wanted.identifier
            )
        return {}


def _is_of_the_resource(error: CAError) -> bool:
    """Whether the CA says that it has no such resource; what it cannot do just now, it may do in the next run."""
    if isinstance(error, CARefused):
        return error.problem.status in _NO_RESOURCE and error.problem.type not in _OF_NAMES
    return isinstance(error, CAProtocolError)


def _spared(error: AcmectlError) -> NotRefreshed:
    return NotRefreshed(f"not refreshed: {error.message}", hint=error.hint, cause=error)
