"""Keys that come and go with accounts: a key of a certificate that hosts share on purpose, and an account known by its key alone."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from acmectl import app, keys
from acmectl.model.certificates import KeyType
from acmectl.sandbox.server import Sandbox
from acmectl.storage.accounts import StoredAccount
from tests.cli.hosts import Host, follower_of

XMPP = "  xmpp: {names: [xmpp.acme.test, mail.acme.test], reuse_key: true}\n"


def word(directory: Path) -> str:
    """The path of a file with a pass phrase."""
    file = directory / "word"
    file.touch(0o600)
    file.write_text("correct horse\n")
    return str(file)


def spki(host: Host, label: str = "xmpp") -> bytes:
    return (host.state / "certificates" / label / "current" / "privkey.pem").read_bytes()


def secret(path: Path, content: bytes, mode: int = 0o600) -> str:
    path.touch(mode)
    path.write_bytes(content)
    return str(path)


def test_a_key_is_shared_on_purpose_and_used_by_the_host_that_gets_it(
    ca: Sandbox, issued: Host, tmp_path: Path
) -> None:
    issued.configure(follower_of(ca, XMPP))
    exported = issued.good(
        "account", "export", "bundle.json", "--with-key", "xmpp", "--passphrase-file", word(tmp_path)
    )
    assert "  with key of: xmpp\n" in exported.out
    bundle = issued.directory / "bundle.json"
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    assert b"PRIVATE" not in bundle.read_bytes()
    other = Host(tmp_path / "other", follower_of(ca, XMPP.replace(", mail.acme.test", "")))
    imported = other.good("account", "import", str(bundle), "--passphrase-file", word(tmp_path))
    assert "certificate xmpp: its key was placed; the next run issues a certificate for it\n" in imported.out
    placed = other.state / "certificates/xmpp/placed-key.pem"
    assert stat.S_IMODE(placed.stat().st_mode) == 0o600
    other.good("follower", "run")
    assert spki(other) == spki(issued)


def test_a_host_that_issues_already_issues_anew_with_the_key_that_it_gets(
    ca: Sandbox, issued: Host, tmp_path: Path
) -> None:
    issued.configure(follower_of(ca, XMPP))
    other = Host(tmp_path / "other", follower_of(ca, XMPP))
    issued.good("account", "export", "plain.json")
    other.good("account", "import", str(issued.directory / "plain.json"))
    other.good("follower", "run")
    assert spki(other) != spki(issued)
    issued.good("account", "export", "b.json", "--with-key", "xmpp", "--passphrase-file", word(tmp_path))
    other.good("account", "import", str(issued.directory / "b.json"), "--replace", "--passphrase-file", word(tmp_path))
    assert "xmpp: issued" in other.good("-v", "follower", "run").out
    assert spki(other) == spki(issued)


def test_a_key_never_leaves_in_the_clear(issued: Host) -> None:
    before = issued.tree()
    assert (
        issued.block(issued.acmectl("account", "export", "bundle.json", "--with-key", "xmpp"))
        == """\
! error: the key of a certificate leaves this host only in an encrypted bundle
! hint: add `--passphrase-file FILE`
-> 2
"""
    )
    assert issued.tree() == before


def test_a_key_that_was_revoked_as_compromised_is_given_to_nobody(issued: Host, tmp_path: Path) -> None:
    issued.good("cert", "revoke", "xmpp", "--reason", "keyCompromise", "--yes")
    ran = issued.acmectl("account", "export", "b.json", "--with-key", "xmpp", "--passphrase-file", word(tmp_path))
    assert (
        issued.block(ran)
        == """\
! error: the key of `xmpp` was revoked as compromised, and is never used again
! hint: `acmectl cert renew xmpp` issues with another
-> 2
"""
    )
    assert not (issued.directory / "b.json").exists()
    issued.good("cert", "renew", "xmpp")
    issued.good("account", "export", "b.json", "--with-key", "xmpp", "--passphrase-file", word(tmp_path))


def test_the_kinds_of_a_certificate_may_be_listed_in_another_order_where_its_keys_go(
    ca: Sandbox, issued: Host, tmp_path: Path
) -> None:
    issued.configure(follower_of(ca, XMPP.replace("reuse_key", "key: [ecdsa-p256, rsa-2048], reuse_key")))
    issued.good("follower", "run")
    issued.good("account", "export", "b.json", "--with-key", "xmpp", "--passphrase-file", word(tmp_path))
    there = XMPP.replace("reuse_key", "key: [rsa-2048, ecdsa-p256], reuse_key")
    other = Host(tmp_path / "other", follower_of(ca, there))
    bundle = str(issued.directory / "b.json")
    imported = other.good("account", "import", bundle, "--passphrase-file", word(tmp_path))
    assert "certificate xmpp: its key was placed" in imported.out
    assert "certificate xmpp (ecdsa-p256): its key was placed" in imported.out
    other.good("follower", "run")
    assert spki(other, "xmpp") == spki(issued, "xmpp+rsa-2048")
    assert spki(other, "xmpp+ecdsa-p256") == spki(issued, "xmpp")


def test_a_host_that_will_change_its_key_says_so(issued: Host, tmp_path: Path) -> None:
    ran = issued.good("account", "export", "b.json", "--with-key", "xmpp", "--passphrase-file", word(tmp_path))
    assert "this host makes another key for `xmpp` at its next renewal" in ran.err
    assert "`reuse_key: true`" in ran.err


def test_a_certificate_without_a_key_here_is_refused(issued: Host, tmp_path: Path) -> None:
    ran = issued.acmectl("account", "export", "b.json", "--with-key", "mail", "--passphrase-file", word(tmp_path))
    assert (
        issued.block(ran)
        == """\
! error: there is no key of a certificate `mail` on this host
! hint: there is `xmpp`
-> 2
"""
    )
    assert not (issued.directory / "b.json").exists()


@pytest.mark.parametrize(
    ("certificates", "told"),
    [
        ("  other: {names: [other.acme.test]}\n", "has the key of `xmpp`, and the configuration no such certificate"),
        ("  xmpp: {names: [xmpp.acme.test], key: rsa-2048}\n", "has a key of type ecdsa-p256 for `xmpp`"),
    ],
)
def test_a_key_that_fits_no_certificate_is_refused_and_nothing_is_imported(
    ca: Sandbox, issued: Host, tmp_path: Path, certificates: str, told: str
) -> None:
    issued.good("account", "export", "b.json", "--with-key", "xmpp", "--passphrase-file", word(tmp_path))
    other = Host(tmp_path / "other", follower_of(ca, certificates))
    before = other.tree()
    bundle = str(issued.directory / "b.json")
    ran = other.acmectl("account", "import", bundle, "--passphrase-file", word(tmp_path))
    assert (ran.status, told in ran.err) == (2, True)
    assert other.tree() == before


def _pkcs1(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = keys.from_pem(pem, what="the key")
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _jwk(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec

    key = keys.from_pem(pem, what="the key")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    numbers = key.private_numbers()
    point = numbers.public_numbers
    members = {"x": point.x, "y": point.y, "d": numbers.private_value}
    encoded = {k: base64.urlsafe_b64encode(v.to_bytes(32, "big")).rstrip(b"=").decode() for k, v in members.items()}
    return json.dumps({"kty": "EC", "crv": "P-256", **encoded}).encode()


@pytest.mark.parametrize("written", [bytes, _pkcs1, _jwk], ids=["PKCS #8", "SEC 1", "JWK"])
def test_an_account_is_found_by_its_key_and_nothing_is_registered(
    ca: Sandbox, account: StoredAccount, tmp_path: Path, written: object
) -> None:
    assert callable(written)
    host = Host(tmp_path / "host", follower_of(ca))
    registered = len(ca.authority.state.store.accounts)
    file = secret(tmp_path / "key", written(account.key_pem), 0o400)
    assert host.normal(host.good("account", "import", "--key", file).out).startswith(
        "account default: imported by its key\n  directory:  https://ca.test/directory\n"
    )
    found = app.load(host.config).state.accounts.load("default")
    assert (found.account_url, found.thumbprint, found.contact) == (
        account.account_url,
        account.thumbprint,
        ("admin@acme.test",),
    )
    assert len(ca.authority.state.store.accounts) == registered


def test_a_key_that_has_no_account_stays_without_one(ca: Sandbox, tmp_path: Path) -> None:
    host = Host(tmp_path / "host", follower_of(ca))
    registered = len(ca.authority.state.store.accounts)
    file = secret(tmp_path / "key", keys.to_pem(keys.generate(KeyType.ECDSA_P256)))
    before = host.tree()
    ran = host.acmectl("account", "import", "--key", file)
    assert (ran.status, "the CA knows no account for the key" in ran.err) == (2, True)
    assert (len(ca.authority.state.store.accounts), host.tree()) == (registered, before)


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        (b"no key", 0o600, "is no private key in PEM form"),
        (b"{}", 0o600, "is no private JSON Web Key"),
        (b"{", 0o600, "is no JSON"),
        (b'{"kty": "oct", "k": "c2VjcmV0"}', 0o600, "is no private JSON Web Key"),
        (keys.to_pem(keys.generate(KeyType.ECDSA_P256)), 0o644, "can be read or written by others"),
    ],
)
def test_a_file_that_holds_no_secret_key_is_refused(
    ca: Sandbox, tmp_path: Path, content: bytes, mode: int, told: str
) -> None:
    host = Host(tmp_path / "host", follower_of(ca))
    file = secret(tmp_path / "key", content, 0o600)
    Path(file).chmod(mode)
    ran = host.acmectl("account", "import", "--key", file)
    assert ran.status != 0
    assert told in ran.err
    assert "c2VjcmV0" not in ran.said


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("b.json", "--key", "k.pem"),
        ("--key", "k.pem", "--from", "lego"),
        ("--key", "k.pem", "--passphrase-file", "w"),
    ],
)
def test_ways_of_importing_that_contradict_each_other_are_refused(
    new_follower: Host, arguments: tuple[str, ...]
) -> None:
    ran = new_follower.acmectl("account", "import", *arguments)
    assert ran.status == 2


@pytest.mark.parametrize("client", ["certbot", "lego"])
@pytest.mark.parametrize("directory", ["out", "./out", "some/out"])
def test_an_account_is_handed_over_into_a_directory_named_from_here(master: Host, client: str, directory: str) -> None:
    before = set(master.tree())
    master.good("account", "export", "--for", client, directory)
    made = {path: mode for path, (mode, _) in master.tree().items() if path not in before and path.startswith("out")}
    made |= {path[5:]: mode for path, (mode, _) in master.tree().items() if path.startswith("some/")}
    key = "private_key.json" if client == "certbot" else ".key"
    assert [path for path in made if path.endswith(key)]
    assert {path for path, mode in made.items() if mode & 0o077} == set(), "for its owner alone"
    assert "out/out" not in made
    assert "accounts" not in master.tree()
