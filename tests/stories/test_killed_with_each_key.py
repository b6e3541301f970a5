"""A follower is killed at every change of its files, whatever key its certificate is to have; the next run puts everything right.

One certificate is issued for each kind of key, key and chain always belong together, and no key is lost that was kept, announced or given.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acmectl import keys
from acmectl.model.certificates import Installed, KeyType
from acmectl.storage.certificates import Certificates
from acmectl.storage.memory import Memory
from tests.integration.hosts import Host, certificate
from tests.integration.office import authorize, by_web, hosts, office_site
from tests.servers.sandbox import running_sandbox
from tests.stories.killing import Executioner, Kill
from tests.stories.test_killed_anywhere import Scene

NAMES = ["xmpp.web.test", "mail.web.test"]
MODES: dict[str, dict[str, Any]] = {
    "both": {"key": ["ecdsa-p256", "rsa-2048"]},
    "kept": {"reuse_key": True},
    "ahead": {"prepare_key": True},
    "file": {"key_file": "own.key"},
    "csr": {"csr_file": "own.csr"},
    "placed": {},
}


def wanted(mode: str, *names: str) -> dict[str, Any]:
    return {"xmpp": certificate(*names, **MODES[mode])}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A follower for each way to a key; each has a certificate with one name, and is to get one with two."""
    directory, executioner = tmp_path_factory.mktemp("keys"), Executioner()
    (directory / "www").mkdir()
    followers = [{"certificates": wanted(mode, NAMES[0])} for mode in MODES]
    with (
        office_site(directory / "www") as site,
        running_sandbox(
            directory / "ca", http_port=site.web.port, limits=None, poll_after=None, on_request=executioner.see
        ) as sandbox,
        hosts(directory, sandbox, {"web": by_web(site)}, [authorize("web", *NAMES)], *followers) as made,
    ):
        scene = Scene(sandbox, site, executioner, directory)
        scene.start_again(proven=True)
        for mode, host in zip(MODES, made.followers, strict=True):
            give(host, NAMES[:1])
            host.run("follower", "run")
            give(host, NAMES)
            host.configure(certificates=wanted(mode, *NAMES))
            shutil.move(host.directory, directory / mode)
        place(directory / "placed")
        yield scene


def give(host: Host, names: list[str]) -> None:
    """The key, and the CSR, of a person who has them made elsewhere."""
    sans = ",".join(f"DNS:{name}" for name in names)
    make = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "own.key", "-subj", "/"]
    subprocess.run(
        [*make, "-addext", f"subjectAltName={sans}", "-out", "own.csr"],
        cwd=host.directory,
        check=True,
        capture_output=True,
    )


def place(host: Path) -> None:
    """As `account import` does with a key that the bundle brings."""
    certificates(host).place_key("xmpp", keys.to_pem(keys.generate(KeyType.ECDSA_P256)))


def certificates(host: Path) -> Certificates:
    """What lies there, looked at anew each time: there is no such directory to remember anything in."""
    return Certificates(host / "state" / "certificates", Memory(host / "nothing" / "state.db"))


def current(host: Path, label: str = "xmpp") -> Installed:
    found = certificates(host).current(label)
    assert found is not None, certificates(host).damage(label)
    return found


def intended(mode: str, host: Path) -> str | None:
    """The pin of the key that the next certificate is to have; None for a new one."""
    found = certificates(host)
    match mode:
        case "kept":
            return current(host).spki
        case "ahead":
            return found.keys.next_pin("xmpp")
        case "file" | "csr" | "placed":
            own = found.placed_key("xmpp") or (host / "own.key").read_bytes()
            return keys.pin(keys.from_pem(own, what="the key"))
        case _:
            return None


def deployed_pair(host: Path, suffix: str = "") -> bool:
    chain = (host / "tls" / f"fullchain{suffix}.pem").read_bytes()
    key_file = host / "tls" / f"privkey{suffix}.pem"
    key = keys.from_pem((key_file if key_file.exists() else host / "own.key").read_bytes(), what="the key")
    return keys.matches(key, chain) and len(keys.read_chain(chain).names) == 2


@pytest.mark.timeout(600)  # two kinds of keys mean some eighty runs that are killed, and as many that are not
@pytest.mark.parametrize(
    ("mode", "kill"),
    [*((mode, Executioner.before_a_change_of_files) for mode in MODES), ("both", Executioner.before_an_answer)],
)
def test_one_certificate_is_issued_for_each_kind_of_key_and_no_key_is_lost(scene: Scene, mode: str, kill: Kill) -> None:
    kinds = ["xmpp", "xmpp+rsa-2048"] if mode == "both" else ["xmpp"]
    pin = intended(mode, scene.directory / mode)
    for number in itertools.count(1):
        host, before = scene.copy(mode), scene.certificates
        if not scene.executioner.killed(kill, host, number, "follower", "run"):
            break
        told = f"killed {kill.__name__} {number}"
        assert all(certificates(host).damage(label, deep=True) is None for label in kinds), told
        scene.run(host, "follower", "run")
        assert scene.certificates == before + len(kinds), told
        assert all(certificates(host).damage(label, deep=True) is None for label in kinds), told
        assert all(len(current(host, label).names) == 2 for label in kinds), told
        assert deployed_pair(host), told
        if mode == "both":
            assert deployed_pair(host, "-rsa"), told
        assert pin is None or current(host).spki == pin, told
        if mode == "ahead":
            assert certificates(host).keys.next_pin("xmpp") not in {None, pin}, told
        if mode == "csr":
            assert not list(host.rglob("privkey*")), told
    assert number > 5, "a run has more effects than that: this test sees none of them"
