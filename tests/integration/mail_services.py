"""What the tests of real mail and directory servers have in common: a service, where to look at it, and what it must survive."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from acmectl.model.certificates import KeyType
from tests.integration.hosts import await_true
from tests.integration.services import ECDSA, LABEL, RSA, Desk, contents, desk, rights, served
from tests.servers.places import broken, open_place

NAME = "mail.service.test"
Program = TypeVar("Program")


@dataclass(frozen=True, slots=True)
class Look:
    """A port of the service, and what it speaks there."""

    port: int
    protocol: str = "tls"

    @property
    def endpoint(self) -> dict[str, Any]:
        """The same as an entry of `verify`."""
        return {"port": self.port, "protocol": self.protocol}

    def serial(self, family: str = "", *options: str) -> int | None:
        """What `openssl s_client` gets; `family` asks for a kind of key."""
        spoken = {"tls": "", "submission": "smtp"}.get(self.protocol, self.protocol)
        starttls = ("-starttls", spoken) if spoken else ()
        return served(self.port, *starttls, *options, name=NAME, family=family)


@dataclass(frozen=True)
class Service(Generic[Program]):
    """A running program with what a follower deploys to it: `target` has its own commands in place of those of the preset."""

    desk: Desk
    program: Program
    target: Mapping[str, Any]
    looks: Sequence[Look]

    @property
    def everywhere(self) -> list[dict[str, Any]]:
        """All ports, for `verify`."""
        return [look.endpoint for look in self.looks]

    def deploy(self, **changes: Any) -> None:
        """Configure the target, looked at in one place, with these changes."""
        self.desk.deploy({**self.target, "verify": self.everywhere[:1], **changes})

    def renewed(self) -> dict[KeyType, int]:
        """A new certificate of each kind, deployed by one run of acmectl; their serial numbers."""
        serials = self.desk.issue()
        self.desk.run()
        return serials

    def seen(self, *options: str) -> dict[KeyType, set[int | None]]:
        """What `openssl s_client` gets at all ports, with more of its options, by the kind of key that it asks for."""
        return {kind: {look.serial(kind.family, *options) for look in self.looks} for kind in self.desk.kinds}

    def serves(self, serials: Mapping[KeyType, int], *options: str) -> bool:
        """Whether that is just this, within seconds: one port is verified by acmectl, and workers of the others may be exchanged a little later."""
        wanted = {kind: {serial} for kind, serial in serials.items()}
        await_true(lambda: self.seen(*options) == wanted, seconds=30, what=f"{wanted} at {self.looks}")
        return True

    def is_verified(self) -> bool:
        """Whether `acmectl cert verify` sees the certificates in use at all ports, in both versions of TLS."""
        lines = self.desk.run("cert", "verify", LABEL).out.split("\n\n")[0].splitlines()
        return len(lines) == len(self.looks) * len(self.desk.kinds) and all("TLS 1.2 and TLS 1.3" in x for x in lines)

    def refused(self, configuration: Path, line: str) -> str:
        """What acmectl says when the service does not understand a line of its configuration: nothing has changed then.

        Afterwards the line is gone, and the next run makes all good.
        """
        standing, seen = self.standing(), self.seen()
        assert None not in set().union(*seen.values()), "it served nothing before"
        serials = self.desk.issue()
        with broken(configuration, line):
            said = self.desk.run(expect=1).err
            assert self.standing() == standing, "the old files are not back"
            assert self.seen() == seen
        self.desk.run()
        assert self.serves(serials)
        return said

    def client(self) -> ssl.SSLContext:
        """A client that trusts the CA of the certificates and nobody else, whatever address it connects to."""
        context = self.desk.client()
        context.check_hostname = False
        return context

    def standing(self) -> tuple[dict[str, bytes], dict[str, str]]:
        """The files in its directory, and their rights."""
        directory = Path(self.target["directory"])
        return contents(directory), rights(directory)

    @contextmanager
    def smtp_session(self) -> Iterator[None]:
        """A session at the first port, in TLS, that must still be there at the end of the block."""
        with smtplib.SMTP("127.0.0.1", self.looks[0].port, timeout=20) as session:
            session.starttls(context=self.client())
            yield
            assert session.noop()[0] == 250


@dataclass(frozen=True)
class Begun:
    """What a preset has deployed for a service that does not run yet, into a place that its user can enter."""

    place: Path
    desk: Desk
    target: Mapping[str, Any]

    @property
    def file(self) -> Path:
        """Key and chain, of the first kind."""
        return self.place / "tls" / f"{LABEL}.pem"

    @property
    def rsa_file(self) -> Path:
        """Key and chain of the second kind."""
        return self.place / "tls" / f"{LABEL}-rsa.pem"

    def service(self, program: Program, *looks: Look, check: list[str], reload: list[str]) -> Service[Program]:
        """The program that runs now, with commands of its own in place of those of the preset."""
        return Service(self.desk, program, {**self.target, "check": check, "reload": reload}, looks)


@contextmanager
def begun(preset: str, *, kinds: Sequence[KeyType] = (ECDSA, RSA)) -> Iterator[Begun]:
    """A place with a follower, and its first certificates deployed by a preset."""
    with open_place(preset) as place:
        first = Begun(place, desk(place, NAME, kinds=kinds), {"type": preset, "directory": str(place / "tls")})
        first.desk.place_first({**first.target})
        yield first
