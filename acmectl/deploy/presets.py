"""What services need, as data: which files, whose they are, how to check, reload and look. Each point can be overridden.

One PEM with the key first, wherever the service takes certificate and key from the same file: one rename then switches both.

Reload commands are the service's own where it has one that does nothing but reload; `systemctl` where it has none, or
where its own would start a service that is not running.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from acmectl.deploy.wire.protocols import Protocol

BESIDE = "{stem}-{kind}{suffix}"
"""How the files of a further kind of key are called: `tls-rsa.pem` beside `tls.pem`."""

ONE_PEM: Mapping[str, str] = {"privkey+fullchain": "{label}.pem"}


@dataclass(frozen=True, slots=True)
class Preset:
    """The defaults of a target type. `verify` has protocols and ports at 127.0.0.1.

    Where a certificate has two kinds of keys, the files of the second are called as `kinds` says; if it names the first as well
    (`each_kind`), those of both.
    """

    summary: str
    directory: str | None
    files: Mapping[str, str] = field(default_factory=lambda: ONE_PEM)
    owner: str | None = None
    group: str | None = None
    key_mode: int = 0o600
    certificate_mode: int = 0o644
    check: tuple[str, ...] | None = None
    reload: tuple[str, ...] | None = None
    verify: tuple[tuple[Protocol, int], ...] = ()
    kinds: str = BESIDE
    each_kind: bool = False


PRESETS: Mapping[str, Preset] = {
    "files": Preset(
        summary="files in a directory of your choice",
        directory=None,
        files={part: f"{part}.pem" for part in ("privkey", "chain", "cert", "fullchain")},
    ),
    "nginx": Preset(
        summary="nginx",
        directory="/etc/nginx/tls",
        check=("nginx", "-t"),
        reload=("nginx", "-s", "reload"),
        verify=((Protocol.TLS, 443),),
    ),
}
