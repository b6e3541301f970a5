"""Certificates for Dovecot 2.3: a file for each kind of key, read again while clients are logged in."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator

import pytest

from tests.integration.mail_services import Look, Service, begun
from tests.servers.dovecot import Dovecot, running_dovecot


@pytest.fixture(scope="module")
def service() -> Iterator[Service[Dovecot]]:
    with begun("dovecot") as first, running_dovecot(first.place, ecdsa=first.file, rsa=first.rsa_file) as dovecot:
        starttls = {"imap": dovecot.imap, "pop3": dovecot.pop3, "sieve": dovecot.sieve}
        looks = [*(Look(port, protocol) for protocol, port in starttls.items()), Look(dovecot.imaps)]
        yield first.service(dovecot, *looks, check=dovecot.check, reload=dovecot.reload)


@pytest.fixture(autouse=True)
def _configured(service: Service[Dovecot]) -> None:
    service.deploy()


def test_dovecot_serves_each_new_certificate_of_both_kinds_to_new_clients_and_keeps_the_old_ones(
    service: Service[Dovecot],
) -> None:
    service.deploy(verify=service.everywhere)
    assert service.serves(service.renewed(), "-tls1_2")
    with imaplib.IMAP4("127.0.0.1", service.program.imap, timeout=20) as session:
        session.starttls(service.client())
        session.login("somebody", "test")
        assert service.serves(service.renewed(), "-tls1_3")
        assert session.noop()[0] == "OK"
    assert service.program.daemon.process.poll() is None
    assert service.is_verified()
    assert service.standing()[1] == {"site.pem": "root:root 0400", "site-rsa.pem": "root:root 0400"}


def test_a_broken_configuration_of_dovecot_leaves_files_and_service_as_they_were(service: Service[Dovecot]) -> None:
    said = service.refused(service.program.configuration, "no_such_setting = yes")
    assert "Unknown setting: no_such_setting" in said


def test_a_dovecot_that_was_not_reloaded_is_found_out(service: Service[Dovecot]) -> None:
    before = service.seen()
    service.desk.issue()
    service.deploy(reload=[], patience="1s")
    said = service.desk.run(expect=1).err
    for serial in set().union(*before.values()):
        assert f"{serial:x}" in said, "what is still served is named"
