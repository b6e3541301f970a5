"""One handshake as a CA's validation of tls-alpn-01 makes it (RFC 8737 section 3), imported when something was published."""

from __future__ import annotations

import socket
import ssl

from acmectl import keys
from acmectl.dns.endpoints import Endpoint
from acmectl.errors import SolverError
from acmectl.solvers.base import Response
from acmectl.solvers.http_fetch import connection_hint

PORT = 443  # RFC 8737 section 3
_SECONDS = 5.0
_HINT = "another server answers there: let it pass connections for `acme-tls/1` on to `listen` of the solver"


def look(response: Response, place: Endpoint) -> None:
    """Raise SolverError where the CA would not find, at `place`, the certificate that answers the challenge."""
    der = _shown(response, place)
    from cryptography import x509

    from acmectl.solvers.alpn_server import ACME_IDENTIFIER

    none: tuple[type[Exception], ...] = (*keys.unreadable(), x509.ExtensionNotFound)
    try:
        extensions = x509.load_der_x509_certificate(der).extensions
        value = extensions.get_extension_for_oid(ACME_IDENTIFIER).value
    except none as cause:
        raise SolverError(
            f"{_words(response, place)} is answered by a certificate for no challenge", hint=_HINT
        ) from cause
    if not isinstance(value, x509.UnrecognizedExtension) or value.value[2:] != response.digest:
        raise SolverError(f"{_words(response, place)} is answered by the certificate of another challenge", hint=_HINT)


def _shown(response: Response, place: Endpoint) -> bytes:
    from acmectl.solvers.alpn_server import PROTOCOL

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([PROTOCOL])
    try:
        with (
            socket.create_connection((place.host, place.port), timeout=_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=response.identifier.server_name) as stream,
        ):
            der, protocol = stream.getpeercert(binary_form=True), stream.selected_alpn_protocol()
    except (OSError, ValueError) as cause:
        hint = _HINT if isinstance(cause, ssl.SSLError) else connection_hint(cause)
        raise SolverError(f"{_words(response, place)} cannot be asked: {_reason(cause)}", hint=hint) from cause
    if der is None or protocol != PROTOCOL:
        raise SolverError(f"{_words(response, place)} does not speak `{PROTOCOL}`", hint=_HINT)
    return der


def _words(response: Response, place: Endpoint) -> str:
    return f"tls-alpn-01 for `{response.identifier}` at `{place}`"


def _reason(cause: OSError | ValueError) -> str:
    if isinstance(cause, ssl.SSLError):
        return (cause.reason or "no handshake").lower().replace("_", " ")
    if isinstance(cause, socket.gaierror):
        return "the name has no address here"
    if isinstance(cause, TimeoutError):
        return f"no answer within {_SECONDS:g} s"
    return str(getattr(cause, "strerror", None) or cause).lower()
