"""One trusting CA a worker, and hosts that were prepared with real commands."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.hosts import Host, follower_of, master_of
from tests.servers.sandbox import running_sandbox

from acmectl.sandbox.server import Sandbox


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A CA with Boulder's rules that believes every challenge, and counts against no limit."""
    with running_sandbox(tmp_path_factory.mktemp("ca"), trust=True, limits=None) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def registered(ca: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A master with an account and nothing else; tests take copies."""
    host = Host(tmp_path_factory.mktemp("registered") / "master", master_of(ca))
    (host.directory / "www").mkdir()
    host.good("account", "register", "--agree-tos")
    host.good("account", "export", "bundle.json")
    return host


@pytest.fixture
def new_master(ca: Sandbox, tmp_path: Path) -> Host:
    """A master without an account."""
    host = Host(tmp_path / "master", master_of(ca))
    (host.directory / "www").mkdir()
    return host


@pytest.fixture
def master(new_master: Host) -> Host:
    """A master with an account of its own, and its bundle; nothing is authorized yet."""
    new_master.good("account", "register", "--agree-tos")
    new_master.good("account", "export", "bundle.json")
    return new_master


@pytest.fixture
def new_follower(ca: Sandbox, master: Host, tmp_path: Path) -> Host:
    """A follower with the master's bundle, not imported yet."""
    host = Host(tmp_path / "follower", follower_of(ca))
    shutil.copy(master.directory / "bundle.json", host.directory)
    return host


@pytest.fixture
def follower(new_follower: Host) -> Host:
    """A follower with the account of `master`; nothing is issued yet."""
    new_follower.good("account", "import", "bundle.json")
    (new_follower.directory / "bundle.json").unlink()
    return new_follower


@pytest.fixture
def issued(master: Host, follower: Host) -> Host:
    """A follower with its first certificate, of a master that has authorized its names."""
    master.good("master", "run")
    follower.good("follower", "run")
    return follower
