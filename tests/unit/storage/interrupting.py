"""Kills a process (SIGKILL) before each thing that it does to the file system, and looks at what is left.

Run as a program of its own, `python -m tests.unit.storage.interrupting STORY DIRECTORY`, since it forks. Python's audit events come
before each open, rename, mkdir, symlink, remove and chmod, so the n-th child dies before its n-th step, until one survives.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from acmectl import keys
from acmectl.deploy import registry
from acmectl.deploy.files import FilesOptions
from acmectl.errors import StorageError
from acmectl.model.certificates import KeyType
from acmectl.storage.accounts import StoredAccount
from acmectl.storage.state import StateDirectory
from tests.unit.storage.certificate_maker import make_chain

KEYS = [keys.generate(KeyType.ECDSA_P256) for _ in range(3)]
CHAINS = [make_chain(key) for key in KEYS]
ACCOUNT = StoredAccount("default", "https://d", "https://a/1", None, (), keys.thumbprint(KEYS[0]), keys.to_pem(KEYS[0]))
ROLLING = dataclasses.replace(ACCOUNT, next_key_pem=keys.to_pem(KEYS[1]))
ROLLED = dataclasses.replace(ACCOUNT, key_pem=keys.to_pem(KEYS[1]), thumbprint=keys.thumbprint(KEYS[1]))
_STEPS = {"open", "os.rename", "os.mkdir", "os.symlink", "os.remove", "os.rmdir", "os.chmod", "os.chown"}


def run_until(step: int, act: Callable[[], None], directory: Path) -> bool:
    """Run `act` in a child that is killed before its `step`-th step in `directory`; whether it survived."""
    child = os.fork()
    if child == 0:
        count = 0

        def watch(event: str, args: tuple[object, ...]) -> None:
            nonlocal count
            place = str(args[0])  # a descriptor, a name within one, or a path
            if event not in _STEPS or (place.startswith("/") and not place.startswith(str(directory))):
                return
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            act()
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 3)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), f"the child ended by itself: {status}"
    return status == 0


def interrupt_everywhere(
    prepare: Callable[[Path], None], act: Callable[[Path], None], check: Callable[[Path], None], base: Path
) -> int:
    """Play the story for every step; returns how many there were."""
    for step in range(1, 1000):
        directory = base / str(step)
        prepare(directory)
        survived = run_until(step, lambda d=directory: act(d), directory)  # type: ignore[misc]
        check(directory)
        act(directory)  # the next run goes on, and ends well
        check(directory)
        leftovers = [path for path in directory.rglob("*") if path.name.startswith(".")]
        assert not leftovers, leftovers
        shutil.rmtree(directory)
        if survived:
            return step - 1
    raise AssertionError("it never ends")


def issue(directory: Path, number: int) -> None:
    """What a follower does with the store for one certificate."""
    state = StateDirectory(directory)
    with state.locked():
        draft = state.certificates.begin("mail", keys.to_pem(KEYS[number]))
        state.certificates.complete(draft, CHAINS[number])
        state.certificates.switch("mail", draft.generation)
        state.certificates.prune("mail", 1)
    state.close()


def issue_twice(directory: Path) -> None:
    issue(directory, 0)
    issue(directory, 1)


def check_certificates(directory: Path) -> None:
    """The one in use always is a matching pair, the old or the new; nothing unfinished counts as complete."""
    state = StateDirectory(directory)
    assert state.certificates.damage("mail", deep=True) is None
    current = state.certificates.current("mail")
    assert current is not None
    pair = state.certificates.current_directory("mail")
    assert keys.matches(
        keys.from_pem((pair / "privkey.pem").read_bytes(), what="key"), (pair / "fullchain.pem").read_bytes()
    )
    for generation in state.certificates.generations("mail"):
        assert state.certificates.installed("mail", generation) is not None, generation
    state.close()


def save(directory: Path, account: StoredAccount) -> None:
    with StateDirectory(directory).locked():
        StateDirectory(directory).accounts.save(account, replace=True)


def check_replaced_account(directory: Path) -> None:
    """Key and record always belong together, the old or the new."""
    accounts = StateDirectory(directory).accounts
    assert accounts.names() == ("default",)
    assert accounts.load("default") in (ACCOUNT, ROLLED)


def check_account_with_two_keys(directory: Path) -> None:
    """The next key is there from its first day to its last, and the old one until then."""
    accounts = StateDirectory(directory).accounts
    assert accounts.names() == ("default",)
    assert accounts.load("default") in (ACCOUNT, ROLLING, ROLLED)


def roll_over(directory: Path) -> None:
    save(directory, ROLLING)
    save(directory, ROLLING.rolled_over())


def archive(directory: Path) -> None:
    with StateDirectory(directory).locked():
        accounts = StateDirectory(directory).accounts
        if accounts.exists("default"):
            accounts.archive("default", at=datetime(2026, 1, 1, tzinfo=UTC))


def check_archived_account(directory: Path) -> None:
    """The account is where it was, or in the archive, as a whole."""
    here, archived = directory / "accounts/default", directory / "archive/accounts/default-20260101T000000Z"
    assert here.exists() != archived.exists()
    assert {path.name for path in (here if here.exists() else archived).iterdir()} == {"key.pem", "account.json"}


def check_first_account(directory: Path) -> None:
    """The whole account is there, or none is."""
    accounts = StateDirectory(directory).accounts
    assert accounts.names() in ((), ("default",))
    assert not accounts.exists("default") or accounts.load("default") == ACCOUNT


def deploy(directory: Path, number: int) -> None:
    """Copies for a service; the next run, which finds the deployment unfinished, installs them all again."""
    generation = directory / "generation"
    generation.mkdir(exist_ok=True)
    for part, content in (("privkey", keys.to_pem(KEYS[number])), ("fullchain", CHAINS[number])):
        (generation / f"{part}.pem").write_bytes(content)
    names = {"privkey": "privkey.pem", "fullchain": "fullchain.pem"}
    options = FilesOptions.model_validate({"directory": directory / "copies", "files": names})
    target = registry.build("files", options)
    target.put(target.made(generation))


def deploy_first(directory: Path) -> None:
    directory.mkdir()
    deploy(directory, 0)


def check_copies(directory: Path) -> None:
    """Every copy is whole, the old or the new."""
    copies = directory / "copies"
    assert (copies / "privkey.pem").read_bytes() in [keys.to_pem(key) for key in KEYS]
    assert (copies / "fullchain.pem").read_bytes() in CHAINS


def point_elsewhere(directory: Path) -> None:
    """A certificate whose link somebody spoilt."""
    issue(directory, 0)
    live = directory / "live"
    live.mkdir()
    (live / "mail").symlink_to("elsewhere")


def make_lineage(directory: Path) -> None:
    state = StateDirectory(directory)
    with state.locked():
        assert (state.certificates.lineages.made("mail") / "fullchain.pem").read_bytes() == CHAINS[0]
    state.close()


def check_lineage(directory: Path) -> None:
    """There is a link at any moment, the old or the right one."""
    assert str((directory / "live" / "mail").readlink()) in {"elsewhere", "../certificates/mail/current"}


STORIES: dict[str, tuple[Callable[[Path], None], Callable[[Path], None], Callable[[Path], None]]] = {
    "certificate": (issue_twice, lambda d: issue(d, 2), check_certificates),
    "first-account": (
        Path.mkdir,
        lambda d: None if StateDirectory(d).accounts.exists("default") else save(d, ACCOUNT),
        check_first_account,
    ),
    "replaced-account": (lambda d: save(d, ACCOUNT), lambda d: save(d, ROLLED), check_replaced_account),
    "rolled-over-account": (lambda d: save(d, ACCOUNT), roll_over, check_account_with_two_keys),
    "archived-account": (lambda d: save(d, ACCOUNT), archive, check_archived_account),
    "lineage": (point_elsewhere, make_lineage, check_lineage),
    "copies": (deploy_first, lambda d: deploy(d, 2), check_copies),
}


def main() -> None:
    story, base = sys.argv[1], Path(sys.argv[2])
    try:
        print(interrupt_everywhere(*STORIES[story], base))  # noqa: T201 - the answer for the test
    except StorageError as error:
        raise AssertionError(f"{error.message} ({error.hint})") from error


if __name__ == "__main__":
    main()
