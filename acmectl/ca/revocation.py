"""Revocation (RFC 8555 section 7.6): by the account that ordered a certificate, or by the certificate's own key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.ca.purpose import Purpose
from acmectl.errors import CARefused

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.model.renewals import Reason

_REVOKE = Purpose("revokeCert", "to revoke the certificate")


def revoke(session: Session, certificate_der: bytes, reason: Reason, *, by_own_key: bool = False) -> bool:
    """Revoke a certificate; returns False where the CA had revoked it already.

    With `by_own_key` the session's key is that of the certificate, and no account is needed: who can sign so shows that the
    key is known to them, and Boulder takes every such revocation for a compromise, whatever reason is given.
    Raises CAError: CARefused with `unauthorized` where the account neither ordered the certificate nor holds all its names.
    """
    from acmectl.ca import messages

    message = messages.revocation(certificate_der, reason=reason.code)
    try:
        session.post(session.directory.endpoint("revokeCert"), message, _REVOKE, by_key=by_own_key)
    except CARefused as refusal:
        if refusal.problem.type == "alreadyRevoked":
            return False
        raise
    return True
