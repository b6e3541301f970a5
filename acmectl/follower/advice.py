"""Asks the CA when to renew (ARI, RFC 9773), about twice a day, and remembers what it says.

Nothing depends on it: whatever goes wrong is remembered, shown by `cert show`, and tried again later; a certificate that is due
anyway is not asked about.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, CARefused, CAUnreachable
from acmectl.model.renewals import RenewalInfo
from acmectl.policy import renewal_advice
from acmectl.policy.renewal import NotDue

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.follower.means import Means
    from acmectl.follower.results import Wish
    from acmectl.follower.standing import Standing
    from acmectl.model.certificates import CertificateSpec, Installed

log = logging.getLogger(__name__)


class Advice:
    """The questions of one run."""

    def __init__(self, means: Means, standing: Standing) -> None:
        """`standing` knows what is due anyway."""
        self._means = means
        self._standing = standing
        self._is_unreachable = False

    def refresh(self, wishes: Sequence[Wish]) -> None:
        """Ask about every certificate that is not due and whose advice is stale; never raises AcmectlError.

        Once the CA is not there, the others are not asked about in this run.
        """
        for wish in wishes:
            if self._is_unreachable:
                return
            try:
                self._refresh(wish)
            except AcmectlError as error:  # whoever serves this certificate next says so aloud
                log.info("%s: no advice when to renew: %s", wish.spec.label, error)

    def expect(self, installed: Installed) -> None:
        """Nothing is to be said of a certificate that was issued a moment ago: ask in half a day."""
        now = self._means.clock()
        again = renewal_advice.next_question_at(now, None)
        found = RenewalInfo(installed.label, installed.fingerprint, "", asked_at=now, ask_again_at=again)
        self._means.memory.save_renewal_info(found)

    def replaced_id(self, session: Session, spec: CertificateSpec) -> str | None:
        """What ARI calls the certificate that a new order replaces (RFC 9773 section 5); None where there is none to tell.

        A CA refuses an order that replaces another CA's certificate, or one with none of its names; and, while an order that says so is
        open, every further one (409 `alreadyReplaced`), so that a follower that waits would pay for two orders at each look.
        """
        from acmectl.ca import renewal_info

        if self._means.memory.follower_order(spec.label) is not None:
            return None
        installed = self._means.certificates.current(spec.label)
        if installed is None or not spec.names & installed.names or not renewal_info.is_offered(session):
            return None
        issuance = self._means.memory.issuance(installed)
        if issuance is None or issuance.directory_url != self._means.directory_url:
            return None
        try:
            return self._identifier(installed)
        except AcmectlError as error:
            log.info("%s: the order does not say what it replaces: %s", spec.label, error)
            return None

    def _refresh(self, wish: Wish) -> None:
        installed = self._means.certificates.current(wish.spec.label)
        known = self._means.memory.renewal_info(wish.spec.label)
        if installed is None or renewal_advice.is_fresh(known, installed, self._means.clock()):
            return
        if isinstance(self._standing.status(wish).decision, NotDue):
            self._ask(wish.spec, installed, known)

    def _ask(self, spec: CertificateSpec, installed: Installed, known: RenewalInfo | None) -> None:
        now = self._means.clock()
        found = RenewalInfo(installed.label, installed.fingerprint, "", asked_at=now, ask_again_at=now)
        if known is not None and known.fingerprint == installed.fingerprint:
            found = replace(known, asked_at=now, error=None)
        try:
            session = self._means.sessions.of(spec.account)
            found = self._answer(session, found, installed)
        except AcmectlError as error:
            log.info("%s: no advice when to renew: %s", spec.label, error)
            self._is_unreachable = isinstance(error, CAUnreachable)
            found = self._failed(found, error)
        self._means.memory.save_renewal_info(found)

    def _answer(self, session: Session, found: RenewalInfo, installed: Installed) -> RenewalInfo:
        from acmectl.ca import renewal_info

        if not renewal_info.is_offered(session):
            again = self._means.clock() + renewal_advice.RARELY
            return replace(found, ask_again_at=again, start_at=None, end_at=None, error="the CA does not offer it")
        identifier = found.certificate_id or self._identifier(installed)
        suggested = renewal_info.fetch(session, identifier)
        self._means.clock.learn(session.clock_offset)
        now = self._means.clock()
        return replace(
            found,
            certificate_id=identifier,
            asked_at=now,
            ask_again_at=renewal_advice.next_question_at(now, suggested.retry_after),
            start_at=suggested.start_at,
            end_at=suggested.end_at,
            explanation_url=suggested.explanation_url,
        )

    def _failed(self, found: RenewalInfo, error: AcmectlError) -> RenewalInfo:
        demanded = error.retry_after if isinstance(error, CARefused | CAUnreachable) else None
        again = renewal_advice.next_try_at(self._means.clock(), demanded, unreachable=isinstance(error, CAUnreachable))
        return replace(found, ask_again_at=again, error=error.message)

    def _identifier(self, installed: Installed) -> str:
        from acmectl import files
        from acmectl.ca import renewal_info
        from acmectl.storage.certificates import LEAF

        directory = self._means.certificates.generation_directory(installed.label, installed.generation)
        return renewal_info.certificate_id(files.read(directory / LEAF, what="the certificate"))
