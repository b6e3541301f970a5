"""A sandbox in this process, stopped at the end in any case."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from acmectl.sandbox.clock import Clock
from acmectl.sandbox.rules import PRESETS
from acmectl.sandbox.server import Sandbox, Settings
from acmectl.sandbox.validation import HttpTarget


@contextmanager
def running_sandbox(
    directory: Path,
    *,
    rules: str = "boulder",
    trust: bool = False,
    http_port: int = 80,
    https_port: int = 443,
    http_address: str | None = "127.0.0.1",
    http_target: HttpTarget | None = None,
    resolver: tuple[str, int] | None = None,
    port: int = 0,
    clock: Clock | None = None,
    external_accounts: Mapping[str, bytes] | None = None,
    on_request: Callable[[str], None] | None = None,
    **changes: Any,
) -> Iterator[Sandbox]:
    """A running sandbox whose `root.pem` lies in `directory`; `changes` are fields of `Rules`, such as `issue_delay`."""
    settings = Settings(
        output=directory,
        port=port,
        rules=replace(PRESETS[rules], **changes),
        http_target=http_target or HttpTarget(http_port, http_address, https_port),
        resolver=resolver,
        is_trusting=trust,
        external_accounts=external_accounts or {},
        on_request=on_request,
    )
    with Sandbox(settings, clock=clock) as sandbox:
        yield sandbox
