"""Accounts (RFC 8555 section 7.3): register one, find the one that a key has, look at it; `account_changes` changes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from acmectl.ca.fields import read_object
from acmectl.ca.purpose import Purpose
from acmectl.ca.reading import read_location
from acmectl.ca.session import Session
from acmectl.errors import CAError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from requests import Response

_REGISTER = Purpose("newAccount", "to register an account")
_FIND = Purpose("newAccount", "to show the account of this key")
_FETCH = Purpose("account", "to show the account", waits=True)
_MAIL = "mailto:"


class AccountStatus(StrEnum):
    """RFC 8555 section 7.1.6."""

    VALID = "valid"
    DEACTIVATED = "deactivated"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Account:
    """What the CA knows of us. `contact` are mail addresses without `mailto:`; many CAs keep or show none."""

    url: str
    status: AccountStatus
    contact: tuple[str, ...]
    thumbprint: str


@dataclass(frozen=True, slots=True)
class Binding:
    """What a CA's web site gives its customers, so that accounts are theirs (RFC 8555 section 7.3.4)."""

    kid: str
    hmac_key: bytes = field(repr=False)


def register(
    session: Session, *, contact: tuple[str, ...], terms_agreed: bool, binding: Binding | None = None
) -> Account:
    """Make an account for the session's key; a key that has one gets that one, unchanged (RFC 8555 section 7.3).

    The session uses it from now on. `contact` are mail addresses or URLs; `terms_agreed` says that a person agreed to
    `directory.terms_of_service`.
    """
    from acmectl.ca import messages

    url = session.directory.endpoint("newAccount")
    bound = session.account_key.bound(kid=binding.kid, hmac_key=binding.hmac_key, url=url) if binding else None
    message = messages.new_account(contact_urls(contact), terms_agreed=terms_agreed, binding=bound)
    return _adopt(session, session.post(url, message, _REGISTER, by_key=True))


def find(session: Session) -> Account:
    """The account that the session's key has; the session uses it from now on.

    Raises AccountUnknown where there is none, and never makes one (`onlyReturnExisting`).
    """
    from acmectl.ca import messages

    response = session.post(session.directory.endpoint("newAccount"), messages.existing_account(), _FIND, by_key=True)
    return _adopt(session, response)


def fetch(session: Session) -> Account:
    """The account at the session's account URL, as it is now.

    Boulder answers for a deactivated account with a refusal (`unauthorized`), not with its status.
    """
    url = session.account_url
    if url is None:
        raise CAError(f"no account at `{session.directory_url}` is known", hint="`acmectl account register` makes one")
    return read_account(session, url, session.post(url, None, _FETCH))


def thumbprint(key: PrivateKeyTypes) -> str:
    """The fingerprint of an account key (RFC 7638, SHA-256, base64url), the same on every host that holds it."""
    from acmectl.ca.account_key import AccountKey

    return AccountKey.wrap(key).thumbprint


def contact_urls(contact: tuple[str, ...]) -> list[str]:
    """Mail addresses as the URLs that RFC 8555 section 7.3 wants; what is a URL already stays."""
    return [address if ":" in address else _MAIL + address for address in contact]


def _adopt(session: Session, response: Response) -> Account:
    account = read_account(session, read_location(response, "the account"), response)
    session.account_url = account.url
    return account


def read_account(session: Session, url: str, response: Response) -> Account:
    """The account in `response`, whose own URL is `url`."""
    fields = read_object(response)
    # Some CAs answer onlyReturnExisting with little more than the Location: what is not said to be otherwise is valid.
    status = fields.status("status", AccountStatus) if "status" in fields.names else AccountStatus.VALID
    contact = fields.texts("contact") if "contact" in fields.names else ()
    return Account(url, status, tuple(c.removeprefix(_MAIL) for c in contact), session.account_key.thumbprint)
