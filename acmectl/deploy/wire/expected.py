"""What a service should serve: the chain of a generation, and for which name and kind of key to ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from acmectl import files, keys
from acmectl.errors import DeployError
from acmectl.model.certificates import Installed
from acmectl.model.names import Identifier


@dataclass(frozen=True, slots=True)
class Expected:
    """What a service should serve.

    `chain` has the SHA-256 of each certificate in DER form, the leaf first, in lower-case hexadecimal. `name` is asked for where an
    endpoint names none (None: no SNI). `family`, `ecdsa` or `rsa`, forces the handshake to that kind of key: for a
    service that has both.
    """

    label: str
    chain: tuple[str, ...]
    serial: str
    names: frozenset[Identifier]
    not_before: datetime
    not_after: datetime
    name: str | None = None
    family: str | None = None

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the leaf."""
        return self.chain[0]


def expected(
    installed: Installed, generation: Path, *, names: Iterable[Identifier] = (), family: str | None = None
) -> Expected:
    """What `installed`, which lies in the folder `generation`, looks like from outside.

    `names` are those of the configuration in their order: the first is what servers are asked for. Raises DeployError, KeyMaterialError.
    """
    pem = files.read(generation / "fullchain.pem", what="the certificate to look for", error=DeployError)
    return Expected(
        label=installed.label,
        chain=tuple(keys.read_chain(one).fingerprint for one in keys.split_chain(pem)),
        serial=installed.serial,
        names=installed.names,
        not_before=installed.not_before,
        not_after=installed.not_after,
        name=server_name(names or sorted(installed.names)),
        family=family,
    )


def server_name(names: Iterable[Identifier]) -> str | None:
    """What to ask a server for that has a certificate for `names`: the first name, of a wildcard one below it.

    Addresses cannot be asked for (RFC 6066 section 3): None where there is nothing else.
    """
    first = next((name for name in names if not name.is_address), None)
    if first is None:
        return None
    return f"acmectl.{first.base}" if first.is_wildcard else first.value
