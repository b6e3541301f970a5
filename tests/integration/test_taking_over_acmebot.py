"""From acmebot to acmectl: configurations that the real acmebot accepts become ones that `acmectl check` accepts, and a host that
acmebot ran goes on under acmectl with the same account, the same keys and the same files, and proves nothing again.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from acmectl import keys
from acmectl.model.certificates import KeyType
from tests.cli.hosts import Host
from tests.integration.office import Site, office_pebble, office_site
from tests.servers.clients import Acmebot
from tests.servers.pebble import Pebble

TSIG = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA=="

MASTER: dict[str, Any] = {
    "settings": {"renewal_days": 30, "verify": [443]},
    "authorizations": {"office.test": ["@", "*", "xmpp"], "away.test": ["mail"]},
    "zone_update_keys": {
        "office.test": "update.key",
        "away.test": {"file": "Kupdate.+165+00007.key", "server": "ns.away.test", "port": 5353},
    },
}
FOLLOWER: dict[str, Any] = {
    "settings": {"follower_mode": True, "key_size": None, "key_curve": "secp256r1", "services": ["prosody"]},
    "certificates": {"xmpp.office.test": {"alt_names": {"office.test": ["xmpp", "@"]}}},
}
LOCAL_DNS: dict[str, Any] = {
    "settings": {"reload_zone_command": "/etc/bind/reload-zone.sh"},
    "certificates": {"office.test": {"alt_names": {"office.test": ["@", "www"]}, "services": ["nginx"]}},
}
WEB: dict[str, Any] = {
    "directories": {"http_challenge": "/var/www/{zone}/{host}/.well-known/acme-challenge"},
    "http_challenges": {"odd.office.test": "/srv/odd"},
    "certificates": {"office.test": {"alt_names": {"office.test": ["@", "www", "odd"]}, "key_types": ["rsa"]}},
}
README: dict[str, Any] = {  # of acmebot's README, section "TLSA Records" and "Private Keys", with names of our own
    "zone_update_keys": {"office.test": "update.key"},
    "private_keys": {
        "office.test": {
            "certificates": {
                "office.test": {
                    "common_name": "office.test",
                    "alt_names": {"office.test": ["@", "www"]},
                    "services": ["nginx"],
                    "key_types": ["rsa"],
                    "dhparam_size": 2048,
                    "ecparam_curve": ["secp521r1", "secp384r1", "secp256k1"],
                    "ocsp_must_staple": True,
                    "ct_submit_logs": ["google_icarus", "google_pilot"],
                    "verify": [443],
                },
                "mail.office.test": {
                    "alt_names": {"office.test": ["mail", "smtp"]},
                    "services": ["dovecot", "postfix"],
                    "key_types": ["rsa", "ecdsa"],
                    "tlsa_records": {"office.test": [{"host": "smtp", "port": 25, "usage": "dane-ee"}]},
                },
            },
            "key_types": ["rsa", "ecdsa"],
            "key_size": 4096,
            "key_curve": "secp384r1",
            "key_provided": False,
            "expiration_days": 730,
            "hpkp_days": 60,
        }
    },
}
HOOKS: dict[str, Any] = {
    "settings": {"reload_zone_command": "/bin/true"},
    "certificates": {"office.test": {"alt_names": {"office.test": ["@", "www"]}}},
    "hooks": {
        "set_dns_challenge": "/etc/hooks/set {zone} {domain} {challenge}",
        "clear_dns_challenge": "/etc/hooks/clear {zone} {domain}",
        "certificate_installed": "scp {certificate_file} other:/etc/ssl/certs/",
    },
}


def keys_of(acmebot: Acmebot) -> None:
    """What its configurations name: TSIG keys in both forms, and a private key."""
    update = acmebot.root / "update"
    for name, content in (
        ("update.key", f'key "office" {{ algorithm hmac-sha256; secret "{TSIG}"; }};\n'),
        ("Kupdate.+165+00007.key", f"update. IN KEY 512 3 165 {TSIG}\n"),
    ):
        (update / name).touch(0o600)
        (update / name).write_text(content)
    private = acmebot.root / "private" / "office.test.ecdsa.key"
    private.touch(0o600)
    private.write_bytes(keys.to_pem(keys.generate(KeyType.ECDSA_P384)))


@pytest.mark.parametrize(
    "sections",
    [MASTER, FOLLOWER, LOCAL_DNS, WEB, README, HOOKS],
    ids=["master", "follower", "local-dns", "web", "readme", "hooks"],
)
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_configuration_that_acmebot_accepts_becomes_one_that_acmectl_accepts(
    tmp_path: Path, sections: dict[str, Any], form: str
) -> None:
    acmebot = Acmebot(tmp_path / "acmebot")
    acmebot.configure(**sections)
    keys_of(acmebot)
    if form == "yaml":
        document = yaml.safe_load(acmebot.config.read_text())
        acmebot.config.with_suffix(".yaml").write_text(yaml.safe_dump(document))
        acmebot.config.unlink()
        assert "office.test" in acmebot.run("--show-config", config=acmebot.config.with_suffix(".yaml")).text
    else:
        assert "office.test" in acmebot.run("--show-config").text
    host = Host(tmp_path / "host")
    done = host.good("init", "--from", "acmebot", str(acmebot.root))
    assert TSIG not in done.said + host.config.read_text()
    host.good("check")
    names = {
        name
        for zone in (sections.get("authorizations") or {}, *alt_names(sections))
        for name in (host_name(label, of) for of, labels in zone.items() for label in labels)
    }
    assert names == set(ours(yaml.safe_load(host.config.read_text())))
    assert {file.stat().st_mode & 0o077 for file in host.directory.rglob("tsig/*")} <= {0}


def alt_names(sections: dict[str, Any]) -> Iterator[dict[str, list[str]]]:
    certificates = dict(sections.get("certificates", {}))
    for private_key in sections.get("private_keys", {}).values():
        certificates |= private_key["certificates"]
    return (certificate["alt_names"] for certificate in certificates.values())


def host_name(label: str, zone: str) -> str:
    return zone if label == "@" else f"{label}.{zone}"


def ours(document: dict[str, Any]) -> Iterator[str]:
    for entry in document.get("master", {}).get("authorize", []):
        yield from entry["names"]
    for certificate in document.get("certificates", {}).values():
        yield from certificate["names"]


def test_an_existing_configuration_is_left_alone_and_nothing_is_written(tmp_path: Path) -> None:
    acmebot = Acmebot(tmp_path / "acmebot")
    acmebot.configure(**MASTER)
    keys_of(acmebot)
    host = Host(tmp_path / "host", "mine: true\n")
    before = host.tree()
    assert "there is a configuration already" in host.acmectl("init", "--from", "acmebot", str(acmebot.root)).err
    assert host.tree() == before
    host.config.unlink()
    (host.directory / "tsig").mkdir()
    (host.directory / "tsig" / "away.test.key").write_text("mine")
    before = host.tree()
    ran = host.acmectl("init", "--from", "acmebot", str(acmebot.root))
    assert (ran.status, "`exists already" in ran.err or "exists already" in ran.err) == (2, True)
    assert host.tree() == before


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with office_site(tmp_path_factory.mktemp("site")) as served:
        yield served


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[Pebble]:
    with office_pebble(tmp_path_factory.mktemp("pebble"), site) as server:
        yield server


def public_key(file: Path) -> bytes:
    """The public key of a certificate or of a private key, as openssl reads it."""
    kind = "x509 -noout -pubkey -in" if b"BEGIN CERTIFICATE" in file.read_bytes() else "pkey -pubout -in"
    return subprocess.run(["openssl", *shlex.split(kind), file], check=True, capture_output=True).stdout


def test_a_host_of_acmebots_goes_on_under_acmectl_with_its_account_its_keys_and_its_files(
    tmp_path: Path, pebble: Pebble, site: Site
) -> None:
    acmebot = Acmebot(tmp_path / "acmebot", pebble)
    challenges = site.root / ".well-known" / "acme-challenge"
    challenges.mkdir(parents=True, exist_ok=True)
    reloaded = tmp_path / "reloaded"
    acmebot.configure(
        settings={"key_size": 2048, "key_curve": "secp256r1", "dhparam_size": 0, "ecparam_curve": None}
        | {"authorization_delay": 1, "reload_zone_command": None},
        directories={"http_challenge": str(challenges)},
        services={"web": f"echo reloaded >> {reloaded}"},
        certificates={"office.test": {"alt_names": {"office.test": ["@", "www"]}, "services": ["web"]}},
    )
    acmebot.run("--auth", "--certs")
    files = {kind: acmebot.root / "certs" / f"office.test.{kind}.pem" for kind in ("rsa", "ecdsa")}
    private = {kind: acmebot.root / "private" / f"office.test.{kind}.key" for kind in ("rsa", "ecdsa")}
    before = {file: file.read_bytes() for file in (*files.values(), *private.values())}
    reloaded.unlink()
    host = Host(tmp_path / "host")
    host.good("init", "--from", "acmebot", str(acmebot.config))
    document = yaml.safe_load(host.config.read_text())
    document["authority"]["ca_bundle"] = str(pebble.ca_bundle)  # acmebot has it from its environment
    host.configure(yaml.safe_dump(document | {"state_directory": "state"}))
    host.good("account", "import", "--from", "acmebot", str(acmebot.config))
    proven, issued = pebble.challenge_posts(), pebble.issued()
    shutil.rmtree(challenges)
    host.good("follower", "run")
    assert (pebble.challenge_posts(), pebble.issued()) == (proven, issued + 2)
    for kind, file in files.items():
        assert file.read_bytes() != before[file]
        assert private[kind].read_bytes() == before[private[kind]]
        assert public_key(file) == public_key(private[kind])
    assert reloaded.read_text() == "reloaded\n"  # one reload for both, as they share the command
