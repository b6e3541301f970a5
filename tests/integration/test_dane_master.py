"""A follower without rights for its zone changes its published key: a master publishes what a person copied, and no client ever fails."""

from __future__ import annotations

from pathlib import Path

from tests.integration.hosts import await_true
from tests.integration.mail_office import LABEL, RECORDS, Office, Runs, mail_office, until
from tests.servers.dane import MAIL, looking_clients

LOOKS = 5
TTL = 3  # seconds
FOREIGN = f"2 1 1 {'ab' * 32}"


def test_a_master_publishes_what_was_copied_to_it_and_removes_what_is_no_longer_in_it(tmp_path: Path) -> None:
    with mail_office(tmp_path, ttl=TTL, publisher="master") as office:
        runs = Runs(office.host.directory)
        office.host.run("follower", "run")
        office.publish(FOREIGN)
        copy_records(office)
        until(lambda: office.is_published(FOREIGN, *keys(office)), runs.master)
        await_true(lambda: office.is_remembered(FOREIGN, *keys(office)), what="the first records at the resolver")
        with looking_clients() as clients:
            old, new = office.record(), office.record("next-key.pem")
            office.host.run("cert", "renew", "--new-key", LABEL)
            until(lambda: office.record() == new, runs.follower)
            clients.await_looks(LOOKS)
            copy_records(office)
            until(lambda: office.is_published(FOREIGN, *keys(office)), runs.master)
            assert old not in keys(office)
            clients.await_looks(LOOKS)
            assert clients.failures() == []
        office.host.run("master", "run")  # sees that what it removed is gone
        assert not {"dns", "requests", "acme", "cryptography"} & office.host.modules_after("master", "run")


def test_a_file_that_cannot_be_used_is_told_with_its_line_and_changes_nothing(tmp_path: Path) -> None:
    with mail_office(tmp_path, ttl=TTL, publisher="master") as office:
        office.host.run("follower", "run")
        records = office.host.directory / RECORDS
        records.write_text("; nothing\nmail.dane.test. 60 IN A 192.0.2.1\n")
        office.publish(FOREIGN)
        for command in (("master", "run"), ("check",), ("run",)):
            done = office.host.run(*command, expect=None)
            assert done.status
            assert f"{RECORDS}:2: no TLSA record" in done.err
        assert office.world.published(25) == {FOREIGN}
        copy_records(office)
        (office.host.state / "published-records.json").write_text("[")
        done = office.host.run("master", "run", expect=1)
        assert "is damaged" in done.err
        assert MAIL in done.out


def keys(office: Office) -> tuple[str, str]:
    return office.record(), office.record("next-key.pem")


def copy_records(office: Office) -> None:
    """What a person does after a change of keys, from the follower to the master."""
    (office.host.directory / RECORDS).write_text(office.host.run("cert", "tlsa", LABEL).out)
