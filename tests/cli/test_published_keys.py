"""Keys that the DNS speaks of: `acmectl` on a host with update rights, run by run, with a real name server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import dns.tsigkeyring
import dns.update
import pytest

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, Ran, follower_of
from tests.servers.bind import Bind, Key, Zone, running_bind

OWNER = "_25._tcp.mail.acme.test"
OF_A_CA = "2 1 1 " + "ab" * 32
_SECONDS = 30


@dataclass(frozen=True)
class Mail:
    """A mail server whose key is published at `bind`."""

    host: Host
    bind: Bind
    ca: Sandbox

    def configure(self, *, update: bool = True, certificate: str = "") -> None:
        key = self.bind.directory / "acmectl.key"
        if not key.exists():
            self.bind.keys["acmectl"].write(key)
        where = f'{{server: 127.0.0.1, port: {self.bind.port}, tsig_key_file: "{key}"}}'
        more = f", update: {where}" if update else ""
        look = f'resolvers: ["{self.bind.endpoint}"], servers: ["{self.bind.endpoint}"]'
        tlsa = f"{{records: [mail.acme.test:25], ttl: 1s, {look}{more}}}"
        deploy = "[{type: files, directory: tls}]"
        self.host.configure(
            follower_of(self.ca, f"  mail: {{names: [mail.acme.test], deploy: {deploy}, tlsa: {tlsa}{certificate}}}\n")
        )

    @property
    def published(self) -> set[str]:
        query = dns.message.make_query(OWNER, dns.rdatatype.TLSA, flags=0)
        answer = dns.query.udp(query, self.bind.address, timeout=10, port=self.bind.port)
        return {rdata.to_text() for rrset in answer.answer for rdata in rrset}

    def change(self, *, add: str = "", remove: str = "", ttl: int = 1) -> None:
        """What another person does to the zone."""
        key = self.bind.keys["acmectl"]
        update = dns.update.UpdateMessage("acme.test", keyring=dns.tsigkeyring.from_text({key.name: key.secret}))
        if add:
            update.add(OWNER + ".", ttl, "TLSA", add)
        if remove:
            update.delete(OWNER + ".", "TLSA", remove)
        assert dns.query.tcp(update, self.bind.address, port=self.bind.port, timeout=10).rcode() == 0

    def records(self) -> dict[str, str]:
        """What `cert tlsa` prints, by role."""
        document = json.loads(self.host.good("cert", "tlsa", "mail", "--json").out)
        return {r["role"]: f"3 1 1 {r['data']}" for r in document["records"]}

    @property
    def generation(self) -> int:
        return int((self.host.state / "certificates/mail/current").readlink().name)

    def run_until(self, generation: int) -> Ran:
        """Run as cron does, until the certificate is of this generation."""
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            ran = self.host.good("-v", "follower", "run")
            if self.generation == generation:
                return ran
        raise AssertionError(f"no generation {generation}: {ran.said}")

    def run_until_published(self, records: set[str]) -> None:
        end = time.monotonic() + _SECONDS
        while self.published != records:
            assert time.monotonic() < end, (self.published, records)
            self.host.good("follower", "run")


@pytest.fixture
def mail(ca: Sandbox, authorized: Host, follower: Host, tmp_path: Path) -> Iterator[Mail]:  # noqa: ARG001  # the names must be authorized
    with running_bind(tmp_path, zones=[Zone("acme.test")], keys=[Key("acmectl")], resolve=True) as bind:
        yield Mail(follower, bind, ca)


def test_keys_are_published_once_services_have_the_certificate(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    records = mail.records()
    assert set(records) == {"in use", "next"}
    assert mail.published == set(records.values())


def test_a_key_change_waits_for_clients_and_cleans_up_after_itself(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    mail.change(add=OF_A_CA)
    before = mail.records()
    asked = mail.host.good("cert", "renew", "mail", "--new-key")
    if mail.generation == 1:
        assert "another key was asked for; every client accepts it from" in asked.out
    mail.run_until(2)
    after = mail.records()
    assert after["in use"] == before["next"]
    mail.run_until_published({OF_A_CA, after["in use"], after["next"]})
