"""PostgreSQL with what a follower deploys to it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.services import ECDSA, Desk, contents, desk, rights
from tests.servers.places import broken, open_place
from tests.servers.postgresql import Postgresql, program, serving_postgresql

STARTTLS = ("-starttls", "postgres")


@pytest.fixture(scope="module")
def office() -> Iterator[tuple[Desk, Postgresql]]:
    """A follower and a PostgreSQL that serves its first certificate."""
    with open_place("postgresql") as place:
        follower = desk(place, kinds=[ECDSA])
        first = follower.place_first({"type": "postgresql", "directory": str(place / "tls")})
        with serving_postgresql(place, place / "tls" / "site.pem") as postgresql:
            follower.deploy(target(postgresql))
            follower.run()
            assert follower.seen(postgresql.port, *STARTTLS) == first
            yield follower, postgresql


def target(postgresql: Postgresql, **changes: Any) -> dict[str, Any]:
    """The preset, with the commands and the port of this cluster."""
    return {
        "type": "postgresql",
        "directory": str(postgresql.directory / "tls"),
        "reload": postgresql.pg_ctl("reload"),
        "verify": [{"protocol": "postgres", "port": postgresql.port}],
        **changes,
    }


@dataclass
class Psql:
    """A session of psql, fed line by line."""

    process: subprocess.Popen[str]

    def ask(self, question: str) -> str:
        """The first line of the answer."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{question};\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextlib.contextmanager
def session(follower: Desk, postgresql: Postgresql) -> Iterator[Psql]:
    """A session by TLS, whose certificate psql checks."""
    root = postgresql.directory / "root.pem"
    root.write_bytes(follower.authority.root_pem)
    place = f"host={follower.names[0]} hostaddr=127.0.0.1 port={postgresql.port} user=postgres dbname=postgres"
    argv = [program("psql"), "-XAtq", f"{place} sslmode=verify-full sslrootcert={root}"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Psql(process)
        finally:
            process.kill()


def test_postgresql_serves_the_second_certificate_and_keeps_its_sessions(office: tuple[Desk, Postgresql]) -> None:
    follower, postgresql = office
    with session(follower, postgresql) as psql:
        backend = psql.ask("SELECT pg_backend_pid() FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl")
        second = follower.issue()
        follower.run()
        assert follower.serves(postgresql.port, second, *STARTTLS)
        assert psql.ask("SELECT pg_backend_pid()") == backend != ""
    assert postgresql.daemon.process.poll() is None, "reloaded, not restarted"
    assert rights(postgresql.directory / "tls") == {"site.pem": "root:postgres 0640"}


def test_a_broken_configuration_leaves_files_and_service_as_they_were(office: tuple[Desk, Postgresql]) -> None:
    follower, postgresql = office
    follower.deploy(target(postgresql, check=postgresql.check()))
    follower.run()
    before, seen = contents(postgresql.directory / "tls"), follower.seen(postgresql.port, *STARTTLS)
    second = follower.issue()
    with broken(postgresql.config, "no value for this"):
        said = follower.run(expect=1).err
    assert "syntax error in file" in said
    assert contents(postgresql.directory / "tls") == before
    assert follower.seen(postgresql.port, *STARTTLS) == seen
    follower.run()
    assert follower.serves(postgresql.port, second, *STARTTLS)


def test_a_file_that_postgresql_may_not_read_is_found_out(office: tuple[Desk, Postgresql]) -> None:
    """Its reload says that all is well, and the log that SSL was not reloaded."""
    follower, postgresql = office
    seen = follower.seen(postgresql.port, *STARTTLS)
    follower.deploy(target(postgresql, group="root", patience="1s"))
    second = follower.issue()
    said = follower.run(expect=1).err
    assert "SSL configuration was not reloaded" in postgresql.daemon.said()
    assert f"{seen[ECDSA]:x}" in said, "what is still served is named"
    assert follower.seen(postgresql.port, *STARTTLS) == seen
    follower.deploy(target(postgresql))
    follower.run()
    assert follower.serves(postgresql.port, second, *STARTTLS)
