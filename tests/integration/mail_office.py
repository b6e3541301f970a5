"""A mail host with a certificate from a sandbox, in a zone with DANE, and clients that send it mail all the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tests.integration.hosts import Family, Host, certificate
from tests.servers.dane import MAIL, SMTP, SUBMISSIONS, Clients, World, dane_world, looking_clients
from tests.servers.mail import running_mail
from tests.servers.sandbox import running_sandbox

LABEL = "mail"
PORTS = (SMTP, SUBMISSIONS)


@dataclass(frozen=True, slots=True)
class Office:
    """The host, and its zone; `ttl` is that of the TLSA records."""

    world: World
    host: Host
    ttl: int

    def record(self, name: str = "current/privkey.pem") -> str:
        """The TLSA record of a key of the certificate, by default of the one in use."""
        key = load_pem_private_key((self.host.state / "certificates" / LABEL / name).read_bytes(), None)
        digest = Hash(SHA256())
        digest.update(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        return f"3 1 1 {digest.finalize().hex()}"

    def publish(self, *records: str) -> None:
        """By hand: these and no others, for both ports."""
        for port in PORTS:
            self.world.publish(port, *records, ttl=self.ttl)

    def is_published(self, *records: str) -> bool:
        """Whether both name servers have these and no others, for both ports."""
        world = self.world
        return all(world.published(p, at=at) == set(records) for at in (world.bind, world.knot) for p in PORTS)

    def is_remembered(self, *records: str) -> bool:
        """Whether clients get these and no others, for both ports."""
        return all(self.world.remembered(port)[0] == set(records) for port in PORTS)

    @contextmanager
    def mail(self) -> Iterator[Clients]:
        """The mail server with the certificate that is deployed, and its clients."""
        with running_mail(self.host.directory / "tls" / "mail.pem"), looking_clients() as clients:
            yield clients


@contextmanager
def mail_office(directory: Path, *, ttl: int, **options: Any) -> Iterator[Office]:
    """An office whose host has an account, and `options` for its certificate; nothing is issued or published yet."""
    with ExitStack() as stack:
        world = stack.enter_context(dane_world(directory))
        sandbox = stack.enter_context(running_sandbox(directory / "ca", trust=True, limits=None, poll_after=None))
        deploy = [{"type": "files", "directory": "tls", "files": {"privkey+fullchain": "mail.pem"}}]
        config = {
            "authority": {"directory": sandbox.directory_url, "ca_bundle": str(sandbox.ca_bundle)},
            "profile": "classic",
            "contact": ["hostmaster@dane.test"],
            "solvers": {"web": {"type": "webroot", "path": "www", "check": False}},
            "master": {"authorize": [{"names": [MAIL], "solver": "web"}]},
            "certificates": {LABEL: certificate(MAIL, **{"deploy": deploy, **options})},
        }
        host = Host(directory / "host", config)
        (host.directory / "www").mkdir()
        stack.callback(Family(host, ()).end)
        host.run("account", "register", "--agree-tos")
        host.run("master", "run")
        yield Office(world, host, ttl)
