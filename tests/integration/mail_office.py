"""A mail host with a certificate from a sandbox, in a zone with DANE: Postfix, BIND, Knot and unbound, in a network of their own."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from acmectl.sandbox.server import Sandbox
from tests.integration.hosts import Family, Host
from tests.servers.dane import MAIL, SMTP, SUBMISSIONS, World, dane_world
from tests.servers.places import open_place
from tests.servers.postfix import Postfix, running_postfix
from tests.servers.sandbox import running_sandbox
from tests.servers.zygote import zygote

LABEL = "mail"
RECORDS = "mail.records"
PORTS = (SMTP, SUBMISSIONS)
_SUBMISSION = 587
_EFFECTS = ["open", "os.rename", "os.remove", "os.mkdir", "subprocess.Popen", "socket.connect", "socket.sendto"]
_STRIDE = 3  # effects from one kill to the next
_PATIENCE = 120.0  # seconds, on a busy machine
_PAUSE = 0.2  # seconds between two runs


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

    def is_settled(self) -> bool:
        """Whether the records of the key in use and of the next one are published, and no others."""
        certificate = self.host.state / "certificates" / LABEL
        if not ((certificate / "current").exists() and (certificate / "next-key.pem").exists()):
            return False
        keys = {self.record(), self.record("next-key.pem")}
        return len(keys) == 2 and self.is_published(*keys)

    def is_known(self) -> bool:
        """Whether clients get the records of the key in use and of the next one."""
        return self.is_remembered(self.record(), self.record("next-key.pem"))


class Runs:
    """Runs of the host as cron starts them, by a Python that has imported everything already.

    A killed one ends by SIGKILL at some effects later than the one before, until one gets to its end; and so on.
    """

    def __init__(self, directory: Path) -> None:
        self.kills = 0
        self._directory, self._effect = directory, 1

    def follower(self) -> str:
        """A follower's run that nobody disturbs, and what it says."""
        return self._undisturbed("follower")

    def master(self) -> str:
        """A master's run that nobody disturbs, and what it says."""
        return self._undisturbed("master")

    def killed_follower(self) -> str:
        """A follower's run that is killed, or gets to its end."""
        status = zygote().run(self._directory, "follower", "run", kill=(_EFFECTS, self._effect))
        assert status in {0, -signal.SIGKILL}, self._said()
        self.kills += status != 0
        self._effect = self._effect + _STRIDE if status else 1 + self._effect % _STRIDE
        return self._said()

    def _undisturbed(self, part: str) -> str:
        assert zygote().run(self._directory, part, "run") == 0, self._said()
        return self._said()

    def _said(self) -> str:
        return (self._directory / "output").read_text()


def until(condition: Callable[[], bool], run: Callable[[], str]) -> None:
    """Run as cron does, until something is so."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        said = run()
        assert time.monotonic() < end, f"in vain; the last run said:\n{said}"
        time.sleep(_PAUSE)  # bounded polling for a condition


@contextmanager
def mail_office(
    directory: Path, *, ttl: int, publisher: Literal["host", "master"] | None = None, **options: Any
) -> Iterator[Office]:
    """An office whose host has an account, and `options` for its certificate; nothing is issued or published yet.

    Its keys are published by `publisher`: by itself as their owner, or as a master that knows only what is in the file RECORDS.
    """
    with ExitStack() as stack:
        world = stack.enter_context(dane_world(directory))
        sandbox = stack.enter_context(running_sandbox(directory / "ca", trust=True, limits=None, poll_after=None))
        place = stack.enter_context(open_place("postfix"))
        chain = place / "tls" / f"{LABEL}.pem"
        postfix = stack.enter_context(running_postfix(place, [chain], ports=[SMTP, _SUBMISSION, SUBMISSIONS]))
        update = {"server": world.bind.address, "tsig_key_file": str(world.bind.key_file("acmectl"))}
        services = {"records": [f"{MAIL}:{port}" for port in PORTS], "ttl": f"{ttl}s"}
        if publisher:
            options["tlsa"] = services | ({"update": update} if publisher == "host" else {})
        kept = [{"file": RECORDS, "update": update, **services}] if publisher == "master" else []
        certificate = {"names": [MAIL], "deploy": [_to(postfix, chain)], **options}
        host = Host(directory / "host", {**_common(sandbox, kept), "certificates": {LABEL: certificate}})
        stack.callback(Family(host, ()).end)
        (host.directory / "www").mkdir()
        host.run("account", "register", "--agree-tos")
        host.run("master", "run", MAIL)
        yield Office(world, host, ttl)


def _to(postfix: Postfix, chain: Path) -> dict[str, Any]:
    """A target for Postfix, which is looked at both its ports."""
    return {
        "type": "files",
        "directory": str(chain.parent),
        "files": {"privkey+fullchain": chain.name},
        "check": postfix.command("check"),
        "reload": postfix.command("reload"),
        "verify": [{"port": SMTP, "protocol": "smtp"}, {"port": SUBMISSIONS}],
    }


def _common(sandbox: Sandbox, records: list[dict[str, Any]]) -> dict[str, Any]:
    """A host that proves its names itself, to a CA that believes it."""
    return {
        "authority": {"directory": sandbox.directory_url, "ca_bundle": str(sandbox.ca_bundle)},
        "profile": "classic",
        "contact": ["hostmaster@dane.test"],
        "solvers": {"web": {"type": "webroot", "path": "www", "check": False}},
        "master": {"authorize": [{"names": [MAIL], "solver": "web"}], "records": records},
    }
