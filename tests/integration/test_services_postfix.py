"""Certificates for Postfix: one file for each kind of key, read again while sessions are open."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.integration.mail_services import Look, Service, begun
from tests.servers.places import broken
from tests.servers.postfix import Postfix, running_postfix


@pytest.fixture(scope="module")
def service() -> Iterator[Service[Postfix]]:
    with begun("postfix") as first, running_postfix(first.place, [first.rsa_file, first.file]) as postfix:
        looks = [Look(postfix.smtp, "smtp"), Look(postfix.submission, "submission"), Look(postfix.submissions)]
        yield first.service(postfix, *looks, check=postfix.check, reload=postfix.reload)


@pytest.fixture(autouse=True)
def _configured(service: Service[Postfix]) -> None:
    service.deploy()


def test_postfix_serves_each_new_certificate_of_both_kinds_and_goes_on_with_open_sessions(
    service: Service[Postfix],
) -> None:
    service.deploy(verify=service.everywhere)
    pid = service.program.pid
    assert service.serves(service.renewed(), "-tls1_2")
    with service.smtp_session():
        assert service.serves(service.renewed(), "-tls1_3")
    assert service.program.pid == pid
    assert service.is_verified()
    assert service.standing()[1] == {"site.pem": "root:root 0600", "site-rsa.pem": "root:root 0600"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no such parameter", "missing '=' after attribute name"),
        ("mail_owner = nosuchuser", "parameter mail_owner: unknown user name value: nosuchuser; the next run"),
    ],
    ids=["what every command of Postfix sees", "what `postfix check` alone sees"],
)
def test_a_broken_configuration_of_postfix_leaves_files_and_service_as_they_were(
    service: Service[Postfix], line: str, words: str
) -> None:
    assert words in service.refused(service.program.configuration / "main.cf", line)


def test_the_check_of_postfix_reads_both_of_its_files(service: Service[Postfix]) -> None:
    with broken(service.program.configuration / "master.cf", "smtp inet n"):
        done = subprocess.run(service.program.check, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "bad field count" in done.stdout


def test_a_file_with_the_key_after_the_chain_is_seen_to_end_starttls(service: Service[Postfix]) -> None:
    service.deploy(files={"fullchain+privkey": "site.pem"}, patience="1s")
    said = service.desk.run(expect=1).err
    assert "454 4.7.0 TLS not available due to local problem" in said
    service.deploy()
    assert service.serves(service.renewed())
