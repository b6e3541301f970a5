"""What validating clients see of a change of keys in a naive order: the world in which `tlsa:` is tested can fail, and does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.hosts import await_true
from tests.integration.mail_office import LABEL, mail_office
from tests.servers.dane import looking_clients

LOOKS = 3
LONG = 120  # seconds that resolvers may remember records: until long after the change


@pytest.mark.parametrize("keeps_old", [False, True])
def test_a_key_that_is_used_as_soon_as_it_is_published_locks_validating_clients_out(
    tmp_path: Path, *, keeps_old: bool
) -> None:
    with mail_office(tmp_path, ttl=LONG, prepare_key=True) as office:
        office.host.run("follower", "run")
        old, new = office.record(), office.record("next-key.pem")
        office.publish(old)
        await_true(lambda: office.is_published(old), what="the old record at the second name server")
        with looking_clients() as clients:
            clients.await_looks(LOOKS)
            assert not clients.failures()
            records = [old, new] if keeps_old else [new]
            office.publish(*records)
            await_true(lambda: office.is_published(*records), what="the new record at the second name server")
            office.host.run("cert", "renew", "--force", LABEL)
            assert office.record() == new
            clients.await_looks(LOOKS, verified=False)
            assert office.is_remembered(old)
