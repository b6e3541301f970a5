"""Which names a host proves, and which of them a person means: a configuration in, names out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from acmectl.errors import InvalidName, UsageError
from acmectl.model.names import Identifier
from acmectl.options import nearest
from acmectl.policy.refresh import Wanted

if TYPE_CHECKING:
    from acmectl.config import Config


def kept(config: Config) -> tuple[Wanted, ...]:
    """The names that the master's part keeps authorized, in the order of the configuration."""
    if config.master is None:
        return ()
    return tuple(
        Wanted(name, entry.account, config.profile, entry.solvers[0], entry.solvers[1:])
        for entry in config.master.authorize
        for name in entry.names
    )


def provable(config: Config) -> tuple[Wanted, ...]:
    """Each name that this host proves, once for each list of solvers: of the master's part, and of certificates with a `solver`."""
    of_certificates = (
        Wanted(name, c.spec.account, c.spec.profile, c.solvers[0], c.solvers[1:])
        for c in config.certificates.values()
        if c.solvers
        for name in sorted(c.spec.names)
    )
    found: dict[tuple[Identifier, tuple[str, ...]], Wanted] = {}
    for wanted in (*kept(config), *of_certificates):
        found.setdefault((wanted.identifier, wanted.solvers), wanted)
    return tuple(found.values())


def tried(config: Config, texts: Iterable[str]) -> tuple[Wanted, ...]:
    """Those of `provable` that a person names, or all; raises UsageError for one that is not configured, and for none."""
    everything = provable(config)
    if not everything:
        hint = "list names under `master.authorize`, or give a certificate a `solver`"
        raise UsageError("this host proves no names", hint=hint)
    known = {w.identifier for w in everything}
    wanted = _parsed(texts)
    for name in sorted(wanted - known):
        raise UsageError(
            f"`{name}` is not among the names that this host proves", hint=nearest(name.value, map(str, known))
        )
    return tuple(w for w in everything if not wanted or w.identifier in wanted)


def chosen(config: Config, texts: Iterable[str]) -> frozenset[Identifier]:
    """The identifiers of `kept` that a person names; raises UsageError for one that is not configured."""
    known = {w.identifier for w in kept(config)}
    wanted = _parsed(texts)
    for name in sorted(wanted - known):
        raise UsageError(f"`{name}` is not among the names of `master`", hint=nearest(name.value, map(str, known)))
    return wanted


def _parsed(texts: Iterable[str]) -> frozenset[Identifier]:
    try:
        return frozenset(Identifier.parse(text) for text in texts)
    except InvalidName as error:
        raise UsageError(error.message, hint=error.hint) from error
