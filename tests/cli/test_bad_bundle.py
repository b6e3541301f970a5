"""Bundles that cannot be imported: each is refused with what to do, and the host stays as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from acmectl import keys
from acmectl.model.certificates import KeyType
from acmectl.sandbox.server import Sandbox
from acmectl.storage.accounts import StoredAccount
from acmectl.storage.bundle import Bundle, write_bundle
from tests.cli.hosts import Host, follower_of


def refused(host: Host, *options: str) -> str:
    """What importing says; it must fail and leave everything as it was."""
    before = host.tree()
    ran = host.acmectl("account", "import", "bundle.json", *options)
    assert ran.status in {1, 2}
    assert ran.out == ""
    assert host.tree() == before
    return host.block(ran)


def passphrase(host: Host, word: str) -> str:
    file = host.directory / "word"
    file.touch(0o600)
    file.write_text(f"{word}\n")
    return str(file)


@pytest.fixture
def sealed(new_follower: Host, account: StoredAccount) -> Host:
    """A follower whose bundle is under a passphrase, `right`."""
    bundle = new_follower.directory / "bundle.json"
    bundle.unlink()
    write_bundle(bundle, Bundle(account), passphrase=b"right")
    return new_follower


def test_a_wrong_passphrase(sealed: Host) -> None:
    assert (
        refused(sealed, "--passphrase-file", passphrase(sealed, "wrong"))
        == """\
! error: wrong passphrase for `bundle.json` (its checksum agrees, so the file was copied whole)
-> 1
"""
    )
    sealed.good("account", "import", "bundle.json", "--passphrase-file", passphrase(sealed, "right"))


def test_a_missing_passphrase(sealed: Host) -> None:
    assert (
        refused(sealed)
        == """\
! error: `bundle.json` is encrypted
! hint: give its passphrase with `--passphrase-file FILE`
-> 1
"""
    )


def test_a_passphrase_file_that_is_empty_missing_or_open_to_others(sealed: Host) -> None:
    file = passphrase(sealed, "")
    assert "! error: the passphrase file `TMP/follower/word` is empty\n" in refused(sealed, "--passphrase-file", file)
    assert "no such file or directory\n" in refused(sealed, "--passphrase-file", "nowhere")
    Path(passphrase(sealed, "right")).chmod(0o640 | 0o004)
    assert "can be read or written by others (mode 0644)\n! hint: `chmod 600 " in refused(
        sealed, "--passphrase-file", file
    )


def test_a_passphrase_for_a_bundle_that_has_none(new_follower: Host) -> None:
    assert (
        refused(new_follower, "--passphrase-file", passphrase(new_follower, "right"))
        == """\
! error: `bundle.json` is not encrypted
! hint: leave out `--passphrase-file`
-> 1
"""
    )


def cut_short(bundle: Path) -> None:
    bundle.write_bytes(bundle.read_bytes()[:-40])


def changed(bundle: Path) -> None:
    document = json.loads(bundle.read_text())
    document["payload"] = document["payload"].replace("A", "B")
    bundle.write_text(json.dumps(document))


def no_bundle(bundle: Path) -> None:
    bundle.write_text("-----BEGIN CERTIFICATE-----\n")


def missing(bundle: Path) -> None:
    bundle.unlink()


def open_to_others(bundle: Path) -> None:
    bundle.chmod(0o644)


def a_directory(bundle: Path) -> None:
    bundle.unlink()
    bundle.mkdir()


AGAIN = "export the account again on the master, and copy the whole file"
EXPOSED = "can be read or written by others (mode 0644)"


@pytest.mark.parametrize(
    ("spoil", "error", "hint"),
    [
        (cut_short, "the account bundle `bundle.json` is cut short or damaged", AGAIN),
        (changed, "the account bundle `bundle.json` is damaged", AGAIN),
        (no_bundle, "`bundle.json` is no account bundle", "make one with `acmectl account export FILE`"),
        (missing, "cannot read the account bundle `bundle.json`: no such file or directory", None),
        (a_directory, "the account bundle `bundle.json` is no regular file", None),
        (
            open_to_others,
            f"the account bundle `bundle.json` {EXPOSED}",
            "`chmod 600 bundle.json`, and consider it known to others",
        ),
    ],
)
def test_a_bundle_that_is_none(new_follower: Host, spoil: Callable[[Path], None], error: str, hint: str | None) -> None:
    spoil(new_follower.directory / "bundle.json")
    assert refused(new_follower) == f"! error: {error}\n" + (f"! hint: {hint}\n" if hint else "") + "-> 1\n"


def test_a_bundle_that_the_group_may_read(new_follower: Host) -> None:
    """A group of users is not root's group: what it may read is known to others."""
    (new_follower.directory / "bundle.json").chmod(0o660)
    assert "can be read or written by others (mode 0660)" in refused(new_follower)


def rewritten(host: Host, account: StoredAccount) -> None:
    bundle = host.directory / "bundle.json"
    bundle.unlink()
    write_bundle(bundle, Bundle(account))


def test_a_bundle_for_another_ca(new_follower: Host, account: StoredAccount) -> None:
    rewritten(new_follower, replace(account, directory_url="https://acme.example.com/directory"))
    assert (
        refused(new_follower)
        == """\
! error: the bundle `bundle.json` is for another CA: https://acme.example.com/directory
! hint: the configuration says https://ca.test/directory: set `authority` to the master's
-> 2
"""
    )


def test_a_bundle_for_another_profile(ca: Sandbox, new_follower: Host) -> None:
    new_follower.configure(follower_of(ca, profile="tlsserver"))
    assert (
        refused(new_follower)
        == """\
! error: the bundle `bundle.json` is for profile `classic`, and the configuration says `tlsserver`
! hint: the CA reuses authorizations only under the same profile: set `profile` to the master's
-> 2
"""
    )


def test_a_key_that_the_ca_does_not_know(new_follower: Host, account: StoredAccount) -> None:
    key = keys.generate(KeyType.ECDSA_P256)
    rewritten(new_follower, replace(account, key_pem=keys.to_pem(key), thumbprint=keys.thumbprint(key)))
    assert (
        refused(new_follower)
        == """\
! error: the CA knows no account for the key in `bundle.json`
! hint: export it anew on the master
-> 2
"""
    )


def test_an_import_over_an_existing_account(follower: Host, account: StoredAccount) -> None:
    write_bundle(follower.directory / "bundle.json", Bundle(account))
    key = follower.state / "accounts" / "default" / "key.pem"
    before = key.read_bytes()
    assert refused(follower).startswith(
        "! error: there is an account `default` on this host already\n! hint: `--replace`"
    )
    key.write_text("damaged\n")
    follower.good("account", "import", "bundle.json", "--replace")
    assert key.read_bytes() == before
