"""A small ACME client of the tests' own: it signs with cryptography, and lets a test send what no client should.

It shares no line with the package's client or with the sandbox, so that neither can hide the other's mistakes.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_CURVES = {
    "secp256r1": ("P-256", "ES256", hashes.SHA256()),
    "secp384r1": ("P-384", "ES384", hashes.SHA384()),
    "secp521r1": ("P-521", "ES512", hashes.SHA512()),
}
URN = "urn:ietf:params:acme:error:"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def location(self) -> str:
        return str(self.headers["Location"])

    @property
    def problem(self) -> str:
        """The type of the problem document, without its prefix; empty where the answer is none."""
        if self.headers.get_content_type() != "application/problem+json":
            return ""
        return str(self.json["type"]).removeprefix(URN)


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jwk(key: Key) -> dict[str, str]:
    public = key.public_key().public_numbers()
    if isinstance(public, rsa.RSAPublicNumbers):
        return {"e": _number(public.e), "kty": "RSA", "n": _number(public.n)}
    size = (key.key_size + 7) // 8
    return {
        "crv": _CURVES[public.curve.name][0],
        "kty": "EC",
        "x": encode(public.x.to_bytes(size, "big")),
        "y": encode(public.y.to_bytes(size, "big")),
    }


def thumbprint(key: Key) -> str:
    return encode(hashlib.sha256(json.dumps(jwk(key), separators=(",", ":")).encode()).digest())


def algorithm(key: Key) -> str:
    return "RS256" if isinstance(key, rsa.RSAPrivateKey) else _CURVES[key.curve.name][1]


def sign(key: Key, header: Mapping[str, Any], payload: bytes) -> dict[str, str]:
    protected = encode(json.dumps(header).encode())
    data = f"{protected}.{encode(payload)}".encode()
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    else:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(_CURVES[key.curve.name][2])))
        size = (key.key_size + 7) // 8
        signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return {"protected": protected, "payload": encode(payload), "signature": encode(signature)}


def csr(names: list[str], key: Key | None = None, *, common_name: str | None = None) -> bytes:
    attributes = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


class Client:
    """One key at one CA. `kid` is empty until `register`."""

    def __init__(self, directory_url: str, ca_bundle: Path, key: Key | None = None, *, agent: str = "tests") -> None:
        self.key: Key = key or ec.generate_private_key(ec.SECP256R1())
        self.kid = ""
        self.agent = agent
        self._context = ssl.create_default_context(cafile=ca_bundle)
        where = urlsplit(directory_url)
        self._connection = http.client.HTTPSConnection(where.netloc, context=self._context, timeout=30)
        self._nonce: str | None = None
        self.directory: dict[str, Any] = self.send("GET", directory_url).json

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def send(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        self._connection.request(
            method, urlsplit(url).path, body, headers={"User-Agent": self.agent, **(headers or {})}
        )
        response = self._connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        self._nonce = answer.headers.get("Replay-Nonce") or self._nonce
        return answer

    def nonce(self) -> str:
        if self._nonce is None:
            self.send("HEAD", self.directory["newNonce"])
        nonce, self._nonce = self._nonce, None
        assert nonce
        return nonce

    def post(
        self,
        url: str,
        payload: Mapping[str, Any] | None = None,
        *,
        by_key: bool = False,
        key: Key | None = None,
        header: Mapping[str, Any] | None = None,
        change: Callable[[dict[str, str]], dict[str, Any]] = dict,
        content_type: str = "application/jose+json",
    ) -> Answer:
        """A signed request; `header` overrides protected fields (None removes one), `change` edits the JWS."""
        key = key or self.key
        identity = {"jwk": jwk(key)} if by_key else {"kid": self.kid}
        fields: dict[str, Any] = {
            "alg": algorithm(key),
            "nonce": self.nonce(),
            "url": url,
            **identity,
            **(header or {}),
        }
        fields = {name: value for name, value in fields.items() if value is not None}
        data = b"" if payload is None else json.dumps(payload).encode()
        body = json.dumps(change(sign(key, fields, data))).encode()
        return self.send("POST", url, body, {"Content-Type": content_type})

    def register(self, **fields: Any) -> Answer:
        answer = self.post(self.directory["newAccount"], {"termsOfServiceAgreed": True, **fields}, by_key=True)
        if answer.status in {200, 201}:
            self.kid = answer.location
        return answer

    def new_order(self, *names: str, profile: str | None = "classic", **fields: Any) -> Answer:
        wish: dict[str, Any] = {"identifiers": [{"type": "dns", "value": name} for name in names], **fields}
        if profile is not None:
            wish["profile"] = profile
        return self.post(self.directory["newOrder"], wish)

    def authorizations(self, order: Answer) -> dict[str, tuple[str, dict[str, Any]]]:
        """Name (with `*.`) to the URL and the document of its authorization."""
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        for url in order.json["authorizations"]:
            document = self.post(url).json
            name = ("*." if document.get("wildcard") else "") + document["identifier"]["value"]
            found[name] = (url, document)
        return found

    def challenge(self, authorization: Mapping[str, Any], kind: str) -> dict[str, Any]:
        return next(dict(each) for each in authorization["challenges"] if each["type"] == kind)

    def key_authorization(self, token: str) -> str:
        return f"{token}.{thumbprint(self.key)}"

    def settled(self, url: str, *, while_in: str = "pending", seconds: float = 20) -> Answer:
        """POST-as-GET until the status is another one."""
        deadline = time.monotonic() + seconds
        while (answer := self.post(url)).json.get("status") == while_in:
            assert time.monotonic() < deadline, f"{url} is still {while_in}: {answer.json}"
            time.sleep(0.01)
        return answer

    def prove(self, order: Answer, *, kind: str = "dns-01") -> None:
        """Answer every pending authorization of an order, at a sandbox that trusts, and wait."""
        for url, document in self.authorizations(order).values():
            if document["status"] == "pending":
                assert self.post(self.challenge(document, kind)["url"], {}).status == 200
                assert self.settled(url).json["status"] == "valid"

    def proven(self, *names: str, profile: str | None = "classic") -> Answer:
        """An order all of whose names are proven."""
        order = self.new_order(*names, profile=profile)
        assert order.status == 201, order.body
        self.prove(order)
        return self.post(order.location)

    def finalize(self, order: Answer, request: bytes | None = None) -> Answer:
        names = [each["value"] for each in order.json["identifiers"]]
        return self.post(order.json["finalize"], {"csr": encode(request or csr(names))})

    def chain(self, order: Answer) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates(self.post(order.json["certificate"]).body)


def ari_id(certificate: x509.Certificate) -> str:
    """RFC 9773 section 4.1."""
    authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert authority
    number = certificate.serial_number
    return f"{encode(authority)}.{encode(number.to_bytes(number.bit_length() // 8 + 1, 'big'))}"


def _number(value: int) -> str:
    return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))
