"""Certificates for OpenSMTPD, which is restarted.

Debian 12 has 6.8.0p2, built with OpenSSL 3, with which it cannot end a handshake (OpenSMTPD issues 1171 and 1239): it shows its
certificate, and fails to sign. So this is what is tested: the certificate that it shows, and that our verification is not content with that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.integration.mail_services import Look, Service, begun
from tests.integration.services import ECDSA, RSA
from tests.servers.opensmtpd import OpenSmtpd, running_opensmtpd


@pytest.fixture(scope="module")
def service() -> Iterator[Service[OpenSmtpd]]:
    with begun("opensmtpd", kinds=[ECDSA]) as first, running_opensmtpd(first.place, first.file) as smtpd:
        yield first.service(smtpd, Look(smtpd.smtp, "smtp"), check=smtpd.check, reload=smtpd.restart)


@pytest.fixture(autouse=True)
def _configured(service: Service[OpenSmtpd]) -> None:
    service.deploy(verify=[])


def test_opensmtpd_shows_each_new_certificate_of_either_kind_after_a_restart(service: Service[OpenSmtpd]) -> None:
    for kind in (RSA, ECDSA):
        one = replace(service, desk=replace(service.desk, kinds=(kind,)))
        one.deploy(verify=[])
        pid = service.program.service.pid
        assert one.serves(one.renewed())
        assert service.program.service.pid != pid
    assert service.standing()[1] == {"site.pem": "root:root 0600"}


def test_an_opensmtpd_that_cannot_end_a_handshake_is_found_out(service: Service[OpenSmtpd]) -> None:
    service.deploy(patience="1s")
    said = service.desk.run(expect=1).err
    assert f"port {service.program.smtp} on 127.0.0.1 (smtp) refused the TLS handshake" in said


def test_a_broken_configuration_of_opensmtpd_leaves_files_and_service_as_they_were(
    service: Service[OpenSmtpd],
) -> None:
    pid = service.program.service.pid
    assert "syntax error" in service.refused(service.program.configuration, "no such directive")
    assert service.program.service.pid != pid


def test_a_key_that_opensmtpd_finds_too_open_is_put_back_as_it_was(service: Service[OpenSmtpd]) -> None:
    standing = service.standing()
    service.deploy(verify=[], key_mode="0660")
    assert "insecure permissions: must be at most" in service.desk.run(expect=1).err
    assert service.standing() == standing
