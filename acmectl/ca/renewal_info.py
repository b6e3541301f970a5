"""When a CA suggests to renew a certificate (ACME Renewal Information, RFC 9773); asked without a signature."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.ca.fields import is_url, read_object
from acmectl.ca.patience import retry_after
from acmectl.ca.purpose import Purpose
from acmectl.errors import CAProtocolError, KeyMaterialError

if TYPE_CHECKING:
    from acmectl.ca.session import Session

# Not repeated: the advice is asked for again by a later run, and nothing waits for it.
_RENEWAL_INFO = Purpose("renewalInfo", "to say when to renew the certificate", repeatable=False)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The window in which the CA wants the certificate renewed, and a page that says why, if there is one.

    `retry_after` is how long the answer holds, None where the CA did not say.
    """

    start_at: datetime
    end_at: datetime
    explanation_url: str | None
    retry_after: timedelta | None


def is_offered(session: Session) -> bool:
    """Whether the CA gives renewal information. Raises CAError where its directory cannot be read."""
    return "renewalInfo" in session.directory.endpoints


def certificate_id(leaf_pem: bytes) -> str:
    """What ARI calls a certificate: its authority's key identifier and its serial (RFC 9773 section 4.1).

    Raises KeyMaterialError for a certificate that cannot be read, or names no authority's key.
    """
    from cryptography import x509

    try:
        leaf = x509.load_pem_x509_certificate(leaf_pem)
        authority = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as cause:
        raise KeyMaterialError(f"the certificate has no authority key identifier: {cause}") from cause
    if authority is None:
        raise KeyMaterialError("the certificate has no authority key identifier")
    serial = leaf.serial_number
    return f"{_base64url(authority)}.{_base64url(serial.to_bytes(serial.bit_length() // 8 + 1, 'big'))}"


def fetch(session: Session, identifier: str) -> Suggestion:
    """What the CA suggests for the certificate that ARI calls `identifier`.

    Raises CAError: CARefused with status 404 for a certificate that is not this CA's, CAProtocolError for a window that ends
    before it starts (RFC 9773 section 4.2 has clients take that for no answer).
    """
    url = f"{session.directory.endpoint('renewalInfo').rstrip('/')}/{identifier}"
    response = session.get(url, _RENEWAL_INFO)
    fields = read_object(response)
    window = fields.object("suggestedWindow")
    start_at, end_at = window.moment("start"), window.moment("end")
    if start_at is None or end_at is None or end_at <= start_at:
        raise CAProtocolError(f"the answer of `{url}` cannot be used: `suggestedWindow` is no window")
    explanation = fields.optional_text("explanationURL")
    demanded = retry_after(response.headers, session.ca_now())
    return Suggestion(start_at, end_at, explanation if is_url(explanation) else None, demanded)


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
