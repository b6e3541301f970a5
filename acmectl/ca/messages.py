"""What we send: the messages of `acme`, and ours where `acme` lacks one or wants more than we have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from acme import messages
from josepy.interfaces import JSONDeSerializable
from josepy.json_util import JSONObjectWithFields, encode_b64jose, field

from acmectl.model.names import Identifier


class _NewOrder(messages.NewOrder):
    """`acme` knows `profile`, but not `replaces` (RFC 9773 section 5)."""

    replaces: str | None = field("replaces", omitempty=True)


class _Finalization(JSONObjectWithFields):
    """RFC 8555 section 7.4. `acme` wants the CSR parsed; ours came out of `keys` a moment ago."""

    csr: bytes = field("csr", encoder=encode_b64jose)


class _Members(JSONDeSerializable):
    """Exactly these members, also none (`acme` leaves out what is empty, and takes what has no members for no message)."""

    def __init__(self, members: Mapping[str, Any] | None = None) -> None:
        self._members = dict(members or {})

    def to_partial_json(self) -> dict[str, Any]:
        """The members."""
        return self._members

    @classmethod
    def from_json(cls, jobj: object) -> _Members:  # noqa: ARG003 - the signature is josepy's
        """Never received."""
        return cls()


def new_order(identifiers: Iterable[Identifier], *, profile: str | None, replaces: str | None) -> JSONDeSerializable:
    """A new order (RFC 8555 section 7.4); `profile` as in draft-ietf-acme-profiles."""
    return _NewOrder(identifiers=[_identifier(i) for i in identifiers], profile=profile, replaces=replaces)


def new_authorization(identifier: Identifier) -> JSONDeSerializable:
    """A new authorization outside any order (RFC 8555 section 7.4.1)."""
    return messages.NewAuthorization(identifier=_identifier(identifier))


def _identifier(wanted: Identifier) -> messages.Identifier:
    kind = messages.IDENTIFIER_IP if wanted.is_address else messages.IDENTIFIER_FQDN
    return messages.Identifier(typ=kind, value=wanted.value)


def finalization(csr_der: bytes) -> JSONDeSerializable:
    """The CSR for an order that is ready."""
    return _Finalization(csr=csr_der)


def revocation(certificate_der: bytes, *, reason: int) -> JSONDeSerializable:
    """That a certificate is to be revoked, with a reason of RFC 5280 section 5.3.1."""
    return _Members({"certificate": encode_b64jose(certificate_der), "reason": reason})


def challenge_answer() -> JSONDeSerializable:
    """That the response to a challenge was published."""
    return _Members()


def deactivation() -> JSONDeSerializable:
    """That an authorization is given up (RFC 8555 section 7.5.2)."""
    return messages.UpdateAuthorization(status=messages.STATUS_DEACTIVATED)


def new_account(
    contact: Iterable[str], *, terms_agreed: bool, binding: Mapping[str, Any] | None = None
) -> JSONDeSerializable:
    """A new account (RFC 8555 section 7.3); `contact` are URLs, `binding` is the JWS of section 7.3.4."""
    return messages.NewRegistration(
        contact=tuple(contact),
        terms_of_service_agreed=terms_agreed or None,
        external_account_binding=None if binding is None else dict(binding),
    )


def existing_account() -> JSONDeSerializable:
    """The account of our key, if there is one (RFC 8555 section 7.3.1)."""
    return messages.NewRegistration(only_return_existing=True)


def account_update(contact: Iterable[str], *, terms_agreed: bool) -> JSONDeSerializable:
    """What an account shall be from now on (RFC 8555 section 7.3.2); `contact` are URLs, and none takes all away."""
    return _Members({"contact": list(contact)} | ({"termsOfServiceAgreed": True} if terms_agreed else {}))


def account_deactivation() -> JSONDeSerializable:
    """That the account is given up, for good (RFC 8555 section 7.3.6)."""
    return _Members({"status": "deactivated"})


def key_change(inner: Mapping[str, Any]) -> JSONDeSerializable:
    """The inner JWS of a key change, which the old key signs as a whole (RFC 8555 section 7.3.5)."""
    return _Members(inner)
