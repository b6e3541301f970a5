"""One trusting CA a worker, and hosts in the states that tests begin with.

The states are made by the engines in this process, which takes a tenth of the time that commands take; that commands lead to the
same states is what the tests of their outputs show.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from acmectl import app, keys
from acmectl.ca import accounts
from acmectl.model.certificates import KeyType
from acmectl.sandbox.server import Sandbox
from acmectl.storage.accounts import StoredAccount
from acmectl.storage.bundle import Bundle, write_bundle
from tests.cli.hosts import Host, follower_of, master_of
from tests.servers.sandbox import running_sandbox


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A CA with Boulder's rules that believes every challenge, and counts against no limit."""
    with running_sandbox(tmp_path_factory.mktemp("ca"), trust=True, limits=None) as sandbox:
        yield sandbox


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that every user may enter, unlike pytest's own."""
    with TemporaryDirectory(prefix="acmectl-open-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


@pytest.fixture
def new_master(ca: Sandbox, tmp_path: Path) -> Host:
    """A master without an account."""
    host = Host(tmp_path / "master", master_of(ca))
    (host.directory / "www").mkdir()
    return host


@pytest.fixture
def account(new_master: Host) -> StoredAccount:
    """An account that the CA knows, and no host has yet."""
    host = app.load(new_master.config)
    key = keys.generate(KeyType.ECDSA_P256)
    with host.session(key) as session:
        found = accounts.register(session, contact=host.config.contact, terms_agreed=True)
    return StoredAccount(
        name="default",
        directory_url=host.config.authority.directory_url,
        account_url=found.url,
        profile=host.config.profile,
        contact=host.config.contact,
        thumbprint=found.thumbprint,
        key_pem=keys.to_pem(key),
    )


def _save(host: Host, account: StoredAccount) -> None:
    state = app.load(host.config).state
    with state.locked():
        state.accounts.save(account)


@pytest.fixture
def master(new_master: Host, account: StoredAccount) -> Host:
    """A master with an account of its own; nothing is authorized yet."""
    _save(new_master, account)
    return new_master


@pytest.fixture
def new_follower(ca: Sandbox, account: StoredAccount, tmp_path: Path) -> Host:
    """A follower with the master's bundle, not imported yet."""
    host = Host(tmp_path / "follower", follower_of(ca))
    write_bundle(host.directory / "bundle.json", Bundle(account))
    return host


@pytest.fixture
def follower(ca: Sandbox, account: StoredAccount, tmp_path: Path) -> Host:
    """A follower with the account of `master`; nothing is issued yet."""
    host = Host(tmp_path / "follower", follower_of(ca))
    _save(host, account)
    return host


@pytest.fixture
def authorized(master: Host) -> Host:
    """A master whose names are all authorized."""
    host = app.load(master.config)
    try:
        with host.state.locked():
            assert not host.master().run(host.wanted).failed
    finally:
        host.state.close()
    return master


@pytest.fixture
def issued(authorized: Host, follower: Host) -> Host:  # noqa: ARG001  # the names must be authorized first
    """A follower with its first certificate."""
    host = app.load(follower.config)
    try:
        with host.state.locked():
            assert host.follower().run(host.wishes()).exit_status == 0
    finally:
        host.state.close()
    return follower
