"""The options of `tlsa:`, as a configuration writes them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from acmectl import app
from acmectl.deploy.tlsa.options import TlsaOptions
from acmectl.errors import ConfigurationError
from acmectl.model.tlsa import Service
from tests.servers.name_server import Key

HEAD = "authority: letsencrypt\nprofile: classic\nstate_directory: state\n"

LONG = f"mail.{'.'.join(['a' * 62] * 3)}.{'b' * 46}.test"  # 245 characters


def read(directory: Path, tlsa: str, more: str = "") -> app.Host:
    text = f"{HEAD}certificates:\n  mail:\n    names: [mail.example.org]\n    tlsa: {tlsa}\n{more}"
    (directory / "config.yaml").write_text(text)
    return app.load(directory / "config.yaml")


def options(directory: Path, tlsa: str) -> TlsaOptions:
    return read(directory, tlsa).parts.tlsa["mail"]


def problem(directory: Path, tlsa: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        read(directory, tlsa)
    (found,) = error.value.problems
    return str(found).removeprefix(f"{directory}/")


def test_a_bare_list_of_services_is_enough(tmp_path: Path) -> None:
    short = options(tmp_path, "[mail.example.org:25, Mail.example.org:443/udp]")
    assert short.records == (Service("mail.example.org", 25), Service("mail.example.org", 443, "udp"))
    assert short.ttl == timedelta(hours=1)
    assert short.update is None


def test_a_service_can_be_written_in_parts(tmp_path: Path) -> None:
    long = options(tmp_path, "{records: [{host: mail.example.org, port: 25, protocol: tcp}], ttl: 5m}")
    assert (long.records, long.ttl) == ((Service("mail.example.org", 25),), timedelta(minutes=5))


def test_who_may_update_the_zone_names_the_key(tmp_path: Path) -> None:
    Key("acmectl").write(tmp_path / "tsig.key")
    found = options(tmp_path, "{records: [a.example.org:25], update: {server: 127.0.0.1, tsig_key_file: tsig.key}}")
    assert found.update is not None
    assert found.update.tsig_key_file == tmp_path / "tsig.key"


@pytest.mark.parametrize(
    ("tlsa", "said"),
    [
        ("[mail.example.org]", "not a service with its port"),
        ("[mail.example.org:70000]", "a port is between 1 and 65535"),
        ("[mail.example.org:25/dccp]", "no known protocol"),
        ("['*.example.org:25']", "belong to one host name"),
        ("[mail:25]", "has only one label"),
        ("[{host: mail.example.org}]", "needs a `host` (a name) and a `port` (a number)"),
        ("[{host: mail.example.org, port: true}]", "needs a `host` (a name) and a `port` (a number)"),
        (f"['{LONG}:25']", "the name of its TLSA records would be longer than 253 characters: `_25._tcp.mail.aaa"),
        ("[{host: mail.example.org, prot: 25}]", "a service has `host`, `port` and `protocol`"),
        ("[7]", "expected a text or a mapping, found a number"),
        ("[mail.example.org:25, mail.example.org:25]", "`mail.example.org:25` is listed twice"),
        ("[]", "must not be empty"),
        ("yes", "expected a list or a mapping, found a truth value"),
        ("{ttl: 1h}", "the key `records` is missing"),
        ("{records: [a.example.org:25], ttl: 30d}", "must be between `1s` and `7d`"),
        ("{records: [a.example.org:25], update: {server: ns.example.org}}", "the key `tsig_key_file` is missing"),
        ("{records: [a.example.org:25], upate: {}}", "unknown key `upate`"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_line(tmp_path: Path, tlsa: str, said: str) -> None:
    found = problem(tmp_path, tlsa)
    assert found.startswith("config.yaml:7: `certificates.mail.tlsa")
    assert said in found


def test_published_keys_are_reused_unless_the_configuration_says_otherwise(tmp_path: Path) -> None:
    spec = read(tmp_path, "[mail.example.org:25]").config.certificates["mail"].spec
    assert (spec.pinned, spec.reuse_key, spec.prepare_key) == (True, True, True)
    spec = read(tmp_path, "[mail.example.org:25]", "    reuse_key: no\n").config.certificates["mail"].spec
    assert (spec.pinned, spec.reuse_key, spec.prepare_key) == (True, False, True)
    (tmp_path / "own.pem").touch()
    spec = read(tmp_path, "[mail.example.org:25]", "    key_file: own.pem\n").config.certificates["mail"].spec
    assert (spec.pinned, spec.reuse_key, spec.prepare_key) == (True, False, False)
