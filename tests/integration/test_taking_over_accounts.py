"""`account import --from`: accounts that certbot, lego and acmebot registered at a Pebble, the real programs, in the files that they wrote."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.hosts import Host
from tests.servers.clients import Acmebot, Certbot, Lego
from tests.servers.pebble import Pebble, running_pebble


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with running_pebble(tmp_path_factory.mktemp("pebble"), always_valid=True) as server:
        yield server


def host_of(directory: Path, ca: Pebble, **more: Any) -> Host:
    authority = {"directory": ca.directory_url, "ca_bundle": str(ca.ca_bundle)}
    return Host(directory, {"authority": authority, "certificates": {"it": {"names": ["it.office.test"]}}, **more})


@pytest.fixture
def host(tmp_path: Path, pebble: Pebble) -> Host:
    return host_of(tmp_path / "host", pebble)


def url_of(host: Host) -> str:
    (account,) = json.loads(host.run("account", "show", "--live", "--json").out)["accounts"]
    assert account["status"] == "valid"
    return str(account["url"])


def test_the_account_of_certbot_is_found_from_its_root_and_from_its_own_folder(
    tmp_path: Path, pebble: Pebble, host: Host
) -> None:
    certbot = Certbot(tmp_path / "letsencrypt", pebble)
    certbot.register("admin@office.test")
    (key,) = certbot.root.rglob("private_key.json")
    for path in (certbot.root, key.parent):
        said = host.run("account", "import", "--from", "certbot", str(path), "--replace").out
        assert "imported from certbot" in said
        assert json.loads(key.with_name("regr.json").read_text())["uri"] in said
    assert url_of(host) == json.loads(key.with_name("regr.json").read_text())["uri"]


@pytest.mark.parametrize("key_type", ["ec256", "ec384", "rsa2048"])
def test_an_account_of_lego_is_taken_over_with_any_kind_of_key(
    tmp_path: Path, pebble: Pebble, host: Host, key_type: str
) -> None:
    lego = Lego(tmp_path / "lego", pebble)
    lego.issue("admin@office.test", "www.office.test", key_type=key_type)
    (record,) = lego.root.rglob("account.json")
    done = host.run("account", "import", "--from", "lego", str(lego.root))
    assert url_of(host) == json.loads(record.read_text())["registration"]["uri"]
    assert "can be read by others" not in done.err  # its key has mode 0644, and lies where nobody else gets to


def test_a_key_of_lego_that_others_can_read_is_taken_over_with_a_warning(pebble: Pebble, host: Host) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="acmectl-open-") as directory:
        Path(directory).chmod(0o755)
        lego = Lego(Path(directory, "lego"), pebble)
        lego.issue("admin@office.test", "www.office.test")
        for folder in lego.root.rglob("*"):
            if folder.is_dir():
                folder.chmod(0o755)
        lego.root.chmod(0o755)
        assert "can be read by others" in host.run("account", "import", "--from", "lego", str(lego.root)).err


def test_of_several_accounts_one_must_be_chosen(tmp_path: Path, pebble: Pebble, host: Host) -> None:
    lego = Lego(tmp_path / "lego", pebble)
    for email in ("one@office.test", "two@office.test"):
        lego.issue(email, "www.office.test")
    before = sorted(host.state.rglob("*"))
    said = host.run("account", "import", "--from", "lego", str(lego.root), expect=2).err
    assert "lego has several accounts there" in said
    assert "`one@office.test` at 127.0.0.1_" in said
    assert [path for path in sorted(host.state.rglob("key.pem")) if path not in before] == []
    host.run("account", "import", "--from", "lego", str(lego.root), "--account-id", "two@office.test")
    (record,) = lego.root.rglob("two@office.test/account.json")
    assert url_of(host) == json.loads(record.read_text())["registration"]["uri"]
    said = host.run(
        "account", "import", "--from", "lego", str(lego.root), "--account-id", "three", "--replace", expect=2
    ).err
    assert "there is no lego account `three`" in said


def test_the_account_of_acmebot_is_found_from_its_configuration(tmp_path: Path, pebble: Pebble, host: Host) -> None:
    acmebot = Acmebot(tmp_path / "acmebot", pebble)
    acmebot.configure()
    acmebot.run("--register")
    registration = json.loads((acmebot.root / "resource" / "registration.json").read_text())
    host.run("account", "import", "--from", "acmebot", str(acmebot.root))
    assert url_of(host) == registration["uri"]


def test_an_account_at_another_ca_is_refused_before_any_ca_is_asked(tmp_path: Path, pebble: Pebble) -> None:
    certbot = Certbot(tmp_path / "letsencrypt", pebble)
    certbot.register("admin@office.test")
    other = Host(
        tmp_path / "other", {"authority": "letsencrypt", "certificates": {"it": {"names": ["it.office.test"]}}}
    )
    said = other.run("account", "import", "--from", "certbot", str(certbot.root), expect=2).err
    assert "certbot has no account at the configuration's CA, https://acme-v02.api.letsencrypt.org/directory" in said
    assert f"at {pebble.directory_url}: set `authority` to that CA" in said


def test_a_key_that_the_ca_does_not_know_is_refused_and_nothing_is_registered(tmp_path: Path, pebble: Pebble) -> None:
    first = Acmebot(tmp_path / "acmebot", pebble)
    first.configure()
    first.run("--register")
    with running_pebble(tmp_path, always_valid=True) as elsewhere:
        stranger = host_of(tmp_path / "stranger", elsewhere)
        copied = tmp_path / "copied"
        shutil.copytree(first.root / "resource", copied)
        record = json.loads((copied / "registration.json").read_text())
        record["uri"] = elsewhere.directory_url.removesuffix("dir") + "my-account/1"
        (copied / "registration.json").write_text(json.dumps(record))
        said = stranger.run("account", "import", "--from", "acmebot", str(copied), expect=2).err
        assert "the CA knows no account for the key" in said
        assert " 201" not in elsewhere.log.read_text()
    assert not (stranger.state / "accounts").exists()


def test_a_key_beside_the_record_of_another_account_is_refused(tmp_path: Path, pebble: Pebble, host: Host) -> None:
    lego = Lego(tmp_path / "lego", pebble)
    for email in ("one@office.test", "two@office.test"):
        lego.issue(email, "www.office.test")
    one, two = (next(lego.root.rglob(f"{who}@office.test.key")) for who in ("one", "two"))
    shutil.copy(two, one)
    said = host.run(
        "account", "import", "--from", "lego", str(lego.root), "--account-id", "one@office.test", expect=2
    ).err
    assert "has the account" in said
    assert "and lego says" in said


def test_an_account_that_is_here_already_is_not_replaced_unasked(tmp_path: Path, pebble: Pebble, host: Host) -> None:
    lego = Lego(tmp_path / "lego", pebble)
    lego.issue("one@office.test", "www.office.test")
    host.run("account", "import", "--from", "lego", str(lego.root))
    assert (
        "there is an account `default`" in host.run("account", "import", "--from", "lego", str(lego.root), expect=2).err
    )


@pytest.mark.parametrize("client", ["certbot", "lego"])
def test_names_that_another_client_has_proven_need_no_proof_after_its_account_was_taken_over(
    tmp_path: Path, pebble: Pebble, host: Host, client: str
) -> None:
    root = tmp_path / "theirs"
    if client == "certbot":
        Certbot(root, pebble).register("admin@office.test")
        Certbot(root, pebble).issue("it.office.test")
    else:
        Lego(root, pebble).issue("admin@office.test", "it.office.test")
    host.run("account", "import", "--from", client, str(root))
    proven, issued = pebble.challenge_posts(), pebble.issued()
    host.run("follower", "run")
    assert (pebble.challenge_posts(), pebble.issued()) == (proven, issued + 1)
