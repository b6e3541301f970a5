"""`account register`, `rollover` and `deactivate` are killed (SIGKILL) just before or after their n-th effect, for every n: no account is lost.

The next command, or the next run, finds out which key the CA knows.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from acmectl import app, keys
from acmectl.sandbox.server import Sandbox
from acmectl.storage.accounts import StoredAccount
from tests.cli.hosts import master_of
from tests.servers.sandbox import running_sandbox
from tests.servers.zygote import zygote
from tests.stories.killing import Executioner, Kill


@dataclass
class Scene:
    """A CA, and where hosts are made, each with an account of its own."""

    sandbox: Sandbox
    executioner: Executioner
    directory: Path
    hosts: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def fresh(self) -> Path:
        """A master without an account."""
        host = self.directory / f"host-{next(self.hosts)}"
        (host / "www").mkdir(parents=True)
        (host / "config.yaml").write_text(master_of(self.sandbox, "xmpp.acme.test"))
        return host

    def host(self) -> Path:
        """A master with a fresh account."""
        host = self.fresh()
        self.run(host, "account", "register", "--agree-tos")
        return host

    def run(self, host: Path, *argv: str) -> str:
        """A command that nobody disturbs, and what it said."""
        status = zygote().run(host, *argv)
        said = (host / "output").read_text()
        assert status == 0, said
        return said

    def is_known(self, account: StoredAccount) -> bool:
        """Whether the CA has the account under the key that the host holds."""
        thumbprint = keys.thumbprint(account.private_key())
        found = self.sandbox.authority.accounts.by_key(thumbprint)
        return found is not None and account.account_url.endswith(f"/{found.id}")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory, executioner = tmp_path_factory.mktemp("scene"), Executioner()
    with running_sandbox(
        directory / "ca", trust=True, limits=None, poll_after=None, on_request=executioner.see
    ) as sandbox:
        yield Scene(sandbox, executioner, directory)


KILLS = [Executioner.before_a_request, Executioner.before_an_answer, Executioner.before_a_change_of_files]


def killed_everywhere(
    scene: Scene, kill: Kill, argv: Callable[[Path], tuple[str, ...]]
) -> Iterator[tuple[Path, StoredAccount, str]]:
    """A host for each point at which the command can be killed, after it was: where, its account before, and a word for the point."""
    for number in itertools.count(1):
        host = scene.host()
        before = account(host)
        if not scene.executioner.killed(kill, host, number, *argv(host)):
            assert number > 3, "a command has more effects than that: this test sees none of them"
            return
        yield host, before, f"killed {kill.__name__} {number}"
        shutil.rmtree(host)


def account(host: Path) -> StoredAccount:
    return app.load(host / "config.yaml").state.accounts.load("default")


@pytest.mark.parametrize(
    ("kill", "next_command"),
    [*((kill, ("account", "rollover")) for kill in KILLS), (Executioner.before_an_answer, ("master", "run"))],
)
def test_a_rollover_that_is_killed_anywhere_loses_no_account(
    scene: Scene, kill: Kill, next_command: tuple[str, ...]
) -> None:
    outcomes = set()
    for host, before, where in killed_everywhere(
        scene, kill, lambda _: ("account", "rollover", "--bundle", "new.json")
    ):
        scene.run(host, *next_command)
        after = account(host)
        assert scene.is_known(after), where
        assert after.account_url == before.account_url, where
        if next_command == ("account", "rollover"):
            assert after.next_key_pem is None, where
            assert after.key_pem != before.key_pem, where
        outcomes.add(after.key_pem != before.key_pem)
        scene.run(host, "master", "run")
    if next_command == ("master", "run"):
        assert outcomes == {False, True}, "killed before and after the CA changed the key"


@pytest.mark.parametrize("kill", KILLS)
def test_a_deactivation_that_is_killed_anywhere_is_finished_by_the_same_command(scene: Scene, kill: Kill) -> None:
    def argv(host: Path) -> tuple[str, ...]:
        return ("account", "deactivate", "--confirm", account(host).account_url)

    for host, before, where in killed_everywhere(scene, kill, argv):
        if (host / "state/accounts/default").exists():
            scene.run(host, "account", "deactivate", "--confirm", before.account_url)
        assert not (host / "state/accounts/default").exists(), where
        (archived,) = (host / "state/archive/accounts").iterdir()
        assert (archived / "key.pem").read_bytes() == before.key_pem, where
        scene.run(host, "account", "register", "--agree-tos")
        scene.run(host, "master", "run")


@pytest.mark.parametrize("kill", KILLS)
def test_a_registration_that_is_killed_anywhere_makes_one_account(scene: Scene, kill: Kill) -> None:
    argv = ("account", "register", "--agree-tos")
    for number in itertools.count(1):
        host = scene.fresh()
        known = len(scene.sandbox.authority.state.store.accounts)
        if not scene.executioner.killed(kill, host, number, *argv):
            break
        if not (host / "state/accounts/default").exists():
            scene.run(host, *argv)
        assert len(scene.sandbox.authority.state.store.accounts) == known + 1, f"killed {kill.__name__} {number}"
        assert scene.is_known(account(host))
        scene.run(host, "account", "update")
        assert sorted(path.name for path in (host / "state/accounts").iterdir()) == ["default"]
    assert number > 3, "a command has more effects than that: this test sees none of them"
