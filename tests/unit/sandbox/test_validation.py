"""Real http-01 and dns-01 against a tiny web server and a tiny name server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.rcode
import pytest

from acmectl.sandbox.lookup import LookupFailed, text_values
from acmectl.sandbox.validation import HttpTarget
from tests.servers.sandbox import running_sandbox
from tests.servers.sandbox_client import Client
from tests.servers.sandbox_targets import Site, Zone, running_name_server, running_web_server

_NAME = "a.example.com"


@pytest.fixture
def site() -> Iterator[Site]:
    with running_web_server() as running:
        yield running


@pytest.fixture
def zone() -> Iterator[Zone]:
    with running_name_server() as running:
        yield running


@contextmanager
def _client(directory: Path, **options: Any) -> Iterator[Client]:
    with running_sandbox(directory, **options) as sandbox, Client(sandbox.directory_url, sandbox.ca_bundle) as client:
        client.register()
        yield client


def _pending(client: Client, kind: str, name: str = _NAME) -> tuple[str, dict[str, Any]]:
    [(url, document)] = client.authorizations(client.new_order(name)).values()
    return url, client.challenge(document, kind)


def _judged(client: Client, url: str, challenge: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    assert client.post(challenge["url"], {}).status == 200
    document = client.settled(url).json
    [decided] = document["challenges"]
    return document["status"], decided


def _error(client: Client, url: str, challenge: dict[str, Any]) -> tuple[str, str]:
    status, decided = _judged(client, url, challenge)
    assert (status, decided["status"]) == ("invalid", "invalid")
    return decided["error"]["type"].rpartition(":")[2], decided["error"]["detail"]


def test_http_01_looks_at_the_given_port_under_the_names_own_host(tmp_path: Path, site: Site) -> None:
    with _client(tmp_path, http_port=site.port) as client:
        url, challenge = _pending(client, "http-01")
        site.publish(challenge["token"], client.key_authorization(challenge["token"]) + "\n")
        assert _judged(client, url, challenge)[0] == "valid"
        assert site.hosts == [_NAME]


def test_http_01_says_what_it_found_instead(tmp_path: Path, site: Site) -> None:
    with _client(tmp_path, http_port=site.port) as client:
        url, challenge = _pending(client, "http-01")
        kind, detail = _error(client, url, challenge)
        assert kind == "unauthorized"
        assert detail.endswith(f"/.well-known/acme-challenge/{challenge['token']}: 404")
        url, challenge = _pending(client, "http-01")
        site.publish(challenge["token"], "something else")
        kind, detail = _error(client, url, challenge)
        assert kind == "unauthorized"
        assert '(got "something else")' in detail


def test_http_01_says_that_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with _client(tmp_path, http_port=unused.getsockname()[1]) as client:
            kind, detail = _error(client, *_pending(client, "http-01"))
    assert kind == "connection"
    assert "Connection refused" in detail


def test_http_01_follows_redirects_but_not_for_ever(tmp_path: Path, site: Site) -> None:
    with _client(tmp_path, http_port=site.port) as client:
        url, challenge = _pending(client, "http-01")
        path = f"/.well-known/acme-challenge/{challenge['token']}"
        site.redirects[path] = "http://elsewhere.example.com/there?x=1"
        site.pages["/there?x=1"] = (200, client.key_authorization(challenge["token"]).encode())
        assert _judged(client, url, challenge)[0] == "valid"
        assert site.hosts == [_NAME, "elsewhere.example.com"]
        url, challenge = _pending(client, "http-01", "b.example.com")
        path = f"/.well-known/acme-challenge/{challenge['token']}"
        site.redirects[path] = path
        assert _error(client, url, challenge) == (
            "connection",
            f"Fetching http://b.example.com{path}: Too many redirects",
        )


def test_http_01_follows_no_redirect_to_another_protocol(tmp_path: Path, site: Site) -> None:
    with _client(tmp_path, http_port=site.port) as client:
        url, challenge = _pending(client, "http-01")
        site.redirects[f"/.well-known/acme-challenge/{challenge['token']}"] = "file:///etc/passwd"
        assert "Invalid redirect target" in _error(client, url, challenge)[1]


def test_http_01_can_look_names_up(tmp_path: Path, site: Site, zone: Zone) -> None:
    zone.addresses[_NAME] = ["127.0.0.1"]
    with _client(tmp_path, http_port=site.port, http_address=None, resolver=zone.server) as client:
        url, challenge = _pending(client, "http-01")
        site.publish(challenge["token"], client.key_authorization(challenge["token"]))
        assert _judged(client, url, challenge)[0] == "valid"
        kind, detail = _error(client, *_pending(client, "http-01", "unknown.example.com"))
        assert kind == "dns"
        assert "NXDOMAIN looking up AAAA for unknown.example.com" in detail


def test_dns_01_reads_the_txt_values_of_the_given_server(tmp_path: Path, zone: Zone) -> None:
    with _client(tmp_path, resolver=zone.server) as client:
        url, challenge = _pending(client, "dns-01")
        zone.publish(_NAME, "somebody else's")
        zone.publish(_NAME, client.key_authorization(challenge["token"]))
        assert _judged(client, url, challenge)[0] == "valid"


def test_dns_01_proves_a_wildcard_and_its_base_by_two_values_of_one_record(tmp_path: Path, zone: Zone) -> None:
    with _client(tmp_path, resolver=zone.server) as client:
        order = client.new_order("example.com", "*.example.com")
        parts = client.authorizations(order)
        for name, (_, document) in parts.items():
            zone.publish(name, client.key_authorization(client.challenge(document, "dns-01")["token"]))
        for url, document in parts.values():
            assert _judged(client, url, client.challenge(document, "dns-01"))[0] == "valid"
        assert client.post(order.location).json["status"] == "ready"


def test_dns_01_follows_a_cname_into_a_zone_that_is_not_in_the_answer(tmp_path: Path, zone: Zone) -> None:
    zone.aliases[f"_acme-challenge.{_NAME}"] = "_acme-challenge.delegated.example.net"
    with _client(tmp_path, resolver=zone.server) as client:
        url, challenge = _pending(client, "dns-01")
        zone.publish("delegated.example.net", client.key_authorization(challenge["token"]))
        assert _judged(client, url, challenge)[0] == "valid"


def test_dns_01_says_what_is_wrong(tmp_path: Path, zone: Zone) -> None:
    record = f"_acme-challenge.{_NAME}"
    with _client(tmp_path, resolver=zone.server) as client:
        assert _error(client, *_pending(client, "dns-01")) == (
            "dns",
            f"DNS problem: NXDOMAIN looking up TXT for {record} - check that a DNS record exists for this domain",
        )
        zone.text[record] = []
        assert _error(client, *_pending(client, "dns-01")) == ("unauthorized", f"No TXT record found at {record}")
        zone.text[record] = ["wrong", "too"]
        assert _error(client, *_pending(client, "dns-01")) == (
            "unauthorized",
            f'Incorrect TXT record "too" (and 1 more) found at {record}',
        )
        zone.faults[record] = dns.rcode.SERVFAIL
        assert _error(client, *_pending(client, "dns-01")) == (
            "dns",
            f"DNS problem: SERVFAIL looking up TXT for {record}",
        )


def test_dns_01_gives_up_on_a_circle_of_aliases(tmp_path: Path, zone: Zone) -> None:
    zone.aliases[f"_acme-challenge.{_NAME}"] = "x.example.com"
    zone.aliases["x.example.com"] = f"_acme-challenge.{_NAME}"
    with _client(tmp_path, resolver=zone.server) as client:
        assert "too many aliases" in _error(client, *_pending(client, "dns-01"))[1]


def test_dns_01_without_a_resolver_says_what_to_start_the_sandbox_with(tmp_path: Path) -> None:
    with _client(tmp_path) as client:
        kind, detail = _error(client, *_pending(client, "dns-01"))
        assert kind == "dns"
        assert "started without `--resolver`" in detail


def test_tls_alpn_01_says_that_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with _client(tmp_path, https_port=unused.getsockname()[1]) as client:
            kind, detail = _error(client, *_pending(client, "tls-alpn-01"))
    assert (kind, detail) == ("connection", "127.0.0.1: tls-alpn-01: Connection refused")


def test_http_01_follows_a_redirect_to_https_whatever_its_certificate(tmp_path: Path, site: Site) -> None:
    with running_sandbox(tmp_path / "any-tls-server") as other:
        port = int(other.directory_url.split(":")[2].partition("/")[0])
        with _client(tmp_path, http_target=HttpTarget(site.port, https_port=port)) as client:
            url, challenge = _pending(client, "http-01")
            site.redirects[f"/.well-known/acme-challenge/{challenge['token']}"] = f"https://{_NAME}/there"
            kind, detail = _error(client, url, challenge)
            assert kind == "unauthorized"
            assert detail.endswith(": 403"), "what that server says of foreign names"
            assert other.counts["unknown"] == 1


def test_http_01_gives_up_on_a_web_server_that_says_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = HttpTarget(silent.getsockname()[1], seconds=0.2)
        with _client(tmp_path, http_target=target) as client:
            kind, detail = _error(client, *_pending(client, "http-01"))
    assert kind == "connection"
    assert detail.endswith("Timeout during connect or read")


def test_http_01_says_that_a_name_has_no_address(tmp_path: Path, site: Site, zone: Zone) -> None:
    zone.text[_NAME] = ["a name without addresses"]
    with _client(tmp_path, http_port=site.port, http_address=None, resolver=zone.server) as client:
        assert "No valid IP addresses found for a.example.com" in _error(client, *_pending(client, "http-01"))[1]


def test_a_name_server_that_says_nothing_or_nonsense_is_named_as_the_reason(zone: Zone) -> None:
    zone.garbage = b"nonsense"
    with pytest.raises(LookupFailed, match=r"networking error looking up TXT for a\.example\.com"):
        text_values(_NAME, zone.server)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(LookupFailed, match=r"query timed out looking up TXT for a\.example\.com"):
            text_values(_NAME, silent.getsockname(), seconds=0.1)
