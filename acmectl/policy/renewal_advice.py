"""The CA's advice when to renew (ARI, RFC 9773): the moment in its window, and when to ask for the next.

Advice moves a renewal, and never stops one: without any, a certificate is due by its lifetime. A CA asks for an early renewal when it
must revoke certificates, or to spread load; a late one is taken only as long as enough time is left for a master that is down.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from acmectl.model.certificates import Installed
from acmectl.model.renewals import RenewalInfo

USUAL = timedelta(hours=11)
"""How often at the most, whatever the CA's `Retry-After` allows: with any cron job about twice a day."""

RARELY = timedelta(hours=24)
"""How often at the least (RFC 9773 section 4.3.1 lets a client bound what the CA asks for to a day)."""

AFTER_OUTAGE = timedelta(hours=1)


def moment_in(info: RenewalInfo, installed: Installed) -> datetime | None:
    """When to renew by the CA's window; None where it gave none for this certificate.

    RFC 9773 section 4.2 has clients choose a random moment in the window. It is derived from the serial here, so that all
    runs choose the same one, and a window that the CA moves takes it along.
    """
    if info.fingerprint != installed.fingerprint or info.start_at is None or info.end_at is None:
        return None
    digest = hashlib.sha256(installed.serial.encode("ascii")).digest()
    fraction = int.from_bytes(digest[:8], "big") / 2**64
    return info.start_at + fraction * (info.end_at - info.start_at)


def next_question_at(now: datetime, retry_after: timedelta | None) -> datetime:
    """When to ask again after an answer: as the CA asks, but about twice a day, and at least daily."""
    return now + min(max(retry_after or USUAL, USUAL), RARELY)


def next_try_at(now: datetime, retry_after: timedelta | None, *, unreachable: bool) -> datetime:
    """When to ask again after a failure: soon after an outage, else as if there had been an answer."""
    if not unreachable:
        return next_question_at(now, retry_after)
    return now + min(max(retry_after or AFTER_OUTAGE, AFTER_OUTAGE), RARELY)


def is_fresh(info: RenewalInfo | None, installed: Installed, now: datetime) -> bool:
    """Whether there is no need to ask; a moment farther away than any pause comes of a clock that jumped."""
    if info is None or info.fingerprint != installed.fingerprint:
        return False
    return now < info.ask_again_at <= now + RARELY
