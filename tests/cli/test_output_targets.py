"""What `targets list` and `targets show` say."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from acmectl.deploy import registry
from acmectl.deploy.contents import Content
from tests.cli.hosts import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


def test_every_type_is_listed_with_its_service_and_files(host: Host) -> None:
    lines = host.good("targets", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == list(registry.known_types())
    (postfix,) = [line for line in lines if line.startswith("postfix")]
    assert postfix.split("  ")[-1].strip() == "/etc/postfix/tls/LABEL.pem"


def test_a_type_is_shown_with_what_it_does_and_takes(host: Host) -> None:
    shown = host.good("targets", "show", "haproxy").out
    assert shown.startswith("""haproxy: HAProxy
  files:              /etc/haproxy/certs/LABEL.pem: privkey+fullchain, root:root 0600
  check:              haproxy -c -f /etc/haproxy/haproxy.cfg
  reload:             systemctl reload haproxy
  seen at:            port 443 on 127.0.0.1
  asked for:          the first name in the certificate, or the `name` of an endpoint of `verify`
  two kinds of keys:  /etc/haproxy/certs/LABEL.pem.ecdsa, /etc/haproxy/certs/LABEL.pem.rsa
  note: with two kinds of keys""")
    assert '\n  files  mapping, default {privkey+fullchain: "{label}.pem"}\n' in shown
    assert "\n  reload_timeout  duration, default 1m\n      how long the reload may take\n" in shown


def test_every_content_is_explained(host: Host) -> None:
    lines = host.good("targets", "show", "files").out.splitlines()
    explained = {line.split()[0] for line, below in itertools.pairwise(lines) if below.startswith("      ")}
    assert {f"files.{content}" for content in Content} <= explained
    assert "directory  path, required" in "\n".join(lines)


@pytest.mark.parametrize("type_", registry.known_types())
def test_every_option_of_every_type_has_a_meaning(host: Host, type_: str) -> None:
    shown = json.loads(host.good("targets", "show", type_, "--json").out)["target"]
    assert shown["name"] == type_
    assert [option["key"] for option in shown["options"] if not option["meaning"]] == []


def test_json_has_what_the_words_have(host: Host) -> None:
    listed = json.loads(host.good("targets", "list", "--json").out)["targets"]
    (prosody,) = [one for one in listed if one["name"] == "prosody"]
    assert prosody["files"] == [
        {
            "content": "privkey+fullchain",
            "path": "/etc/prosody/certs/LABEL.pem",
            "mode": "0640",
            "owner": None,
            "group": "prosody",
        }
    ]
    assert prosody["reload"] == ["prosodyctl", "reload"]
    assert prosody["verify"] == [{"address": "127.0.0.1", "port": 5222, "protocol": "xmpp-client"}]


@pytest.mark.parametrize(
    ("name", "hint"), [("ngnix", "did you mean `nginx`?"), ("zzz", "`files` is for any other service")]
)
def test_an_unknown_type_is_refused_with_the_nearest(host: Host, name: str, hint: str) -> None:
    refused = host.acmectl("targets", "show", name)
    assert refused.status == 2
    assert f"there is no target type `{name}`" in refused.err
    assert hint in refused.err
