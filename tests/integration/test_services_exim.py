"""Certificates for Exim: a file for each kind of key, read again while sessions are open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.mail_services import Look, Service, begun
from tests.integration.services import LABEL
from tests.servers.exim import Exim, running_exim
from tests.servers.places import broken


@pytest.fixture(scope="module")
def service() -> Iterator[Service[Exim]]:
    with begun("exim") as first, running_exim(first.place, [first.file, first.rsa_file]) as exim:
        looks = [Look(exim.smtp, "smtp"), Look(exim.submissions)]
        yield first.service(exim, *looks, check=exim.check, reload=exim.reload)


@pytest.fixture(autouse=True)
def _configured(service: Service[Exim]) -> None:
    service.deploy()


def test_exim_serves_each_new_certificate_of_both_kinds_and_goes_on_with_open_sessions(service: Service[Exim]) -> None:
    service.deploy(verify=service.everywhere)
    assert service.serves(service.renewed(), "-tls1_2")
    with service.smtp_session():
        assert service.serves(service.renewed(), "-tls1_3")
    assert service.program.daemon.process.poll() is None
    assert service.is_verified()
    assert service.standing()[1] == {"site.pem": "root:Debian-exim 0640", "site-rsa.pem": "root:Debian-exim 0640"}


def test_a_broken_configuration_of_exim_leaves_files_and_service_as_they_were(service: Service[Exim]) -> None:
    said = service.refused(service.program.configuration, "no_such_option = yes")
    assert 'main option "no_such_option" unknown' in said


def test_exim_sees_new_files_by_itself_and_acmectl_waits_for_it(service: Service[Exim]) -> None:
    service.deploy(reload=[])
    assert service.serves(service.renewed())


def test_files_that_the_user_of_exim_cannot_read_are_seen_to_end_starttls(service: Service[Exim]) -> None:
    service.deploy(group="root", patience="1s")
    assert "STARTTLS" in service.desk.run(expect=1).err
    service.deploy()
    assert service.serves(service.renewed())


def test_an_exim_that_wants_a_certificate_of_its_clients_is_seen_all_the_same(service: Service[Exim]) -> None:
    roots = service.program.place / "roots.pem"
    roots.write_bytes(service.desk.authority.root_pem)
    roots.chmod(0o644)
    only = "NORMAL:-VERS-ALL:+VERS-TLS1.2"
    wanting = f"tls_verify_hosts = *\ntls_verify_certificates = {roots}\ntls_require_ciphers = {only}"
    with broken(service.program.configuration, wanting):
        service.renewed()
        verified = service.desk.run("cert", "verify", LABEL)
        assert "(decode error): it may want one of its clients" in verified.out + verified.err
    assert service.serves(service.renewed(), "-tls1_3")
