"""Changing an account (RFC 8555 sections 7.3.2, 7.3.5 and 7.3.6): its contacts, its key, its end.

A request whose reply is lost is not believed to have failed: what the account is then is asked, by the key that would tell.
"""

from __future__ import annotations

from acmectl.ca.accounts import Account, AccountStatus, contact_urls, fetch, find, read_account
from acmectl.ca.purpose import Purpose
from acmectl.ca.session import Session
from acmectl.ca.unsure import until_known
from acmectl.errors import AccountDeactivated, AccountUnknown, CAError, CAProtocolError

_UPDATE = Purpose("account", "to change the account")
_KEY_CHANGE = Purpose("keyChange", "the new account key", repeatable=False)
_DEACTIVATE = Purpose("account", "to deactivate the account", repeatable=False)


def update(session: Session, *, contact: tuple[str, ...], terms_agreed: bool) -> Account:
    """Replace the account's contacts, and with `terms_agreed` agree to the CA's present terms of service.

    RFC 8555 section 7.3.2 lets a server ignore the latter; one that insists refuses later requests with
    `userActionRequired`, and names the page where a person can agree (section 7.3.3).
    """
    from acmectl.ca import messages

    url = _url(session)
    message = messages.account_update(contact_urls(contact), terms_agreed=terms_agreed)
    return read_account(session, url, session.post(url, message, _UPDATE))


def change_key(session: Session, new: Session) -> None:
    """Give the account of `session` the key of the session `new` (RFC 8555 section 7.3.5); confirm it with `owns` before the old one is given up.

    Pebble 2.4 answers 200 to a key that another account has, and changes nothing: no answer of a CA is a confirmation. Raises
    CARefused (`conflict` for such a key), or CAUnreachable where nobody knows whether the request arrived.
    """
    from acmectl.ca import messages

    endpoint = session.directory.endpoint("keyChange")
    inner = new.account_key.takes_over_from(session.account_key, account_url=_url(session), url=endpoint)
    session.post(endpoint, messages.key_change(inner), _KEY_CHANGE)


def owns(session: Session, account_url: str) -> bool:
    """Whether the CA knows the session's key as that of this account; asks it (`onlyReturnExisting`), and changes nothing.

    Raises AccountDeactivated where the account is no more.
    """
    try:
        return find(session).url == account_url
    except AccountUnknown:
        return False


def deactivate(session: Session) -> None:
    """Give the account up, for good; one that was given up already is no error."""
    from acmectl.ca import messages

    url = _url(session)

    def send() -> AccountStatus:
        return read_account(session, url, session.post(url, messages.account_deactivation(), _DEACTIVATE)).status

    try:
        status = until_known(session, send=send, look=lambda: fetch(session).status, undone=_is_valid)
    except AccountDeactivated:
        return
    if _is_valid(status):
        raise CAProtocolError(f"the CA did not deactivate the account `{url}`: it says that it is {status}")


def _is_valid(status: AccountStatus) -> bool:
    return status is AccountStatus.VALID


def _url(session: Session) -> str:
    if session.account_url is None:
        raise CAError(f"no account at `{session.directory_url}` is known", hint="`acmectl account register` makes one")
    return session.account_url
