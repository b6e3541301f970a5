"""What the tests of real mail and directory servers have in common: a service, where to look at it, and what it must survive."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from acmectl.model.certificates import KeyType
from tests.integration.services import LABEL, Desk, contents, rights, served
from tests.servers.places import broken

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
        """Whether that is just this."""
        return self.seen(*options) == {kind: {serial} for kind, serial in serials.items()}

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
