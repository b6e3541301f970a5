"""Certificates for OpenLDAP's slapd, which has one at a time: by a restart, or by a change of `cn=config` to what it is."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.integration.mail_services import NAME, Look, Service, begun
from tests.integration.services import ECDSA, RSA
from tests.servers.slapd import Slapd, running_slapd

_BIND = bytes.fromhex("300c020101600702010304008000")  # RFC 4511 section 4.2: anonymous, simple, version 3
_BOUND = bytes.fromhex("300c02010161070a010004000400")


@pytest.fixture(scope="module")
def service() -> Iterator[Service[Slapd]]:
    with begun("slapd", kinds=[ECDSA]) as first, running_slapd(first.place, first.file) as slapd:
        looks = [Look(slapd.ldap, "ldap"), Look(slapd.ldaps)]
        yield first.service(slapd, *looks, check=slapd.check, reload=slapd.read_again)


@pytest.fixture(autouse=True)
def _configured(service: Service[Slapd]) -> None:
    service.deploy()


def test_slapd_serves_each_new_certificate_of_either_kind_and_goes_on_with_open_connections(
    service: Service[Slapd],
) -> None:
    pid = service.program.service.pid
    with connection(service) as session:
        for kind in (RSA, ECDSA):
            one = replace(service, desk=replace(service.desk, kinds=(kind,)))
            one.deploy(verify=service.everywhere)
            assert one.serves(one.renewed())
            assert one.is_verified()
        session.sendall(_BIND)
        assert session.recv(100) == _BOUND
    assert service.program.service.pid == pid
    assert service.standing()[1] == {"site.pem": "root:openldap 0640"}


@contextmanager
def connection(service: Service[Slapd]) -> Iterator[ssl.SSLSocket]:
    """A client that has made its handshake and said nothing yet."""
    with (
        socket.create_connection(("127.0.0.1", service.program.ldaps), timeout=20) as plain,
        service.client().wrap_socket(plain, server_hostname=NAME) as session,
    ):
        yield session


def test_slapd_serves_each_new_certificate_after_a_restart(service: Service[Slapd]) -> None:
    service.deploy(reload=service.program.restart)
    pid = service.program.service.pid
    assert service.serves(service.renewed())
    assert service.program.service.pid != pid


def test_a_broken_configuration_of_slapd_leaves_files_and_service_as_they_were(service: Service[Slapd]) -> None:
    said = service.refused(service.program.configuration, "olcLogLevel: nonsense")
    assert "nonsense" in said
