"""StartTLS of LDAP (RFC 4511 section 4.14): one extended request, one answer, in as little BER as that takes."""

from __future__ import annotations

from acmectl.deploy.wire.stream import Stream, WireError, quote

_OID = b"1.3.6.1.4.1.1466.20037"
_SEQUENCE, _INTEGER, _OCTETS, _ENUMERATED = 0x30, 0x02, 0x04, 0x0A
_EXTENDED_REQUEST, _REQUEST_NAME, _EXTENDED_RESPONSE = 0x77, 0x80, 0x78
_MAX_MESSAGE = 16 * 1024
_CODES = {
    1: "operationsError",
    2: "protocolError",
    10: "referral",
    51: "busy",
    52: "unavailable",
    53: "unwillingToPerform",
}


def start_tls(stream: Stream, name: str) -> None:
    """Ask for TLS. Raises WireError."""
    del name
    request = _written(_EXTENDED_REQUEST, _written(_REQUEST_NAME, _OID))
    stream.send(_written(_SEQUENCE, _written(_INTEGER, b"\x01") + request))
    message = _read_message(stream)
    try:
        code, said = _result(message)
    except (IndexError, ValueError) as cause:
        raise WireError(f"does not speak ldap: it said {quote(message)}") from cause
    if code:
        name_of_code = f" ({_CODES[code]})" if code in _CODES else ""
        raise WireError(f"answers StartTLS with code {code}{name_of_code}: {quote(said)}")


def _written(tag: int, content: bytes) -> bytes:
    """All that we write is shorter than 128 bytes."""
    return bytes([tag, len(content)]) + content


def _read_message(stream: Stream) -> bytes:
    """The content of one LDAPMessage."""
    head = stream.exactly(2)
    length = head[1]
    if length > 0x80:
        extra = stream.exactly(min(length - 0x80, 5))
        length = int.from_bytes(extra, "big")
    if head[0] != _SEQUENCE or head[1] == 0x80 or length > _MAX_MESSAGE:
        raise WireError(f"does not speak ldap: it said {quote(stream.heard)}")
    return stream.exactly(length)


def _result(message: bytes) -> tuple[int, bytes]:
    """The code and the words of an ExtendedResponse, also of a notice of disconnection. Raises ValueError, IndexError."""
    _, rest = _element(message, _INTEGER)
    response, _ = _element(rest, _EXTENDED_RESPONSE)
    code, rest = _element(response, _ENUMERATED)
    _, rest = _element(rest, _OCTETS)  # matchedDN
    said, _ = _element(rest, _OCTETS)
    return int.from_bytes(code, "big"), said


def _element(text: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first element, which must have this tag, and what follows it."""
    start, length = 2, text[1]
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(text[2:start], "big")
    if text[0] != tag or len(text) < start + length:
        raise ValueError("not the element that belongs here")
    return text[start : start + length], text[start + length :]
