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
    has_ended: bool = False

    @property
    def failed(self) -> bool:
        """Whether anything does not serve what it should; also where nothing is looked at, of what no service can use any more."""
        return self.error is not None or self.has_ended or self._is_at_fault

    @property
    def is_served(self) -> bool | None:
        """None where nothing is looked at, and nothing else speaks against it."""
        return False if self.failed else True if self.targets else None

    @property
    def _is_at_fault(self) -> bool:
        return any(s.fault for target in self.targets for s in target.sightings)


def look(host: Host, wishes: Sequence[Wish], *, wait: timedelta = timedelta()) -> tuple[Seen, ...]:
    """What every target with a `verify` serves; `wait` is how long to look again for what is not served.

    A run can renew a certificate meanwhile: then it is looked for anew, for services that have the new one already are right.
    """
    seen = _look(host, wishes, wait)
    renewed = [wish for wish, one in zip(wishes, seen, strict=True) if one.failed and _is_another(host, one)]
    anew = dict(zip((wish.spec for wish in renewed), look(host, renewed, wait=wait), strict=True)) if renewed else {}
    return tuple(anew.get(one.spec, one) for one in seen)


def _look(host: Host, wishes: Sequence[Wish], wait: timedelta) -> tuple[Seen, ...]:
    asked = [_asked(host, wish, wait) for wish in wishes]
    sightings = observe([r for seen, requests in asked for r in requests.values()], now=host.clock)
    return tuple(
        replace(seen, targets=tuple(SeenTarget(name, sightings[request]) for name, request in requests.items()))
        for seen, requests in asked
    )


def _is_another(host: Host, seen: Seen) -> bool:
    """Whether another certificate is in use by now than the one that was looked for."""
    try:
        current = host.state.certificates.current(seen.spec.label)
    except AcmectlError:
        return False
    return current is not None and (seen.installed is None or current.fingerprint != seen.installed.fingerprint)


def _asked(host: Host, wish: Wish, wait: timedelta) -> tuple[Seen, dict[str, Request]]:
    """What is known before anything was looked at, and what to look at for each target."""
    certificates, label = host.state.certificates, wish.spec.label
    installed = None
    try:
        installed = certificates.current(label)
        if installed is None:
            return Seen(wish.spec, None, error=certificates.damage(label) or "there is no certificate yet"), {}
        requests = {p.name: _request(host, wish, installed, p.target, wait) for p in wish.targets if p.target.verify}
    except AcmectlError as error:
        return Seen(wish.spec, installed, error=error.message), {}
    left = installed.not_after - host.clock()
    ends_soon = left < installed.lifetime * host.config.follower.alarm_at
    return Seen(wish.spec, installed, ends_soon=ends_soon, has_ended=left <= timedelta()), requests


def _request(host: Host, wish: Wish, installed: Installed, target: Target, wait: timedelta) -> Request:
    assert target.verify  # noqa: S101  # asked for above
    directory = host.state.certificates.generation_directory(installed.label, installed.generation)
    names = ordered(wish.names, installed.names)
    wanted = expected(installed, directory, names=names, family=target.family)
    return Request(target.verify.endpoints, wanted, wait, target.verify.timeout)
