"""`acmectl sandbox`: a throw-away CA on this host, for rehearsing a master and its followers before a real CA counts.

It has as many options as a CA has quirks that are worth a rehearsal; `sandbox_serving` is what happens once they are read.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from acmectl.cli.context import DurationType
from acmectl.cli.sandbox_values import Address, AddressType, LifetimesType
from acmectl.errors import UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from acmectl.policy.ca_rules import Limits
    from acmectl.sandbox.rules import Lifetimes, Rules

_LOOK_UP = "resolver"


@click.command()
@click.option(
    "--listen",
    type=AddressType(),
    default="127.0.0.1:0",
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Where to listen, on loopback only; port 0 takes a free one.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIRECTORY",
    help="Where root.pem, directory-url and authority.yaml are written; a temporary one if not given.",
)
@click.option(
    "--rules",
    "preset",
    envvar="ACMECTL_SANDBOX_RULES",
    type=click.Choice(["boulder", "pebble"]),
    default="boulder",
    show_default=True,
    help="Behave as Let's Encrypt's Boulder, or as Pebble.",
)
@click.option(
    "--profile",
    "profiles",
    envvar="ACMECTL_SANDBOX_PROFILE",
    type=LifetimesType(),
    multiple=True,
    metavar="NAME:reuse=30m,order=8h,...",
    help="Other lifetimes for a profile: reuse, order, pending, certificate. Pebble's only profile has an empty name.",
)
@click.option(
    "--cutoff",
    type=DurationType(),
    metavar="DURATION",
    help="What an authorization must have left to be reused; an eighth of the order's lifetime if not given.",
)
@click.option(
    "--http-port", type=click.IntRange(1, 65535), default=80, show_default=True, help="Where http-01 is asked."
)
@click.option(
    "--https-port",
    type=click.IntRange(1, 65535),
    default=443,
    show_default=True,
    help="Where tls-alpn-01 is asked, and redirects to HTTPS lead.",
)
@click.option(
    "--http-address",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help=f"Where http-01 and tls-alpn-01 are asked, for every name; `{_LOOK_UP}`: at the addresses that --resolver knows.",
)
@click.option(
    "--resolver", type=AddressType(), metavar="ADDRESS:PORT", help="The name server that dns-01 asks; none: it cannot."
)
@click.option("--trust", is_flag=True, help="Believe every challenge without looking.")
@click.option(
    "--nonce-reject",
    type=click.IntRange(0, 90),
    default=0,
    show_default=True,
    metavar="PERCENT",
    help="Refuse so many good nonces.",
)
@click.option(
    "--limits/--no-limits", default=True, show_default=True, help="Let's Encrypt's rate limits (boulder only)."
)
@click.option(
    "--failures-limit",
    type=click.IntRange(1),
    metavar="COUNT",
    help="Failed validations for each name and hour; 5 if not given.",
)
@click.option(
    "--issue-delay",
    type=DurationType(),
    default="0s",
    show_default=True,
    metavar="DURATION",
    help="How long a finalized order stays `processing`.",
)
@click.option(
    "--replica-lag",
    type=DurationType(),
    default="0s",
    show_default=True,
    metavar="DURATION",
    help="How long a new order still sees the state before a deactivation.",
)
@click.option(
    "--reuse",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    help="Reuse so many of the valid authorizations; 0 is a CA where followers cannot work. Boulder 100, Pebble 50.",
)
@click.option(
    "--new-authz",
    type=click.Choice(["offered", "refused"]),
    help="List newAuthz in the directory, and answer there, or with 404.",
)
@click.option("--require-binding", is_flag=True, help="Require External Account Binding; its key is put into --output.")
@click.option("-v", "--verbose", is_flag=True, help="One line a request on stderr.")
def sandbox(
    *,
    listen: Address,
    output: Path | None,
    preset: str,
    profiles: tuple[tuple[str, Lifetimes], ...],
    cutoff: timedelta | None,
    http_port: int,
    https_port: int,
    http_address: str,
    resolver: Address | None,
    failures_limit: int | None,
    issue_delay: timedelta,
    replica_lag: timedelta,
    nonce_reject: int,
    reuse: int | None,
    new_authz: Literal["offered", "refused"] | None,
    trust: bool,
    limits: bool,
    require_binding: bool,
    verbose: bool,
) -> int:
    """Run a throw-away ACME CA on loopback, as strict as a real one.

    It is no CA for anyone: its root is made anew at each start, and trusted by nobody. Its clock can be moved, and things can go wrong
    on request: see the management URL that it prints.
    """
    from acmectl.cli.sandbox_serving import serve
    from acmectl.sandbox.server import Settings
    from acmectl.sandbox.validation import HttpTarget

    rules = replace(
        _preset(preset, profiles, reuse),
        cutoff=cutoff,
        nonce_reject_percent=nonce_reject,
        issue_delay=issue_delay,
        replica_lag=replica_lag,
        new_authz=new_authz,
    )
    with _directory(output) as directory:
        settings = Settings(
            output=directory,
            host=listen[0],
            port=listen[1],
            rules=replace(rules, limits=_limits(rules, failures_limit) if limits else None),
            http_target=HttpTarget(http_port, _http_address(http_address, resolver), https_port),
            resolver=resolver,
            is_trusting=trust,
            external_accounts=_external_account() if require_binding else {},
            on_request=_echo_request if verbose else None,
        )
        serve(settings)
    return 0


def _preset(name: str, profiles: tuple[tuple[str, Lifetimes], ...], reuse: int | None) -> Rules:
    from acmectl.sandbox.rules import PRESETS

    rules = PRESETS[name]
    known = rules.profile_names or ("",)
    for profile, _ in profiles:
        if profile not in known:
            hint = f"the profiles are {', '.join(f'`{each}`' for each in known)}"
            raise UsageError(f"no profile `{profile}` among the rules of {name}", hint=hint)
    reused = rules.reuse_percent if reuse is None else reuse
    return replace(rules, overrides=dict(profiles), reuse_percent=reused)


def _limits(rules: Rules, failures: int | None) -> Limits | None:
    if rules.limits is None or failures is None:
        return rules.limits
    return replace(rules.limits, failed_validations=replace(rules.limits.failed_validations, count=failures))


def _http_address(text: str, resolver: Address | None) -> str | None:
    from acmectl.dns.endpoints import is_address

    if text == _LOOK_UP:
        if resolver is None:
            raise UsageError("`--http-address resolver` needs `--resolver`", hint="such as `--resolver 127.0.0.1:53`")
        return None
    if not is_address(text):
        raise UsageError(f"`--http-address` is no address: {text}", hint=f"write `127.0.0.1`, or `{_LOOK_UP}`")
    return text


def _external_account() -> dict[str, bytes]:
    """A fresh key identifier and HMAC key."""
    import secrets

    return {f"sandbox-{secrets.token_hex(4)}": secrets.token_bytes(32)}


@contextlib.contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    """The output directory; one that was not given is removed at the end, because we made it."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="acmectl-sandbox-") as made:
        yield Path(made)


def _echo_request(line: str) -> None:
    with contextlib.suppress(OSError):  # whoever read stderr has gone; the CA goes on
        click.echo(line, err=True)
