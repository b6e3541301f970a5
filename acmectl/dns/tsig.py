"""TSIG keys (RFC 8945) as BIND writes them into files: `key "name" { algorithm hmac-sha256; secret "..."; };`.

Parsed here and not by dnspython, because a configuration is checked without importing it, and because an error must
name the file and never quote the secret. MD5 and SHA-1 are refused: RFC 8945 section 6 keeps them for old servers only.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.dns.endpoints import is_domain
from acmectl.errors import DNSError
from acmectl.files import read_secret

if TYPE_CHECKING:
    import dns.tsig

ALGORITHMS = ("hmac-sha256", "hmac-sha224", "hmac-sha384", "hmac-sha512")
_WEAK = ("hmac-md5", "hmac-md5.sig-alg.reg.int", "hmac-sha1")
_MIN_SECRET = 16  # octets; BIND's tsig-keygen writes as many as the digest has
_NEW_KEY = "make a new key: `tsig-keygen -a hmac-sha256 NAME`"
_TOKEN = re.compile(
    r'\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/|"(?P<quoted>[^"\n]*)"|(?P<mark>[{};])|(?P<word>[^\s{};"]+)', re.DOTALL
)


@dataclass(frozen=True, slots=True)
class TsigKey:
    """A key that we share with a name server; its secret never shows."""

    name: str
    algorithm: str
    secret: bytes = field(repr=False)

    def for_dnspython(self) -> dns.tsig.Key:
        """The same key as dnspython has it. Its repr shows the secret: keep it in a local variable."""
        import dns.name
        import dns.tsig

        return dns.tsig.Key(dns.name.from_text(self.name), self.secret, self.algorithm)


def load_key_file(path: Path) -> TsigKey:
    """The one key of a BIND key file; DNSError says what is wrong with the file."""
    keys = list(_keys(_statement_words(_text(path), path), path))
    if len(keys) != 1:
        found = ", ".join(f"`{key.name}`" for key in keys) or "none"
        raise DNSError(f"the TSIG key file `{path}` must have one key, found: {found}", hint=_NEW_KEY)
    return keys[0]


def load_secret_file(path: Path, *, name: str, algorithm: str) -> TsigKey:
    """The key `name` whose secret, in base64 and alone, is in the file at `path`; DNSError says what is wrong with it."""
    return _key(name, algorithm, _text(path).strip(), path)


def _text(path: Path) -> str:
    try:
        return read_secret(path, what="the TSIG key file", error=DNSError).decode("ascii")
    except UnicodeDecodeError:
        raise DNSError(
            f"the TSIG key file `{path}` is no text", hint=_NEW_KEY
        ) from None  # the cause quotes the content


def _statement_words(text: str, path: Path) -> list[str]:
    words, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            line = text.count("\n", 0, position) + 1
            raise DNSError(f"the TSIG key file `{path}:{line}` has a quote that does not end", hint=_NEW_KEY)
        if match.lastgroup:
            words.append(match[match.lastgroup])
        position = match.end()
    return words


def _keys(words: list[str], path: Path) -> Iterator[TsigKey]:
    """Every `key NAME { ... }`; other statements, as in rndc.conf, are passed over."""
    for start, word in enumerate(words):
        if word == "key" and words[start + 2 : start + 3] == ["{"]:
            rest = words[start + 3 :]
            if "}" not in rest:
                raise DNSError(f"the TSIG key file `{path}` ends within `key {words[start + 1]}`", hint=_NEW_KEY)
            body = rest[: rest.index("}")]
            settings = dict(pairwise(body))
            yield _key(words[start + 1], settings.get("algorithm", ""), settings.get("secret", ""), path)


def _key(name: str, algorithm: str, secret: str, path: Path) -> TsigKey:
    algorithm = algorithm.lower().removesuffix(".")
    if algorithm in _WEAK:
        raise DNSError(f"the TSIG key `{name}` of `{path}` uses `{algorithm}`, which is too weak", hint=_NEW_KEY)
    if algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise DNSError(f"the TSIG key `{name}` of `{path}` has no known algorithm", hint=f"one of {known}")
    if not is_domain(name):
        raise DNSError(f"the TSIG key of `{path}` has no name that is a domain name", hint=_NEW_KEY)
    try:
        octets = base64.b64decode("".join(secret.split()), validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if len(octets) < _MIN_SECRET:
        raise DNSError(
            f"the secret of the TSIG key `{name}` in `{path}` is no base64 text of {_MIN_SECRET} octets or more",
            hint=_NEW_KEY,
        )
    return TsigKey(name.removesuffix(".").lower(), algorithm, octets)
