"""Certificates of the configuration, with their targets and commands made of the options that were checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.deploy import registry as targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acmectl.app.loading import Parts
    from acmectl.config import Command, Config
    from acmectl.follower import Wish
    from acmectl.follower.targets import Placed
    from acmectl.model.certificates import CertificateSpec


def wish(config: Config, parts: Parts, spec: CertificateSpec) -> Wish:
    """One kind of a certificate, with what it is deployed to, and what is run after that."""
    from acmectl.follower import Wish
    from acmectl.follower.targets import Placed

    certificate = config.certificates[spec.configured_label]
    several = len(certificate.specs) > 1
    placed = tuple(
        Placed(f"{kind}[{index}]", targets.build(kind, options, spec, several=several))
        for index, (kind, options) in enumerate(parts.targets.get(spec.configured_label, ()))
    )
    return Wish(spec, placed, commands(config, certificate.onchange), certificate.names)


def commands(config: Config, listed: Sequence[Command]) -> tuple[Placed, ...]:
    """The commands of an `onchange`, as targets."""
    from acmectl.follower.targets import Placed

    timeout = config.onchange_timeout
    return tuple(
        Placed(f"onchange[{index}]", targets.command(each.argv, timeout=timeout)) for index, each in enumerate(listed)
    )
