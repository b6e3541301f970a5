"""How the sandbox validates tls-alpn-01 (RFC 8737 section 3, for addresses RFC 8738 section 6), as strictly as Boulder's `va/tlsalpn.go`.

It shares no code with the solver for tls-alpn-01: two that share a mistake would agree.
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import ssl
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from acmectl.errors import Problem
from acmectl.keys import unreadable

if TYPE_CHECKING:
    from acmectl.sandbox.validation import Attempt

_PROTOCOL = "acme-tls/1"
_UNREADABLE: tuple[type[Exception], ...] = (*unreadable(), x509.ExtensionNotFound)
_NOT_BY_ITSELF: tuple[type[Exception], ...] = (*unreadable(), TypeError, InvalidSignature)
_EXTENSION = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


def validate(attempt: Attempt, address: str, port: int, *, seconds: float) -> Problem | None:
    """Why the server at `address` does not prove control, or None where it does."""
    name = _server_name(attempt.identifier.value)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([_PROTOCOL])
    try:
        with (
            socket.create_connection((address, port), timeout=seconds) as plain,
            context.wrap_socket(plain, server_hostname=name) as stream,
        ):
            der, protocol = stream.getpeercert(binary_form=True), stream.selected_alpn_protocol()
    except ssl.SSLError as cause:
        return Problem("tls", f"{address}: tls-alpn-01: {cause.reason or cause}", 400)
    except OSError as cause:
        reason = "Timeout" if isinstance(cause, TimeoutError) else cause.strerror or str(cause)
        return Problem("connection", f"{address}: tls-alpn-01: {reason}", 400)
    if protocol != _PROTOCOL or der is None:
        detail = f'{address}: Cannot negotiate ALPN protocol "{_PROTOCOL}" for tls-alpn-01 challenge'
        return Problem("unauthorized", detail, 403)
    fault = _fault(der, attempt)
    if fault is None:
        return None
    detail = (
        f"Incorrect validation certificate for tls-alpn-01 challenge. Requested {name} from {address}:{port}. {fault}"
    )
    return Problem("unauthorized", detail, 403)


def _server_name(value: str) -> str:
    """RFC 8738 section 6: the address in the reverse tree, because SNI has no addresses."""
    try:
        return ipaddress.ip_address(value).reverse_pointer
    except ValueError:
        return value


def _fault(der: bytes, attempt: Attempt) -> str | None:
    try:
        certificate = x509.load_der_x509_certificate(der)
        extensions = certificate.extensions
        alternatives = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except _UNREADABLE as cause:
        return f"Received certificate that cannot be read: {cause}"
    try:
        certificate.verify_directly_issued_by(certificate)
    except _NOT_BY_ITSELF:
        return "Received certificate which is not self-signed."
    kind = x509.IPAddress if attempt.identifier.is_address else x509.DNSName
    found = [(type(name), str(name.value).lower()) for name in alternatives]
    if found != [(kind, attempt.identifier.value)]:
        return f"Received certificate with unexpected identifiers ({', '.join(text for _, text in found)})."
    return _digest_fault(extensions, attempt.key_authorization)


def _digest_fault(extensions: x509.Extensions, key_authorization: str) -> str | None:
    try:
        extension = extensions.get_extension_for_oid(_EXTENSION)
    except x509.ExtensionNotFound:
        return "Missing acmeIdentifier extension."
    if not extension.critical:
        return "Received certificate with acmeIdentifier extension that is not critical."
    expected = b"\x04\x20" + hashlib.sha256(key_authorization.encode()).digest()  # DER of an OCTET STRING
    if not isinstance(extension.value, x509.UnrecognizedExtension) or extension.value.value != expected:
        return "Received certificate with acmeIdentifier that does not match the key authorization."
    return None
