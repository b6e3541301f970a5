"""What the services of this host serve now, for `acmectl cert verify`: looks only, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.deploy.wire.expected import expected
from acmectl.deploy.wire.verifying import Request, observe
from acmectl.errors import AcmectlError
from acmectl.follower.targets import ordered

if TYPE_CHECKING:
    from acmectl.app.host import Host
    from acmectl.deploy.target import Target
    from acmectl.deploy.wire.looking import Sighting
    from acmectl.follower import Wish
    from acmectl.model.certificates import CertificateSpec, Installed


@dataclass(frozen=True, slots=True)
class SeenTarget:
    """What was seen of one target, at each address of its endpoints."""

    name: str
    sightings: tuple[Sighting, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A certificate and its targets that can be looked at; `error` is why it could not be looked for."""

    spec: CertificateSpec
    installed: Installed | None
    targets: tuple[SeenTarget, ...] = ()
    error: str | None = None
    ends_soon: bool = False

    @property
    def failed(self) -> bool:
        """Whether anything does not serve what it should."""
        return self.error is not None or any(s.fault for target in self.targets for s in target.sightings)


def look(host: Host, wishes: Sequence[Wish], *, wait: timedelta = timedelta()) -> tuple[Seen, ...]:
    """What every target with a `verify` serves; `wait` is how long to look again for what is not served."""
    asked = [_asked(host, wish, wait) for wish in wishes]
    sightings = observe([r for seen, requests in asked for r in requests.values()], now=host.clock)
    return tuple(
        replace(seen, targets=tuple(SeenTarget(name, sightings[request]) for name, request in requests.items()))
        for seen, requests in asked
    )


def _asked(host: Host, wish: Wish, wait: timedelta) -> tuple[Seen, dict[str, Request]]:
    """What is known before anything was looked at, and what to look at for each target."""
    certificates, label = host.state.certificates, wish.spec.label
    try:
        installed = certificates.current(label)
        if installed is None:
            return Seen(wish.spec, None, error=certificates.damage(label) or "there is no certificate yet"), {}
        requests = {p.name: _request(host, wish, installed, p.target, wait) for p in wish.targets if p.target.verify}
    except AcmectlError as error:
        return Seen(wish.spec, None, error=error.message), {}
    left = installed.not_after - host.clock()
    return Seen(wish.spec, installed, ends_soon=left < installed.lifetime * host.config.follower.alarm_at), requests


def _request(host: Host, wish: Wish, installed: Installed, target: Target, wait: timedelta) -> Request:
    assert target.verify  # noqa: S101  # asked for above
    directory = host.state.certificates.generation_directory(installed.label, installed.generation)
    names = ordered(wish.names, installed.names)
    wanted = expected(installed, directory, names=names, family=target.family)
    return Request(target.verify.endpoints, wanted, wait, target.verify.timeout)
