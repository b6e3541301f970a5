"""STARTTLS of XMPP (RFC 6120 section 5): open a stream, find the feature, ask, be told to proceed.

XML of a stranger: no DOCTYPE (so no entities but the five of XML; RFC 6120 section 11.1 forbids it as well), bounded in
bytes by the connection and in depth here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from acmectl.deploy.wire.stream import Stream, WireError, quote

_STREAMS = "http://etherx.jabber.org/streams"
_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
_MAX_DEPTH = 16
_MAX_TEXT = 1024  # characters of a stream error


def start_tls(stream: Stream, name: str, namespace: str) -> None:
    """Ask the host `name` for TLS. Raises WireError."""
    opening = (
        f"<?xml version='1.0'?><stream:stream to={quoteattr(_unicode(name))} version='1.0' xml:lang='en' "
        f"xmlns={quoteattr(namespace)} xmlns:stream='{_STREAMS}'>"
    )
    stream.send(opening.encode())
    elements = _Elements(stream, name)
    features = elements.next()
    if features.name != f"{_STREAMS} features":
        raise WireError(f"sends no stream features: {quote(stream.heard)}")
    if f"{_TLS} starttls" not in features.children:
        raise WireError(f"offers no STARTTLS for `{name}`", hint=_hint(name))
    stream.send(f"<starttls xmlns='{_TLS}'/>".encode())
    if elements.next().name != f"{_TLS} proceed":
        raise WireError(f"answers STARTTLS with {quote(stream.heard)}")


@dataclass(slots=True)
class _Element:
    """A child of the stream: its name, those of all elements in it (`NAMESPACE LOCALNAME`), and their text."""

    name: str
    children: list[str] = field(default_factory=list)
    text: str = ""


class _Elements:
    """The children of a stream, one by one as they come."""

    def __init__(self, stream: Stream, name: str) -> None:
        self._stream = stream
        self._name = name
        self._open: _Element | None = None
        self._complete: list[_Element] = []
        self._depth = 0
        # XMPP is UTF-8 whatever a server declares (RFC 6120 section 11.6), and of others `expat` raises what is no ExpatError.
        self._parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        # Newer ones put off looking at a token that came in pieces, and would have us wait for what never comes.
        if hasattr(self._parser, "SetReparseDeferralEnabled"):
            self._parser.SetReparseDeferralEnabled(False)
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype

    def next(self) -> _Element:
        """The next one. What follows it stays unread. Raises WireError, also for a stream error, with its words."""
        while not self._complete:
            text = self._stream.until(b">")
            try:
                self._parser.Parse(text, False)
            except expat.ExpatError as cause:
                raise WireError(f"does not speak XMPP: it said {quote(self._stream.heard)}") from cause
        element = self._complete.pop()
        if element.name == f"{_STREAMS} error":
            conditions = [child.partition(" ")[2] for child in element.children]
            said = " ".join([*(c for c in conditions if c != "text"), element.text.strip()])
            raise WireError(f"answers with a stream error: {quote(said.encode())}", hint=_hint(self._name))
        return element

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        del attributes
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise WireError("sends XML that is nested too deep for XMPP")
        if self._depth == 1 and name != f"{_STREAMS} stream":
            raise WireError(f"does not speak XMPP: it said {quote(self._stream.heard)}")
        if self._depth == 2:
            self._open = _Element(name)
        elif self._open is not None:
            self._open.children.append(name)

    def _end(self, name: str) -> None:
        del name
        if self._depth == 1:
            raise WireError(f"closed the stream: {quote(self._stream.heard)}")
        if self._depth == 2 and self._open is not None:
            self._complete.append(self._open)
            self._open = None
        self._depth -= 1

    def _characters(self, text: str) -> None:
        if self._open is not None:
            self._open.text = (self._open.text + text)[:_MAX_TEXT]

    def _doctype(self, *_: Any) -> None:
        raise WireError("sends a DOCTYPE, which XMPP forbids")


def _hint(name: str) -> str:
    """A certificate's first name is often the host's own, which no address of its people ends with."""
    return f"is `{name}` a domain of the service? `verify: [{{..., name: DOMAIN}}]` asks for another"


def _unicode(name: str) -> str:
    """A domain in XMPP is written in the script of its people (RFC 7622 section 3.2), unlike in DNS and SNI."""
    if "xn--" not in name:
        return name
    import idna  # only where a name needs it

    try:
        return idna.decode(name)
    except idna.IDNAError:
        return name
