"""What is left of a certificate that the configuration does not name any more, and removing it from the state directory.

The files that were deployed are the services' by then, who may still read them: they stay, and are named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from acmectl.errors import KeyMaterialError, StorageError
from acmectl.model.memory import Event

if TYPE_CHECKING:
    from acmectl.app.host import Host
    from acmectl.model.certificates import Installed
    from acmectl.model.tlsa import TlsaRecord

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Left:
    """One kind of a certificate as it lies on this host, or files that its targets wrote.

    `files` are there, and nobody keeps them up to date; `installed` is what is, or was last, in use. `is_configured` says that the certificate
    is wanted still, and only a target of it is not. `records` are TLSA records of its keys that the zone had when it was last looked at.
    """

    label: str
    files: tuple[str, ...]
    is_configured: bool
    installed: Installed | None = None
    generations: tuple[int, ...] = ()
    archived: tuple[int, ...] = ()
    next_pin: str | None = None
    records: tuple[TlsaRecord, ...] = ()


def left_in_use(host: Host) -> tuple[Left, ...]:
    """What of that matters to somebody: certificates, and deployed files; a key that was imported may just be ahead of its configuration."""
    return tuple(one for one in left(host) if one.files or one.generations or one.archived)


def left(host: Host) -> tuple[Left, ...]:
    """What this host has that its configuration does not name, by label. Raises StorageError."""
    from acmectl.follower import former

    configured = {spec.label for wanted in host.config.certificates.values() for spec in wanted.specs}
    kept = former.written(placed for wish in host.wishes() for placed in wish.targets) | host.parts.named
    places: dict[str, set[str]] = {}
    for deployment in host.state.memory.deployments():
        if deployment.label:
            places.setdefault(deployment.label, set()).update(deployment.places)
    labels = sorted({*places, *host.state.certificates.labels()})
    files = {label: former.stay(written, kept) for label, written in places.items()}
    found = (_left(host, one, files.get(one, ()), is_configured=one in configured) for one in labels)
    return tuple(one for one in found if one.files or not one.is_configured)


def _left(host: Host, label: str, files: tuple[str, ...], *, is_configured: bool) -> Left:
    if is_configured:
        return Left(label, files, is_configured=True)
    certificates = host.state.certificates
    return Left(
        label=label,
        files=files,
        is_configured=False,
        installed=_readable(lambda: certificates.current(label), None),
        generations=_readable(lambda: certificates.generations(label), ()),
        archived=_readable(lambda: tuple(r.generation for r in host.state.revocations.archived(label)), ()),
        next_pin=_readable(lambda: certificates.keys.next_pin(label), None),
        records=_readable(lambda: _records(host, label), ()),
    )


def _readable(read: Callable[[], T], otherwise: T) -> T:
    """What of it can be read: where it is damaged, there is all the more reason to remove it."""
    try:
        return read()
    except (StorageError, KeyMaterialError):
        return otherwise


def _records(host: Host, label: str) -> tuple[TlsaRecord, ...]:
    known = host.state.certificates.keys.published.load(label)
    return tuple(sorted(p.record for p in known.publications if p.is_ours or p.seen_at is not None))


def remove(host: Host, label: str) -> None:
    """Under the lock: put back what a killed run left half done, and remove all of it but the log.

    What is removed last is what finds the rest again, so that a run that is killed can be repeated. Raises StorageError, DeployError.
    """
    from acmectl.follower import settling

    state = host.state
    for stray in state.previous_files.all(label):
        settling.settle(state.previous_files, stray)
    state.previous_files.forget_all(label)
    state.certificates.remove(label)
    state.memory.forget_certificate(label)
    state.memory.add_event(Event(host.clock(), label, "removed", "from the state directory"))
