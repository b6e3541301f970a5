"""Three changes of a key that is published as TLSA records, under the eyes of validating clients: none of them ever fails.

The host does what cron would: `acmectl follower run`, again and again. In the second change nearly every run is killed, at one effect after the
other; in the third, one of the two name servers is left behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.integration.hosts import await_true
from tests.integration.mail_office import LABEL, PORTS, Office, Runs, mail_office, until
from tests.servers.dane import SMTP, ZONE, Clients, looking_clients

LOOKS = 5
TTL = 3  # seconds

Cron = Callable[[], str]


def test_validating_clients_get_through_three_changes_of_the_key(tmp_path: Path) -> None:
    with mail_office(tmp_path, ttl=TTL, publisher="host") as office:
        runs = Runs(office.host.directory)
        until(office.is_settled, runs.follower)
        await_true(office.is_known, what="the first records at the resolver, which may remember that there were none")
        with looking_clients() as clients:
            look(clients, "at first")
            change(office, clients, "first", runs.follower)
            change(office, clients, "killed", runs.killed_follower)
            assert runs.kills >= LOOKS
            change_with_a_server_behind(office, clients, runs.follower)
            assert clients.failures() == []
            assert len(clients.counts()) == 8
            assert all(n >= LOOKS for counts in clients.counts().values() for n in counts.values()), clients.counts()


def change(office: Office, clients: Clients, which: str, run: Cron) -> None:
    """A new key is asked for, used when clients know it, and the old one forgotten when no client needs it."""
    new = office.record("next-key.pem")
    office.host.run("cert", "renew", "--new-key", LABEL)
    until(lambda: office.record() == new, run)
    look(clients, f"{which}: new key in use")
    until(office.is_settled, run)
    look(clients, f"{which}: old record removed")


def change_with_a_server_behind(office: Office, clients: Clients, run: Cron) -> None:
    """Somebody removes the record of the next key, and then it is published at one server only: it is not used for so long."""
    world, old, new = office.world, office.record(), office.record("next-key.pem")
    office.publish(old)
    await_true(lambda: office.is_published(old), what="the change at the second name server")
    world.knot.freeze(ZONE)
    office.host.run("cert", "renew", "--new-key", LABEL)
    until(lambda: new in world.published(SMTP), run)
    long_enough = time.monotonic() + 2 * TTL
    until(lambda: time.monotonic() > long_enough, run)
    assert office.record() == old
    look(clients, "one server behind")
    world.knot.thaw(ZONE)
    await_true(lambda: all(new in world.published(port, at=world.knot) for port in PORTS), what="the slow server")
    caught_up = time.monotonic()
    until(lambda: office.record() == new, run)
    assert time.monotonic() - caught_up > TTL, "resolvers may still have had what the slow server said"
    look(clients, "behind: new key in use")
    until(office.is_settled, run)
    look(clients, "behind: old record removed")


def look(clients: Clients, phase: str) -> None:
    """Let clients look some times at things as they are now."""
    clients.phase = phase
    clients.await_looks(LOOKS + 1)  # the first of them may have begun before
