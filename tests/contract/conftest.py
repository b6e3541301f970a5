"""The servers of the contract suite: what `ca/` promises must hold on each of them.

A server is one line in `SERVERS`. Where they must differ a test says so in its name, and asks `Server.fact`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from acmectl.ca import accounts
from acmectl.ca.session import Session
from acmectl.model.names import Identifier
from tests.servers.acme2certifier import running_acme2certifier
from tests.servers.pebble import free_ports, running_pebble
from tests.servers.sandbox import running_sandbox

_USUAL = frozenset(
    {
        "alternate chains",
        "deactivation of authorizations",
        "reasons of failures",
        "refusal of broken CSRs",
        "reuse",
        "status 404",
        "status of accounts",
        "time of validation",
    }
)  # what Pebble and Boulder have in common, and acme2certifier has not
CONTACT = ("hostmaster@contract-of-acmectl.com",)  # acme2certifier wants one


@dataclass(frozen=True, slots=True)
class Server:
    """A running CA, and the facts in which it differs from the others."""

    name: str
    directory_url: str
    ca_bundle: Path
    facts: frozenset[str] = field(default=frozenset())

    def session(self, key: ec.EllipticCurvePrivateKey | None = None) -> Session:
        """A session with an account of its own, unless `key` brings one that may not be registered."""
        if key is not None:
            return Session(self.directory_url, key=key, ca_bundle=self.ca_bundle)
        session = Session(self.directory_url, key=ec.generate_private_key(ec.SECP256R1()), ca_bundle=self.ca_bundle)
        accounts.register(session, contact=CONTACT, terms_agreed=True)
        return session


@contextmanager
def _pebble(directory: Path, *, trusting: bool, nonce_reject: int) -> Iterator[Server]:
    with running_pebble(directory, always_valid=trusting, nonce_reject=nonce_reject, alternate_roots=1) as pebble:
        yield Server("pebble", pebble.directory_url, pebble.ca_bundle, _USUAL)


@contextmanager
def _sandbox(directory: Path, *, trusting: bool, nonce_reject: int) -> Iterator[Server]:
    closed = free_ports(1)[0]
    with running_sandbox(directory, trust=trusting, nonce_reject_percent=nonce_reject, http_port=closed) as sandbox:
        yield Server("sandbox", sandbox.directory_url, sandbox.ca_bundle, _USUAL | {"order reuse", "profiles"})


@contextmanager
def _acme2certifier(directory: Path, *, trusting: bool, nonce_reject: int) -> Iterator[Server]:
    assert nonce_reject == 0, "it refuses no good nonces"
    with running_acme2certifier(directory, trust=trusting) as running:
        yield Server("acme2certifier", running.directory_url, running.ca_bundle, frozenset({"newAuthz that is none"}))


SERVERS: dict[str, Callable[..., AbstractContextManager[Server]]] = {
    "pebble": _pebble,
    "sandbox": _sandbox,
    "acme2certifier": _acme2certifier,
}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A CA that takes every answer for right."""
    with SERVERS[request.param](tmp_path_factory.mktemp("ca"), trusting=True, nonce_reject=0) as running:
        yield running


@pytest.fixture(params=SERVERS)
def strict_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A CA that looks, and finds nothing: nobody listens where it looks."""
    with SERVERS[request.param](tmp_path, trusting=False, nonce_reject=0) as running:
        yield running


@pytest.fixture(params=[15, 50], ids=["15 % of nonces refused", "50 % of nonces refused"])
def nonce_reject(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=[name for name in SERVERS if name != "acme2certifier"])
def rejecting_server(request: pytest.FixtureRequest, tmp_path: Path, nonce_reject: int) -> Iterator[Server]:
    """A CA that refuses good nonces."""
    with SERVERS[request.param](tmp_path, trusting=True, nonce_reject=nonce_reject) as running:
        yield running


@pytest.fixture
def session(server: Server) -> Iterator[Session]:
    """A session with a new account at `server`."""
    with server.session() as opened:
        yield opened


@pytest.fixture
def base() -> str:
    """A registered domain that no other test uses."""
    return f"t{secrets.token_hex(6)}.com"


@pytest.fixture
def names(base: str) -> tuple[Identifier, ...]:
    """A name, and a wildcard together with its base name."""
    return tuple(Identifier.parse(f"{prefix}{base}") for prefix in ("", "*.", "mail.other."))
