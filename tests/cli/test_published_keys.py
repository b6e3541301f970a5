"""Keys that the DNS speaks of: `acmectl` on a host with update rights, run by run, with a real name server."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import dns.tsigkeyring
import dns.update
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from acmectl import keys
from acmectl.model.certificates import KeyType
from acmectl.model.tlsa import association
from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, Ran, follower_of
from tests.servers.bind import Bind, Key, Zone, running_bind
from tests.unit.deploy.generations import certificate_until

OWNER = "_25._tcp.mail.acme.test"
SUBMISSIONS = "_465._tcp.mail.acme.test"
OF_A_CA = "2 1 1 " + "ab" * 32
_SECONDS = 30
READ_ONLY = (
    *(["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]),
    *("sh", "-c", 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'),
)
"""The words before a command that cannot write in a directory, whose path comes next."""


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

    def configure_two(self, *, published: bool) -> None:
        """Two certificates with different keys for the same service."""
        self.configure_chain({"mail": [25], "other": [25]} if published else {"mail": [], "other": []})

    def configure_chain(self, ports: Mapping[str, Sequence[int]], **changed: tuple[str, str]) -> None:
        """Certificates by label, each with its own key and target, and the ports whose services have it; `changed` is replaced in one of them."""
        self.configure()
        text = self.host.config.read_text()
        (line,) = (line for line in text.splitlines() if line.startswith("  mail: "))
        lines = []
        for label, listed in ports.items():
            own = line if listed else line.partition(", tlsa: ")[0] + "}"
            own = own.replace("[mail.acme.test:25]", f"[{', '.join(f'mail.acme.test:{port}' for port in listed)}]")
            own = own.replace(*changed.get(label, ("", "")))
            lines.append(own.replace("mail: ", f"{label}: ", 1).replace("directory: tls", f"directory: tls-{label}"))
        self.host.configure(text.replace(line, "\n".join(lines)))

    def configure_without(self, certificate: str = "") -> None:
        """The same certificate, without `tlsa`."""
        self.configure(certificate=certificate)
        text = self.host.config.read_text()
        (line,) = (line for line in text.splitlines() if line.startswith("  mail: "))
        self.host.configure(text.replace(line, line.partition(", tlsa: ")[0] + certificate + "}"))

    def lose_servers(self) -> None:
        """Have no name server answer."""
        self.host.configure(
            self.host.config.read_text().replace(f'servers: ["{self.bind.endpoint}"]', 'servers: ["127.0.0.1:9"]')
        )

    @property
    def serial(self) -> int:
        """The serial number of the zone, which grows by one with each update."""
        query = dns.message.make_query("acme.test", dns.rdatatype.SOA, flags=0)
        (rrset,) = dns.query.udp(query, self.bind.address, timeout=10, port=self.bind.port).answer
        return int(rrset.to_text().split()[6])

    @property
    def published(self) -> set[str]:
        return set(self.published_at(OWNER))

    def published_at(self, owner: str) -> dict[str, int]:
        """The records there, each with the time to live of the set."""
        query = dns.message.make_query(owner, dns.rdatatype.TLSA, flags=0)
        answer = dns.query.udp(query, self.bind.address, timeout=10, port=self.bind.port)
        return {rdata.to_text(): rrset.ttl for rrset in answer.answer for rdata in rrset}

    def lives_for(self, role: str, label: str = "mail") -> float:
        """For how many seconds resolvers may keep a set without the record of a key, as far as is known."""
        known = json.loads((self.host.state / f"certificates/{label}/published-keys.json").read_text())
        (pin,) = (
            record["pin_sha256"] for record in self.listed() if (record["label"], record["role"]) == (label, role)
        )
        (seconds,) = (one["lives_for"] for one in known["publications"] if one["spki"] == pin)
        return float(seconds)

    def await_accepted(self) -> None:
        """Run as cron does, until every client accepts the next key."""
        known = self.host.state / "certificates/mail/published-keys.json"
        end = time.monotonic() + _SECONDS
        while (
            base64.b64encode(bytes.fromhex(self.records()["next"].split()[-1])).decode()
            not in json.loads(known.read_text())["usable"]
        ):
            assert time.monotonic() < end
            self.host.good("follower", "run")

    def change(self, *, add: str = "", remove: str = "", ttl: int = 1, owner: str = OWNER) -> None:
        """What another person does to the zone."""
        update = self._update()
        if add:
            update.add(owner + ".", ttl, "TLSA", add)
        if remove:
            update.delete(owner + ".", "TLSA", remove)
        self._send(update)

    def lead_to_one_place(self, *ports: int) -> None:
        """Have the records of services lie at `_dane.mail.acme.test`."""
        update = self._update()
        for port in ports:
            update.add(f"_{port}._tcp.mail.acme.test.", 1, "CNAME", "_dane.mail.acme.test.")
        self._send(update)

    def _update(self) -> dns.update.UpdateMessage:
        key = self.bind.keys["acmectl"]
        return dns.update.UpdateMessage("acme.test", keyring=dns.tsigkeyring.from_text({key.name: key.secret}))

    def _send(self, update: dns.update.UpdateMessage) -> None:
        assert dns.query.tcp(update, self.bind.address, port=self.bind.port, timeout=10).rcode() == 0

    def records(self) -> dict[str, str]:
        """What `cert tlsa` prints, by role."""
        return {r["role"]: f"3 1 1 {r['data']}" for r in self.listed()}

    def listed(self) -> list[dict[str, str]]:
        """The records of all kinds of the certificate, as `cert tlsa` lists them."""
        records: list[dict[str, str]] = json.loads(self.host.good("cert", "tlsa", "mail", "--json").out)["records"]
        return records

    def fail_to_deploy_another_key(self) -> tuple[Path, str]:
        """Have the target refuse a second certificate, with another key: the file without which it does, and the record of the key that it has."""
        accepts = self.host.directory / "accepts"
        accepts.touch()
        self.configure()
        checked = f'directory: tls, check: [test, -e, "{accepts}"]}}'
        self.host.configure(self.host.config.read_text().replace("directory: tls}", checked))
        self.host.good("follower", "run")
        former = self.records()["in use"]
        self.await_accepted()
        accepts.unlink()
        assert self.host.acmectl("cert", "renew", "mail", "--new-key").status == 1
        assert self.generation == 2
        return accepts, former

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


def test_a_person_publishes_where_this_host_may_not_and_the_key_waits_for_that(mail: Mail) -> None:
    mail.configure(update=False)
    assert "TLSA records are missing in the zone" in mail.host.good("-v", "follower", "run").out
    records = mail.records()
    assert mail.published == set()
    mail.change(add=records["in use"])
    assert "no TLSA record" not in mail.host.acmectl("check").err
    assert "the next key" in mail.host.good("check").err
    asked = mail.host.good("cert", "renew", "mail", "--new-key")
    assert f"not every name server has its TLSA record at `{OWNER}`" in asked.out
    for _ in range(3):
        said = mail.host.good("follower", "run").err
        assert "warning: certificate `mail`: TLSA records are missing in the zone: the key that was asked for" in said
    assert mail.generation == 1
    mail.change(add=records["next"])
    mail.run_until(2)
    assert mail.records()["in use"] == records["next"]
    assert mail.published == {records["in use"], records["next"]}  # what a person published, a person removes


def test_a_lost_memory_is_no_reason_to_use_a_key_too_early(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    mail.change(remove=mail.records()["next"])
    mail.host.good("cert", "renew", "mail", "--new-key")
    (mail.host.state / "state.db").unlink()
    published_at = time.time()
    mail.run_until(2)
    assert time.time() - published_at > 1, "longer than the time to live"


def test_a_key_that_is_to_change_at_every_renewal_stays_until_clients_accept_the_next(mail: Mail) -> None:
    mail.configure(certificate=", reuse_key: no")
    mail.host.good("follower", "run")
    first = mail.records()
    mail.change(remove=first["next"])
    kept = mail.host.good("cert", "renew", "mail", "--force")
    assert mail.generation == 2
    assert mail.records()["in use"] == first["in use"]
    assert "it has the key of the one before, because the next key waits: " in kept.err
    end = time.monotonic() + _SECONDS
    while mail.records()["in use"] == first["in use"]:
        assert time.monotonic() < end
        mail.host.good("cert", "renew", "mail", "--force")
    assert mail.records()["in use"] == first["next"]


def test_a_key_file_that_was_replaced_waits_until_its_record_is_accepted(mail: Mail) -> None:
    own = mail.host.directory / "own.pem"

    def write_key() -> None:
        own.touch(0o600)
        own.write_bytes(keys.to_pem(keys.generate(KeyType.ECDSA_P256)))

    write_key()
    mail.configure(certificate=f', key_file: "{own}"')
    mail.host.good("follower", "run")
    mail.run_until_published({mail.records()["in use"]})
    before = mail.records()["in use"]
    write_key()
    server_key = mail.bind.directory / "acmectl.key"
    server_key.write_text(Key("acmectl").statement)
    ran = mail.host.acmectl("cert", "renew", "mail", "--force")
    assert (ran.status, mail.generation, mail.records()["in use"]) == (1, 2, before)
    assert "it has the key of the one before, because the next key waits: not every name server" in ran.err
    assert "the key was replaced" in mail.host.good("follower", "plan").out
    mail.bind.keys["acmectl"].write(server_key)
    mail.run_until(3)
    assert mail.records()["in use"] != before
    for _ in range(3):
        mail.run_until_published({before, mail.records()["in use"]})  # another host may have the former key
    end = time.monotonic() + _SECONDS
    while "the TLSA record of a former key" not in mail.host.good("check").err:
        assert time.monotonic() < end
        mail.host.good("follower", "run")
    refused = mail.host.acmectl("cert", "renew", "mail", "--new-key")
    assert (refused.status, refused.err.splitlines()[0]) == (2, f"error: the key of `mail` is your own: `{own}`")
    mail.host.configure(mail.host.config.read_text() + "  other: {names: [xmpp.acme.test]}\n")
    mail.host.good("follower", "run")
    refused = mail.host.acmectl("cert", "renew", "other", "mail", "--new-key")
    assert (refused.status, refused.err.splitlines()[0]) == (2, f"error: the key of `mail` is your own: `{own}`")
    assert not (mail.host.state / "certificates/other/published-keys.json").exists(), "nothing was asked for"


def test_a_compromised_key_is_replaced_at_once_and_its_record_goes_with_it(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    before = mail.records()
    mail.host.good("cert", "revoke", "mail", "--reason", "keyCompromise", "--yes")
    said = mail.host.good("follower", "run").err
    assert mail.generation == 2
    after = mail.records()
    assert after["in use"] == before["next"]
    assert mail.published == {after["in use"], after["next"]}
    served = (mail.host.directory / "tls/fullchain.pem").read_bytes()
    assert served == (mail.host.state / "certificates/mail/current/fullchain.pem").read_bytes()
    if said:  # the machine was fast
        assert "its new key is used before every client accepts it, because the one before was compromised" in said


def test_a_person_is_told_to_remove_the_record_of_a_compromised_key(mail: Mail) -> None:
    mail.configure(update=False)
    mail.host.good("follower", "run")
    before = mail.records()
    mail.change(add=before["in use"])
    mail.change(add=before["next"])
    mail.host.good("cert", "revoke", "mail", "--reason", "keyCompromise", "--yes")
    told = f"warning: certificate `mail`: a TLSA record vouches for a key that was revoked as compromised: whoever has it can pose as this host at `{OWNER}`"
    said = mail.host.good("follower", "run").err
    assert mail.records()["in use"] == before["next"]
    assert told in said
    assert before["in use"] in said
    assert told in mail.host.acmectl("check").err
    mail.change(remove=before["in use"])
    assert "compromised" not in mail.host.acmectl("check").err


def test_a_rollback_to_a_key_that_the_dns_does_not_speak_of_any_more_is_refused(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    mail.host.good("cert", "renew", "mail", "--new-key")
    mail.run_until(2)
    after = mail.records()
    mail.run_until_published({after["in use"], after["next"]})
    refused = mail.host.acmectl("cert", "rollback", "mail")
    assert refused.status == 2
    assert mail.generation == 2
    refused = mail.host.acmectl("cert", "rollback", "mail", "--to", "1")
    assert "the DNS was not seen to speak of its key long enough (TLSA)" in refused.err


def test_check_compares_what_is_published_with_the_keys(mail: Mail) -> None:
    mail.configure()
    before = mail.host.acmectl("check")
    assert before.status == 0
    mail.host.good("follower", "run")
    unsigned = mail.host.acmectl("check")
    assert unsigned.status == 0
    assert f"clients ignore the TLSA records at `{OWNER}`, which DNSSEC does not protect" in unsigned.err
    mail.change(remove=mail.records()["next"])
    assert "until then its key cannot change" in mail.host.good("check").err
    mail.change(remove=mail.records()["in use"])
    assert "no TLSA record speaks of the key of `mail` at `mail.acme.test:25`" in mail.host.good("check").err
    mail.change(add="3 1 1 " + "00" * 32)
    ran = mail.host.acmectl("check", "--json")
    assert ran.status == 1
    assert json.loads(ran.out)["ok"] is False
    assert any(warning.get("clients_turn_away") for warning in json.loads(ran.out)["warnings"])


def test_check_names_what_a_former_service_still_has_where_this_host_may_not_remove_it(mail: Mail) -> None:
    mail.configure(update=False)
    text = mail.host.config.read_text()
    mail.host.configure(text.replace("[mail.acme.test:25]", "[mail.acme.test:25, mail.acme.test:465]"))
    mail.host.good("follower", "run")
    record = mail.records()["in use"]
    mail.change(owner=SUBMISSIONS, add=record)
    mail.host.configure(text)
    mail.host.good("follower", "run")
    told = f"the TLSA record of a service still that `tlsa` lists no more, which is not this host's to remove: {SUBMISSIONS} {record}"
    end = time.monotonic() + _SECONDS
    while told not in mail.host.good("check").err:
        assert time.monotonic() < end
    assert "once no host has that service with that key, or list the service again" in mail.host.good("check").err
    mail.change(owner=SUBMISSIONS, remove=record)
    assert SUBMISSIONS not in mail.host.good("check").err


def test_a_former_service_whose_zone_is_gone_fails_no_run_and_is_forgotten(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    known = mail.host.state / "certificates/mail/published-keys.json"

    def remember(retired_at: datetime) -> None:
        content = json.loads(known.read_text())
        former = {**content["publications"][0], "owner": "_25._tcp.mail.gone", "retired_at": retired_at.isoformat()}
        listed = [one for one in content["publications"] if one["owner"] == OWNER]
        known.write_text(json.dumps({**content, "publications": [*listed, former], "looked_at": None}))

    remember(datetime.now(UTC) - timedelta(days=1))
    told = "it cannot be seen what the zone still has of a service that `tlsa` lists no more, at `_25._tcp.mail.gone`: "
    assert told in mail.host.good("check").err
    assert mail.host.good("follower", "run").err == ""
    assert told in mail.host.good("check").err
    remember(datetime.now(UTC) - timedelta(days=8))
    mail.lose_servers()
    ran = mail.host.acmectl("follower", "run")
    assert (ran.status, "forgotten" in ran.err) == (1, False), "it may be this host that sees nobody"
    mail.configure()
    said = mail.host.good("follower", "run").err
    assert (
        "a TLSA record of a former service is forgotten, as its name servers do not answer: _25._tcp.mail.gone 3 1 1 "
        in said
    )
    assert "gone" not in mail.host.good("check").err
    assert mail.host.good("follower", "run").err == ""


def test_a_name_server_that_refuses_is_told_and_holds_up_nothing_else(mail: Mail) -> None:
    mail.configure()
    key = mail.bind.directory / "acmectl.key"
    key.write_text(Key("acmectl").statement)
    ran = mail.host.acmectl("follower", "run")
    assert ran.status == 1
    assert mail.generation == 1
    assert f"error: certificate `mail`: the TLSA record of {OWNER} was not published: " in ran.err
    mail.bind.keys["acmectl"].write(key)
    mail.host.good("follower", "run")
    assert mail.published == set(mail.records().values())


def test_a_key_file_of_updates_that_is_gone_or_bad_stops_nothing_but_publishing(mail: Mail) -> None:
    mail.configure()
    key = mail.bind.directory / "acmectl.key"
    key.unlink()
    missing = mail.host.acmectl("follower", "run")
    assert (missing.status, mail.generation) == (1, 1)
    assert f"the TLSA record of {OWNER} was not published: cannot read the TSIG key file `{key}`: " in missing.err
    mail.host.good("status")
    told = mail.host.acmectl("check")
    assert (told.status, "`certificates.mail.tlsa.update.tsig_key_file`" in told.err) == (2, True)
    key.touch(0o600)
    key.write_text('key "acmectl" { algorithm hmac-sha256; secret "c2Vjc!!mV0"; };')
    bad = mail.host.acmectl("cert", "renew", "mail", "--force")
    assert (bad.status, mail.generation) == (1, 2)
    assert "is no base64 text" in bad.err
    assert "c2Vjc" not in bad.err


def test_what_is_known_of_published_keys_may_be_lost_without_holding_up_the_key_in_use(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    before = mail.records()
    known = mail.host.state / "certificates/mail/published-keys.json"
    known.write_text("{")
    ran = mail.host.acmectl("cert", "renew", "mail", "--force")
    assert (ran.status, mail.generation) == (1, 2)
    assert "published-keys.json` is damaged" in ran.err
    assert mail.records()["in use"] == before["in use"]
    status = mail.host.acmectl("status")
    assert status.status == 1
    assert "its key cannot change: `" in status.out
    assert "published-keys.json` is damaged" in status.out
    assert "mv " in status.out
    (certificate,) = json.loads(mail.host.acmectl("status", "--json").out)["certificates"]
    assert "is damaged" in certificate["published_keys_error"]
    assert "published-keys.json` is damaged" in mail.host.acmectl("check").err
    known.unlink()
    mail.host.good("cert", "renew", "mail", "--force")


def test_what_cannot_be_remembered_of_published_keys_holds_up_no_other_certificate(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    text = mail.host.config.read_text().replace("directory: tls", "directory: elsewhere")
    mail.host.configure(text + "  other: {names: [xmpp.acme.test]}\n")
    known = mail.host.state / "certificates/mail/published-keys.json"
    known.write_text(json.dumps({**json.loads(known.read_text()), "looked_at": None}))
    ran = mail.host.acmectl("-v", "follower", "run", prefix=(*READ_ONLY, str(known.parent)))
    assert ran.status == 1
    assert f"error: certificate `mail`: cannot write `{known}`: read-only file system" in ran.err
    assert "other: issued" in ran.out
    ran = mail.host.acmectl("cert", "renew", "mail", "other", "--force", prefix=(*READ_ONLY, str(known.parent)))
    assert "other: issued" in ran.out


def test_a_certificate_that_cannot_be_written_and_whose_target_is_held_back_stops_no_other(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    served, _ = certificate_until(datetime.now(UTC) + timedelta(days=1))
    mail.change(add=association(keys.read_chain(served).spki), remove=mail.records()["in use"])
    held, blocked = (mail.host.directory / name / "fullchain.pem" for name in ("held", "blocked"))
    held.parent.mkdir()
    held.write_bytes(served)
    blocked.mkdir(parents=True)
    places = ("held", "blocked")
    targets = ", ".join(f"{{type: files, directory: {name}, files: {{fullchain: fullchain.pem}}}}" for name in places)
    mail.configure(update=False)
    text = mail.host.config.read_text().replace("{type: files, directory: tls}", targets)
    other = mail.host.directory / "other" / "fullchain.pem"
    deploy = "[{type: files, directory: other}]"
    mail.host.configure(text + f"  other: {{names: [xmpp.acme.test], deploy: {deploy}}}\n")
    known = mail.host.state / "certificates/mail/published-keys.json"
    known.write_text(json.dumps({**json.loads(known.read_text()), "looked_at": None}))
    for command in (["follower", "run"], ["cert", "deploy", "mail"]):
        ran = mail.host.acmectl("-v", *command, prefix=(*READ_ONLY, str(known.parent)))
        assert ran.status == 1
        assert f"cannot write `{known}`: read-only file system" in ran.err
        assert f"cannot write `{blocked}`: is a directory" in ran.err
        assert "must wait for its key" in ran.err
        assert held.read_bytes() == served
    assert other.exists()


def test_status_says_how_far_each_key_is(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    out = mail.host.good("status").out
    assert "  TLSA, key in use: published" in out
    assert "  TLSA, next key: published" in out
    mail.change(remove=mail.records()["next"])
    mail.host.good("cert", "renew", "mail", "--new-key")
    assert "(another key was asked for; every client accepts it from " in mail.host.good("status").out
    (certificate,) = json.loads(mail.host.good("status", "--json").out)["certificates"]
    assert [record["role"] for record in certificate["tlsa"]] == ["in use", "next"]


_LISTING = """
import sys
from acmectl.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_nobody_is_asked_and_no_library_loaded_while_all_keys_are_accepted(mail: Mail) -> None:
    mail.configure()
    end = time.monotonic() + _SECONDS
    while True:
        assert time.monotonic() < end
        done = subprocess.run(
            [sys.executable, "-c", _LISTING, "follower", "run"],
            cwd=mail.host.directory,
            env=mail.host.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        if not {"dns", "cryptography", "acme", "requests"} & set(done.stdout.split()):
            return


def test_a_certificate_that_is_removed_leaves_its_records_and_says_so(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    records = mail.published
    mail.host.configure(follower_of(mail.ca, "  other: {names: [xmpp.acme.test]}\n"))
    said = mail.host.good("cert", "remove", "mail", "--yes")
    assert mail.published == records
    for record in records:
        assert f"  stays: TLSA record {OWNER} {record}\n" in said.out
    assert "take them out of the zone before services get another key" in said.err


def test_a_target_gets_no_key_that_it_has_not_before_the_zone_was_looked_at(mail: Mail) -> None:
    """As after a backup was restored: what is remembered of the zone is not what is there."""
    mail.configure()
    mail.host.good("follower", "run")
    mail.await_accepted()
    records = mail.records()
    mail.change(add="3 1 1 " + "00" * 32)
    for record in records.values():
        mail.change(remove=record)
    mail.host.configure(mail.host.config.read_text().replace("directory: tls", "directory: elsewhere"))
    mail.host.good("follower", "run")
    assert (mail.host.directory / "elsewhere").is_dir()
    assert records["in use"] in mail.published


def test_two_certificates_of_one_service_are_published_together(mail: Mail) -> None:
    mail.configure_two(published=False)
    mail.host.good("follower", "run")
    before = mail.serial
    mail.configure_two(published=True)
    mail.host.good("follower", "run")
    assert len(mail.published) == 4
    assert mail.serial == before + 1
    known = [
        json.loads((mail.host.state / f"certificates/{name}/published-keys.json").read_text())
        for name in ("mail", "other")
    ]
    assert all(one["is_ours"] for keys_ in known for one in keys_["publications"])


def test_certificates_that_share_services_by_way_of_another_one_are_published_together(mail: Mail) -> None:
    """`_465` would have the keys of `b` alone for a moment, if `c` came after `a` and `b`."""
    mail.configure_chain({"a": [], "b": [], "c": []})
    mail.host.good("follower", "run")
    before = mail.serial
    mail.configure_chain({"a": [25], "c": [465], "b": [25, 465]})
    mail.host.good("follower", "run")
    assert (len(mail.published), len(mail.published_at(OWNER.replace("25", "465")))) == (4, 4)
    assert mail.serial == before + 1


def test_certificates_whose_services_have_their_records_in_one_place_are_published_together(mail: Mail) -> None:
    mail.configure_chain({"a": [], "b": []})
    mail.host.good("follower", "run")
    mail.lead_to_one_place(25, 465)
    before = mail.serial
    mail.configure_chain({"a": [25], "b": [465]}, b=("ttl: 1s", "ttl: 7s"))
    assert f"the first TLSA records of `{OWNER}` wait for `b`" in mail.host.good("-v", "follower", "run", "a").out
    assert mail.serial == before
    mail.host.good("follower", "run")
    assert mail.serial == before + 1
    assert list(mail.published_at("_dane.mail.acme.test").values()) == [7] * 4


def test_certificates_whose_records_live_for_different_times_are_published_together(mail: Mail) -> None:
    mail.configure_two(published=False)
    mail.host.good("follower", "run")
    before = mail.serial
    mail.configure_chain({"mail": [25], "other": [25]}, other=("ttl: 1s", "ttl: 7s"))
    mail.host.good("follower", "run")
    assert list(mail.published_at(OWNER).values()) == [7] * 4
    assert mail.serial == before + 1


def test_first_records_wait_for_a_certificate_that_is_published_by_other_means(mail: Mail) -> None:
    mail.configure_two(published=False)
    mail.host.good("follower", "run")
    mail.configure_chain({"mail": [25], "other": [25]}, other=("update: {", "update: {timeout: 5s, "))
    said = mail.host.good("follower", "run").err
    assert f"warning: certificate `mail`: the first TLSA records of `{OWNER}` wait for `other`" in said
    assert "hint: give `tlsa` of all certificates of the service the same `update`" in said
    assert mail.published == set()


def test_the_first_records_of_a_service_wait_for_a_run_with_all_its_certificates(mail: Mail) -> None:
    mail.configure_two(published=False)
    mail.host.good("follower", "run")
    mail.configure_two(published=True)
    told = f"the first TLSA records of `{OWNER}` wait for `other`"
    assert told in mail.host.good("-v", "follower", "run", "mail").out
    assert told in mail.host.good("cert", "renew", "mail", "--force").out
    assert mail.published == set()
    ran = mail.host.good("-v", "follower", "run")
    assert (len(mail.published), "the first TLSA records" in ran.out) == (4, False)


def test_the_first_records_wait_for_a_run_with_all_kinds_of_a_certificate(mail: Mail) -> None:
    kinds = ", key: [ecdsa-p256, rsa-2048]"
    mail.configure_without(kinds)
    mail.host.good("follower", "run")
    mail.configure(certificate=kinds)
    mail.host.good("cert", "renew", "mail+rsa-2048", "--force")
    assert mail.published == set()
    mail.host.good("run")
    assert len(mail.published) == 4


def test_first_records_are_published_together_after_one_certificate_of_the_service_was_deployed(mail: Mail) -> None:
    mail.configure_two(published=False)
    mail.host.good("follower", "run")
    before = mail.serial
    mail.configure_two(published=True)
    mail.host.configure(mail.host.config.read_text().replace("directory: tls-other", "directory: elsewhere"))
    ran = mail.host.good("-v", "run")
    assert (len(mail.published), mail.serial) == (4, before + 1)
    assert "the first TLSA records" not in ran.out


def test_first_records_wait_for_a_kind_whose_memory_is_damaged(mail: Mail) -> None:
    kinds = ", key: [ecdsa-p256, rsa-2048]"
    mail.configure_without(kinds)
    mail.host.good("follower", "run")
    known = mail.host.state / "certificates/mail/published-keys.json"
    known.write_text("{")
    mail.configure(certificate=kinds)
    ran = mail.host.acmectl("run")
    assert (ran.status, mail.published) == (1, set())
    assert "published-keys.json` is damaged" in ran.err
    known.unlink()
    mail.host.good("run")
    assert len(mail.published) == 4


def test_a_key_waits_for_sets_from_before_their_time_to_live_was_shortened(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    mail.change(add=OF_A_CA, ttl=600)
    for _ in range(2):  # the first of them is added with a time to live of a second, which the whole set has then
        (mail.host.state / "certificates/mail/next-key.pem").unlink()
        mail.host.good("follower", "run")
        assert mail.lives_for("next") == 600
    mail.configure(certificate=", key: [ecdsa-p256, rsa-2048]")
    assert "must not be used yet" in mail.host.good("cert", "renew", "mail+rsa-2048").out
    assert mail.lives_for("next", "mail+rsa-2048") == 600


def test_two_kinds_of_keys_are_published_together(mail: Mail) -> None:
    mail.configure(certificate=", key: [ecdsa-p256, rsa-2048]")
    mail.host.good("follower", "run")
    document = json.loads(mail.host.good("cert", "tlsa", "mail", "--json").out)
    assert [(r["label"], r["role"]) for r in document["records"]] == [
        ("mail", "in use"),
        ("mail", "next"),
        ("mail+rsa-2048", "in use"),
        ("mail+rsa-2048", "next"),
    ]
    assert mail.published == {f"3 1 1 {r['data']}" for r in document["records"]}
    mail.configure()
    said = mail.host.good("check").err
    listed = [f"{OWNER} 3 1 1 {r['data']}" in said for r in document["records"]]
    assert (listed, "TLSA records of its keys, and nobody removes them" in said) == ([False, False, True, True], True)


def test_a_kind_that_comes_later_waits_for_its_record(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    mail.configure(certificate=", key: [ecdsa-p256, rsa-2048]")
    second = mail.host.state / "certificates/mail+rsa-2048"
    first_try = mail.host.good("-v", "follower", "run")
    assert len(mail.published) == 3
    if not (second / "current").exists():
        assert "the key of `mail (rsa-2048)` must not be used yet: every client accepts it from" in first_try.out
    mail.host.good("follower", "run", "--wait", "1m")
    assert (second / "current").exists()
    assert len(mail.published) == 4


def test_a_first_certificate_that_only_waits_until_clients_accept_its_key_is_as_it_should_be(mail: Mail) -> None:
    mail.change(add=OF_A_CA, ttl=600)
    mail.configure(update=False)
    told = "the key of `mail` must not be used yet: "
    lacks = mail.host.acmectl("follower", "run")
    assert (lacks.status, f"{told}not every name server has its TLSA record" in lacks.err) == (1, True)
    mail.configure()
    ran = mail.host.good("follower", "run")
    assert (ran.out, ran.err) == ("", "")
    assert f"{told}every client accepts it from " in mail.host.good("-v", "follower", "run").out
    assert "  waiting until every client accepts its key: " in mail.host.good("status").out


def test_a_first_certificate_waits_also_where_one_of_its_services_has_no_records_at_all(mail: Mail) -> None:
    mail.change(add=OF_A_CA, ttl=600)
    mail.configure()
    mail.host.configure(
        mail.host.config.read_text().replace("[mail.acme.test:25]", "[mail.acme.test:25, mail.acme.test:465]")
    )
    ran = mail.host.good("follower", "run")
    assert (ran.out, ran.err) == ("", "")
    assert "must not be used yet: every client accepts it from " in mail.host.good("-v", "follower", "run").out
    assert "  waiting until every client accepts its key: " in mail.host.good("status").out
    mail.lose_servers()
    assert mail.host.acmectl("follower", "run").status == 1


def test_a_key_goes_into_use_only_if_its_record_is_there_when_it_does(mail: Mail) -> None:
    mail.configure(certificate=", reuse_key: no")
    mail.host.good("follower", "run")
    first = mail.records()
    mail.await_accepted()
    mail.change(remove=first["next"])
    mail.host.good("cert", "renew", "mail", "--force")
    assert mail.records()["in use"] == first["in use"]


def test_a_certificate_whose_tlsa_was_taken_out_keeps_its_key_until_that_is_forgotten(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    first = mail.records()["in use"]
    mail.host.configure(follower_of(mail.ca, "  mail: {names: [mail.acme.test]}\n"))
    told = "the zone may still have TLSA records of its keys: its key is kept"
    assert told in mail.host.good("check").err
    assert told in mail.host.good("follower", "run").err
    mail.host.good("cert", "renew", "mail", "--force")
    mail.configure()
    assert (mail.generation, mail.records()["in use"]) == (2, first)
    mail.host.configure(follower_of(mail.ca, "  mail: {names: [mail.acme.test]}\n"))
    (mail.host.state / "certificates/mail/published-keys.json").unlink()
    assert told not in mail.host.good("check").err
    mail.host.good("cert", "renew", "mail", "--force")
    mail.configure()
    assert mail.records()["in use"] != first


def test_a_certificate_whose_tlsa_was_taken_out_keeps_its_key_where_nothing_is_known_any_more(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    first = mail.records()["in use"]
    mail.configure_without()
    known = mail.host.state / "certificates/mail/published-keys.json"
    known.write_text("{")
    told = "the zone may still have TLSA records of its keys: its key is kept (`"
    assert told in mail.host.good("check").err
    assert f"rm {known}" in mail.host.good("follower", "run").err
    assert "published-keys.json` is damaged" in mail.host.acmectl("status").out
    mail.host.good("cert", "renew", "mail", "--force")
    mail.configure()
    assert (mail.generation, mail.records()["in use"]) == (2, first)


def test_a_certificate_whose_tlsa_was_taken_out_while_a_server_lagged_keeps_its_key(mail: Mail) -> None:
    mail.configure()
    with running_bind(mail.host.directory / "lagging", zones=[Zone("acme.test")], keys=[Key("acmectl")]) as lagging:
        servers = f'servers: ["{mail.bind.endpoint}"'
        text = mail.host.config.read_text()
        mail.host.configure(text.replace(f"{servers}]", f'{servers}, "{lagging.endpoint}"]'))
        mail.host.good("follower", "run")
    first = mail.records()["in use"]
    mail.configure_without()
    assert "its key is kept" in mail.host.good("check").err
    mail.host.good("cert", "renew", "mail", "--force")
    mail.configure()
    assert (mail.generation, mail.records()["in use"]) == (2, first)


def test_a_compromised_key_is_replaced_by_the_published_one_also_where_tlsa_was_taken_out(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    following = mail.records()["next"]
    mail.configure_without()
    mail.host.good("cert", "revoke", "mail", "--reason", "keyCompromise", "--yes")
    mail.host.good("follower", "run")
    mail.configure()
    assert (mail.generation, mail.records()["in use"]) == (2, following)


def test_a_rollback_to_another_key_is_refused_where_tlsa_was_taken_out(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    mail.host.good("cert", "renew", "mail", "--new-key")
    mail.run_until(2)
    mail.host.good("cert", "renew", "mail", "--force")
    mail.configure_without()
    refused = mail.host.acmectl("cert", "rollback", "mail", "--to", "1")
    assert (refused.status, mail.generation) == (2, 3)
    assert (
        "the zone may speak of the key in use alone (TLSA), and is not looked at any more without `tlsa`" in refused.err
    )
    mail.host.good("cert", "rollback", "mail", "--to", "2")


def test_a_rollback_looks_at_the_zone_before_it_trusts_it(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    former = mail.records()["in use"]
    mail.host.good("cert", "renew", "mail", "--new-key")
    mail.run_until(2)
    mail.change(remove=former)
    refused = mail.host.acmectl("cert", "rollback", "mail")
    assert refused.status == 2
    assert "hint: generation 1 cannot be used: the DNS was not seen to speak of its key long enough" in refused.err
    assert mail.generation == 2


def test_a_rollback_to_a_key_of_before_waits_until_resolvers_have_forgotten_the_records_of_an_emptied_zone(
    mail: Mail,
) -> None:
    mail.configure(update=False)
    mail.host.good("follower", "run")
    mail.change(add=mail.records()["in use"])
    mail.change(add=mail.records()["next"])
    mail.host.good("cert", "renew", "mail", "--new-key")
    mail.run_until(2)
    for record in mail.published:
        mail.change(remove=record)
    refused = mail.host.acmectl("cert", "rollback", "mail", "--to", "1")
    assert (refused.status, mail.generation) == (2, 2)
    assert "the DNS was not seen to speak of its key long enough (TLSA)" in refused.err
    end = time.monotonic() + _SECONDS
    while mail.host.acmectl("cert", "rollback", "mail", "--to", "1").status != 0:
        assert time.monotonic() < end
    assert mail.generation == 1


def test_a_rollback_to_the_key_in_use_needs_no_name_server(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    mail.host.good("cert", "renew", "mail", "--force")
    assert mail.generation == 2
    mail.lose_servers()
    mail.host.good("cert", "rollback", "mail")
    assert mail.generation == 1


def test_a_rollback_that_is_refused_says_what_the_name_servers_said(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    mail.host.good("cert", "renew", "mail", "--new-key")
    mail.run_until(2)
    mail.lose_servers()
    refused = mail.host.acmectl("cert", "rollback", "mail", "--to", "1")
    assert (refused.status, mail.generation) == (2, 2)
    assert "the DNS was not seen to speak of its key long enough (TLSA)" in refused.err
    assert "error: certificate `mail`: " in refused.err
    assert "127.0.0.1:9" in refused.err


def test_a_rollback_without_memory_of_what_was_published_is_refused(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    mail.host.good("cert", "renew", "mail", "--new-key")
    mail.run_until(2)
    (mail.host.state / "certificates/mail/published-keys.json").unlink()
    assert mail.host.acmectl("cert", "rollback", "mail", "--to", "1").status == 2


def test_a_first_record_does_not_hide_what_a_wildcard_says(mail: Mail) -> None:
    mail.configure()
    mail.change(owner="*._tcp.mail.acme.test", add=OF_A_CA)
    ran = mail.host.acmectl("follower", "run")
    assert ran.status == 1
    assert mail.published == {OF_A_CA}


def test_a_person_who_publishes_is_told_that_a_first_record_would_hide_what_a_wildcard_says(mail: Mail) -> None:
    mail.configure(update=False)
    assert "wildcard" not in mail.host.acmectl("check").err + mail.host.acmectl("follower", "run").err
    mail.change(owner="*._tcp.mail.acme.test", add=OF_A_CA)
    (mail.host.state / "certificates/mail/published-keys.json").unlink()  # look again
    for command in (["check"], ["follower", "run"]):
        said = mail.host.acmectl(*command).err
        assert (
            f"a wildcard answers for `{OWNER}`, and a record of its own there would hide those of the wildcard" in said
        )


def test_a_service_that_goes_leaves_what_another_has_in_the_same_place(mail: Mail) -> None:
    mail.lead_to_one_place(25, 465)
    mail.configure()
    both = mail.host.config.read_text().replace("[mail.acme.test:25]", "[mail.acme.test:25, mail.acme.test:465]")
    mail.host.configure(both)
    mail.host.good("follower", "run")
    known = mail.host.state / "certificates/mail/published-keys.json"

    def ours(owner: str) -> list[bool]:
        return [one["is_ours"] for one in json.loads(known.read_text())["publications"] if one["owner"] == owner]

    assert ours("_465._tcp.mail.acme.test") == [True, True]
    records = set(mail.records().values())
    mail.configure()
    end = time.monotonic() + _SECONDS
    while any(ours("_465._tcp.mail.acme.test")):
        assert time.monotonic() < end
        mail.host.good("follower", "run")
        assert mail.published > records  # and the CNAME


def test_a_former_key_that_a_target_still_serves_is_published_again_if_somebody_removes_it(mail: Mail) -> None:
    _, former = mail.fail_to_deploy_another_key()
    mail.change(remove=former)
    checked = mail.host.acmectl("check")
    assert checked.status == 1
    assert "a target may still serve a former key of `mail`, whose TLSA record is missing" in checked.err
    assert mail.host.acmectl("follower", "run").status == 1
    assert former in mail.published


def test_a_former_key_that_a_target_still_serves_is_printed_and_published_though_what_was_known_of_it_is_lost(
    mail: Mail,
) -> None:
    accepts, former = mail.fail_to_deploy_another_key()
    known = mail.host.state / "certificates/mail/published-keys.json"
    known.write_text("{")
    printed = mail.host.good("cert", "tlsa", "mail")
    assert (former in printed.out, "published-keys.json` is damaged" in printed.err) == (True, True)
    known.unlink()
    assert mail.records()["former"] == former
    mail.change(remove=former)
    assert "whose TLSA record is missing" in mail.host.acmectl("check").err
    for _ in range(2):  # first held, as nothing is known of the next key any more, and then refused by the check
        mail.host.acmectl("follower", "run")
        assert former in mail.published
        assert mail.records()["former"] == former
    accepts.touch()
    mail.host.good("follower", "run")
    mail.run_until_published({mail.records()["in use"], mail.records()["next"]})


def test_a_service_that_moves_to_another_certificate_keeps_what_it_has_until_clients_accept_the_new_key(
    mail: Mail,
) -> None:
    mail.configure_chain({"mail": [25], "other": []})
    mail.host.good("follower", "run")
    records = mail.published
    served = mail.host.directory / "tls-mail" / "fullchain.pem"
    before = served.read_bytes()
    mail.configure_chain({"other": [25]}, other=("ttl: 1s", "ttl: 600s"))
    text = mail.host.config.read_text().replace("tls-other}", "tls-other}, {type: files, directory: tls-mail}")
    mail.host.configure(text)
    ran = mail.host.good("follower", "run")
    told = "warning: certificate `other`: `files[1]` must wait for its key, from which clients would turn away: every client accepts it from "
    assert told in ran.err
    deployed = mail.host.acmectl("cert", "deploy", "other")
    assert (deployed.status, told in deployed.err) == (1, True)
    shown = mail.host.good("status").out
    held = "not deployed to files[1]: it keeps what it has, as clients would turn away from the new key: every client accepts it from "
    assert held in shown
    assert "  TLSA, former key, which services or resolvers may still need: published\n" in shown
    assert held.removeprefix("not deployed to ") in mail.host.good("follower", "plan").out
    (standing,) = json.loads(mail.host.good("status", "--json").out)["certificates"]
    assert {name: wait["is_failure"] for name, wait in standing["targets_waiting"].items()} == {"files[1]": False}
    assert served.read_bytes() == before
    assert len(mail.published) == 4
    mail.lose_servers()
    unseen = mail.host.acmectl("follower", "run")
    assert (unseen.status, served.read_bytes()) == (1, before), "nobody knows whether clients accept another key by now"
    mail.host.configure(text.replace("ttl: 600s", "ttl: 1s"))
    known = mail.host.state / "certificates/other/published-keys.json"
    known.write_text(known.read_text().replace("600.0", "1.0"))  # as if ten minutes had passed
    end = time.monotonic() + _SECONDS
    while served.read_bytes() == before:
        assert time.monotonic() < end
        mail.host.good("follower", "run")
    assert records < mail.published
    assert served.read_bytes() == (mail.host.state / "certificates/other/current/fullchain.pem").read_bytes()


def test_the_record_of_a_key_that_a_service_still_presents_stays_when_the_service_moves(mail: Mail) -> None:
    mail.configure_chain({"mail": [25, 465], "other": []})
    mail.host.good("follower", "run")
    served = mail.records()["in use"]
    mail.configure_chain({"mail": [465], "other": [25]}, other=("ttl: 1s", "ttl: 600s"))
    text = mail.host.config.read_text().replace("tls-other}", "tls-other}, {type: files, directory: tls-25}")
    mail.host.configure(text)
    shutil.copytree(mail.host.directory / "tls-mail", mail.host.directory / "tls-25")
    assert "`files[1]` must wait" in mail.host.good("follower", "run").err
    let_months_pass(mail)
    mail.host.good("follower", "run")
    assert served in mail.published


def test_only_what_clients_may_accept_is_kept_from_the_new_key(mail: Mail) -> None:
    """A service without a certificate that it can use, or with one that has expired, gets the new one in any case."""
    mail.configure_without()
    mail.host.good("follower", "run")
    now = datetime.now(UTC)
    good = certificate_until(now + timedelta(days=1))[0]
    mail.change(add=association(keys.read_chain(good).spki))
    mail.configure(update=False)
    places = {
        "good": good,
        "foreign": certificate_until(now + timedelta(days=1))[0],
        "expired": certificate_until(now - timedelta(days=1))[0],
        "broken": b"no certificate",
        "same": (mail.host.directory / "tls/fullchain.pem").read_bytes(),
        "empty": None,
    }
    targets = []
    for name, content in places.items():
        (mail.host.directory / name).mkdir()
        if content is not None:
            (mail.host.directory / name / "fullchain.pem").write_bytes(content)
        targets.append(f"{{type: files, directory: {name}, files: {{fullchain: fullchain.pem}}}}")
    targets.append('{type: command, run: [touch, "called"]}')
    mail.host.configure(mail.host.config.read_text().replace("{type: files, directory: tls}", ", ".join(targets)))
    (mail.host.state / "state.db").unlink()
    said = mail.host.acmectl("follower", "run").err
    assert "`files[0]` must wait for its key, from which clients would turn away: not every name" in said
    used = (mail.host.state / "certificates/mail/current/fullchain.pem").read_bytes()
    deployed = {name for name in places if (mail.host.directory / name / "fullchain.pem").read_bytes() == used}
    assert deployed == {"foreign", "expired", "broken", "same", "empty"}, "clients turn away from a foreign key as well"
    assert (mail.host.directory / "called").exists(), "nobody knows what it has"


def test_a_backup_that_was_restored_puts_no_key_in_place_that_the_zone_does_not_speak_of(mail: Mail) -> None:
    mail.configure(update=False)
    mail.host.good("follower", "run")
    backup = mail.host.directory / "backup"
    shutil.copytree(mail.host.state, backup, symlinks=True)
    first = mail.records()
    mail.change(add=first["in use"])
    mail.change(add=first["next"])
    mail.host.good("cert", "renew", "mail", "--new-key")
    mail.run_until(2)
    mail.change(remove=first["in use"])
    served = mail.host.directory / "tls" / "fullchain.pem"
    second = served.read_bytes()
    for command in ("follower run", "cert deploy mail", "cert deploy mail --target 0"):
        shutil.rmtree(mail.host.state)
        shutil.copytree(backup, mail.host.state, symlinks=True)
        ran = mail.host.acmectl(*command.split())
        assert (
            "`files[0]` must wait for its key, from which clients would turn away: not every name server has" in ran.err
        )
        assert "hint: a run after that deploys it; `acmectl cert tlsa mail` prints what the zone needs" in ran.err
        assert (ran.status, served.read_bytes()) == (1, second), "somebody has to publish it"
        status = mail.host.acmectl("status")
        held = "files[0]: it keeps what it has, as clients would turn away from the new key: not every name server has"
        assert (status.status, held in status.out) == (1, True)
    served.unlink()
    (served.parent / "cert.pem").unlink()
    (served.parent / "privkey.pem").unlink()
    mail.host.good("follower", "run")
    assert served.read_bytes() == (mail.host.state / "certificates/mail/current/fullchain.pem").read_bytes()


def test_a_service_whose_key_is_a_persons_keeps_what_it_has_as_well_after_a_backup_was_restored(mail: Mail) -> None:
    """The files of its target have a place for a key, where no certificate for a CSR puts any."""
    directory, csr = mail.host.directory, mail.host.directory / "mail.csr"
    make_csr(csr)
    mail.configure(update=False, certificate=f', csr_file: "{csr}"')
    mail.host.good("follower", "run")
    backup = directory / "backup"
    shutil.copytree(mail.host.state, backup, symlinks=True)
    first = mail.records()["in use"]
    make_csr(csr)
    mail.change(add=first)
    mail.change(add=association(keys.read_csr(csr.read_bytes(), what="the CSR").spki))
    mail.run_until(2)
    mail.change(remove=first)
    served = directory / "tls/fullchain.pem"
    second = served.read_bytes()
    assert not (directory / "tls/privkey.pem").exists()
    for command in ("follower run", "cert deploy mail"):
        shutil.rmtree(mail.host.state)
        shutil.copytree(backup, mail.host.state, symlinks=True)
        csr.write_bytes((mail.host.state / "certificates/mail/current/csr.pem").read_bytes())
        ran = mail.host.acmectl(*command.split())
        assert "`files[0]` must wait for its key, from which clients would turn away" in ran.err
        assert (ran.status, served.read_bytes()) == (1, second), "somebody has to publish it"


def make_csr(path: Path) -> None:
    """A CSR with a key that nobody has."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName("mail.acme.test")])
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    path.write_bytes(made.sign(key, SHA256()).public_bytes(Encoding.PEM))


def overwrite(directory: Path, end: datetime) -> None:
    """Have the files of a service be those of somebody, who vouches for himself; they are good until some moment."""
    chain, key = certificate_until(end)
    for name, content in {"fullchain.pem": chain, "cert.pem": chain, "privkey.pem": key}.items():
        (directory / name).write_bytes(content)


@pytest.mark.parametrize("command", ["follower run", "cert deploy mail"])
def test_a_certificate_that_somebody_made_up_is_replaced_though_nobody_sees_the_zone(mail: Mail, command: str) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    overwrite(mail.host.directory / "tls", datetime.now(UTC) + timedelta(days=3650))
    mail.lose_servers()
    ran = mail.host.acmectl(*command.split())
    assert (ran.status, "must wait" in ran.err) == (int(command == "follower run"), False)
    served = (mail.host.directory / "tls/fullchain.pem").read_bytes()
    assert served == (mail.host.state / "certificates/mail/current/fullchain.pem").read_bytes()


def test_a_deployment_that_failed_is_told_where_it_would_not_have_been_better_to_wait(mail: Mail) -> None:
    mail.configure(update=False)
    mail.host.good("follower", "run")
    overwrite(mail.host.directory / "tls", datetime.now(UTC) + timedelta(days=3650))
    mail.change(add="3 1 1 " + "cd" * 32)
    mail.host.configure(mail.host.config.read_text().replace("directory: tls}", 'directory: tls, check: ["false"]}'))
    assert "`false` failed with exit status 1" in mail.host.acmectl("follower", "run").err
    shown = mail.host.acmectl("status")
    assert "  not deployed to files[0]: `false` failed with exit status 1\n" in shown.out
    assert "it keeps what it has" not in shown.out
    assert shown.status == 1


def test_what_nobody_sees_keeps_no_key_from_which_the_clients_of_another_service_turn_away(mail: Mail) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    mail.await_accepted()
    chain, _ = certificate_until(datetime.now(UTC) + timedelta(days=90), issuer="a CA")
    served = mail.host.directory / "tls/fullchain.pem"
    shutil.rmtree(served.parent)
    served.parent.mkdir()
    served.write_bytes(chain)
    with_chain_alone = "directory: tls, files: {fullchain: fullchain.pem}}"
    mail.host.configure(mail.host.config.read_text().replace("directory: tls}", with_chain_alone))
    text = mail.host.config.read_text()
    mail.lose_servers()
    unseen = mail.host.acmectl("follower", "run")
    assert "must wait for its key, from which clients would turn away" in unseen.err
    assert served.read_bytes() == chain, "it may be another CA's"
    mail.host.configure(text.replace("[mail.acme.test:25]", "[mail.acme.test:25, mail.gone:25]"))
    ran = mail.host.acmectl("follower", "run")
    assert (ran.status, "there is no zone for `_25._tcp.mail.gone`" in ran.err) == (1, True)
    assert served.read_bytes() == (mail.host.state / "certificates/mail/current/fullchain.pem").read_bytes()


@pytest.mark.parametrize("is_good", [True, False])
def test_a_pair_in_two_targets_is_kept_or_replaced_as_a_whole(
    mail: Mail,
    is_good: bool,  # noqa: FBT001  # a row of the table
) -> None:
    mail.configure()
    mail.host.good("follower", "run")
    end = datetime.now(UTC) + timedelta(days=1 if is_good else -1)
    before = dict(zip(("fullchain", "privkey"), certificate_until(end, issuer="a CA"), strict=True))
    targets = []
    for name, content in before.items():
        (mail.host.directory / f"of-{name}").mkdir()
        (mail.host.directory / f"of-{name}/{name}.pem").write_bytes(content)
        targets.append(f"{{type: files, directory: of-{name}, files: {{{name}: {name}.pem}}}}")
    mail.host.configure(mail.host.config.read_text().replace("{type: files, directory: tls}", ", ".join(targets)))
    mail.lose_servers()
    ran = mail.host.acmectl("follower", "run")
    assert ("`files[0]`, `files[1]` must wait for its key" in ran.err) is is_good
    current = mail.host.state / "certificates/mail/current"
    for name, content in before.items():
        expected = content if is_good else (current / f"{name}.pem").read_bytes()
        assert (mail.host.directory / f"of-{name}/{name}.pem").read_bytes() == expected


def let_months_pass(mail: Mail) -> None:
    """Since the keys of `mail` at former services serve nobody any more."""
    known = mail.host.state / "certificates/mail/published-keys.json"
    content = json.loads(known.read_text())
    for one in content["publications"]:
        one["retired_at"] = one["retired_at"] and "2026-01-01T00:00:00+00:00"
    assert any(one["retired_at"] for one in content["publications"])
    known.write_text(json.dumps(content))


def test_the_record_of_a_key_stays_while_the_service_moves_to_a_certificate_that_is_not_issued_yet(mail: Mail) -> None:
    mail.configure_chain({"mail": [25, 465], "other": []})
    mail.host.good("follower", "run")
    served, following = mail.records()["in use"], mail.records()["next"]
    shutil.copytree(mail.host.directory / "tls-mail", mail.host.directory / "tls-25")
    shutil.rmtree(mail.host.state / "certificates/other")
    own, nobodys = "names: [mail.acme.test]", "names: [nobody.acme.test]"
    mail.configure_chain({"mail": [465], "other": [25]}, other=(own, nobodys))
    text = mail.host.config.read_text().replace("directory: tls-other}", "directory: tls-25}")
    mail.host.configure(text)
    mail.host.acmectl("follower", "run")
    let_months_pass(mail)
    mail.host.good("cert", "renew", "mail", "--force")
    assert {served, following} <= mail.published, "nobody looked whether the service has the key"
    mail.host.acmectl("follower", "run")
    assert (served in mail.published, following in mail.published) == (True, False)
    mail.host.configure(text.replace(nobodys, own))
    end = time.monotonic() + _SECONDS
    while served in mail.published:
        assert time.monotonic() < end
        mail.host.acmectl("follower", "run")
    current = mail.host.state / "certificates/other/current/fullchain.pem"
    assert (mail.host.directory / "tls-25/fullchain.pem").read_bytes() == current.read_bytes()


def test_the_record_of_a_key_that_was_held_while_nobody_saw_the_zone_stays(mail: Mail) -> None:
    mail.configure_chain({"mail": [25, 465], "other": []})
    mail.host.good("follower", "run")
    served, records = mail.records()["in use"], mail.published
    shutil.copytree(mail.host.directory / "tls-mail", mail.host.directory / "tls-25")
    presented = mail.host.directory / "tls-25/fullchain.pem"
    before = presented.read_bytes()
    mail.configure_chain({"mail": [465], "other": [25]}, other=("ttl: 1s", "ttl: 600s"))
    text = mail.host.config.read_text().replace("tls-other}", "tls-other}, {type: files, directory: tls-25}")
    mail.host.configure(text)
    mail.lose_servers()
    assert "`files[1]` must wait" in mail.host.acmectl("follower", "run").err
    let_months_pass(mail)
    mail.host.configure(text)
    assert "`files[1]` must wait" in mail.host.good("follower", "run").err
    assert presented.read_bytes() == before
    assert served in mail.published
    assert len(mail.published - records) == 2, "and those of the key to come"
