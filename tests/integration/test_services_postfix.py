"""Certificates for Postfix: one file for each kind of key, read again while sessions are open."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.mail_services import NAME, Look, Service
from tests.integration.services import desk
from tests.servers.places import open_place
from tests.servers.postfix import Postfix, running_postfix


@pytest.fixture(scope="module")
def service() -> Iterator[Service[Postfix]]:
    with open_place("postfix") as place:
        follower, tls = desk(place, NAME), place / "tls"
        target: dict[str, Any] = {"type": "postfix", "directory": str(tls)}
        follower.place_first(target)
        with running_postfix(place, [tls / "site-rsa.pem", tls / "site.pem"]) as postfix:
            target |= {"check": postfix.check, "reload": postfix.reload}
            looks = [Look(postfix.smtp, "smtp"), Look(postfix.submission, "submission"), Look(postfix.submissions)]
            yield Service(follower, postfix, target, looks)


@pytest.fixture(autouse=True)
def _configured(service: Service[Postfix]) -> None:
    service.deploy()


def test_postfix_serves_each_new_certificate_of_both_kinds_without_a_restart(service: Service[Postfix]) -> None:
    pid = service.program.pid
    service.deploy(verify=service.everywhere)
    for version in ("-tls1_2", "-tls1_3"):
        assert service.serves(service.renewed(), version)
    assert service.program.pid == pid
    assert service.standing()[1] == {"site.pem": "root:root 0600", "site-rsa.pem": "root:root 0600"}


def test_sessions_that_are_open_survive_the_reload_of_postfix(service: Service[Postfix]) -> None:
    with smtplib.SMTP("127.0.0.1", service.program.smtp, timeout=20) as session:
        session.starttls(context=service.client())
        service.renewed()
        assert session.noop()[0] == 250


@pytest.mark.parametrize(
    ("file", "line", "words"),
    [
        ("main.cf", "no such parameter", "missing '=' after attribute name"),
        ("master.cf", "smtp inet n", "bad field count"),
    ],
)
def test_a_broken_configuration_of_postfix_leaves_files_and_service_as_they_were(
    service: Service[Postfix], file: str, line: str, words: str
) -> None:
    assert words in service.refused(service.program.configuration / file, line)


def test_a_postfix_that_was_not_reloaded_is_found_out(service: Service[Postfix]) -> None:
    before = service.renewed()
    service.desk.issue()
    service.deploy(reload=[], patience="1s")
    said = service.desk.run(expect=1).err
    # One kind may be served new: looks at both at once can make Postfix start another smtpd, and that reads the new files.
    assert any(f"{serial:x}" in said for serial in before.values()), "what is still served is named"


def test_a_file_with_the_key_after_the_chain_is_seen_to_end_starttls(service: Service[Postfix]) -> None:
    service.deploy(files={"fullchain+privkey": "site.pem"}, patience="1s")
    said = service.desk.run(expect=1).err
    assert "454 4.7.0 TLS not available due to local problem" in said
    service.deploy()
    assert service.serves(service.renewed())
