from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl.storage import memory as room
from acmectl.storage import schema
from acmectl.storage.memory import Memory
from acmectl.storage.rows import Table, encode


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as connection:
        yield connection


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


ONE = ("CREATE TABLE a (x TEXT)", "INSERT INTO a VALUES ('kept')")
TWO = ("ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 7",)


def test_a_file_of_version_0_gets_every_step(connection: sqlite3.Connection) -> None:
    schema.upgrade(connection, [ONE, TWO])
    assert version(connection) == 2
    assert connection.execute("SELECT x, y FROM a").fetchall() == [("kept", 7)]


def test_an_older_file_gets_the_missing_steps_and_keeps_what_it_has(connection: sqlite3.Connection) -> None:
    schema.upgrade(connection, [ONE])
    connection.execute("INSERT INTO a VALUES ('ours')")
    schema.upgrade(connection, [ONE, TWO])
    schema.upgrade(connection, [ONE, TWO])
    assert connection.execute("SELECT x, y FROM a").fetchall() == [("kept", 7), ("ours", 7)]


def test_a_step_that_fails_leaves_the_file_as_it_was(connection: sqlite3.Connection) -> None:
    schema.upgrade(connection, [ONE])
    with pytest.raises(sqlite3.OperationalError):
        schema.upgrade(connection, [ONE, TWO, ("CREATE TABLE a (again TEXT)",)])
    assert version(connection) == 1
    assert connection.execute("SELECT * FROM a").fetchall() == [("kept",)]
    schema.upgrade(connection, [ONE, TWO])
    assert version(connection) == 2


def test_a_newer_file_is_refused(connection: sqlite3.Connection) -> None:
    schema.upgrade(connection, [ONE, TWO])
    with pytest.raises(schema.UnknownSchema):
        schema.upgrade(connection, [ONE])


def test_what_was_learned_before_it_was_known_of_which_ca_is_dropped(connection: sqlite3.Connection) -> None:
    schema.upgrade(connection, schema.STEPS[:1])
    old = ["reuse/", "reuse/classic", "max-names/classic", "order-span/classic/75600.0", "new-authz-refused"]
    kept = ["account-url/default", "clock-offset", "new-orders/default", "published/dns"]
    connection.executemany("INSERT INTO facts VALUES (?, 'x')", [(key,) for key in old + kept])
    connection.execute("INSERT INTO failures VALUES ('account', 'default', 1, 0, 0, 0, 'no')")
    schema.upgrade(connection)
    assert [key for (key,) in connection.execute("SELECT key FROM facts ORDER BY key")] == kept
    assert connection.execute("SELECT asked_until FROM failures").fetchall() == [(None,)]


def test_a_release_that_an_older_version_remembered_is_of_no_known_name(connection: sqlite3.Connection) -> None:
    schema.upgrade(connection, schema.STEPS[:4])
    connection.execute("INSERT INTO releases (label, order_url, authorization_url, at) VALUES ('mail', 'o', 'a', 0)")
    schema.upgrade(connection)
    assert connection.execute("SELECT label, account, identifier FROM releases").fetchall() == [("mail", "", None)]


def test_failures_that_an_older_version_remembered_keep_their_pauses(connection: sqlite3.Connection) -> None:
    schema.upgrade(connection, schema.STEPS[:6])
    connection.execute("INSERT INTO failures VALUES ('name', 'k', 3, 0, 0, 0, 'no', NULL)")
    schema.upgrade(connection)
    assert connection.execute("SELECT count, steps FROM failures").fetchall() == [(3, 3)]


def test_what_an_older_version_had_deployed_is_installed(connection: sqlite3.Connection) -> None:
    schema.upgrade(connection, schema.STEPS[:7])
    rows = [("mail", "done", "d", "f", "1@2", 5, 0, None, None), ("mail", "failed", "d", "f", "1@2", None, 1, 9, "no")]
    connection.executemany("INSERT INTO deployments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    schema.upgrade(connection)
    found = connection.execute("SELECT installed_fingerprint, installed_at, places FROM deployments ORDER BY target")
    assert found.fetchall() == [("f", 5, "[]"), (None, None, "[]")]


AT = datetime(2026, 11, 22, 12, 0, 0, 42, tzinfo=UTC)
EVEN = datetime(2026, 11, 22, 12, 0, 0, 0, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)


def commands_after_the_upgrade(
    connection: sqlite3.Connection, *rows: tuple[str, str, str, str, str, datetime | None, str | None]
) -> list[tuple[str, str, set[str]]]:
    """What becomes of commands that were known by their places: label, name, and what they were run for.

    A row is a label, a target, its digest, a fingerprint, copies, when it was deployed, and an error.
    """
    schema.upgrade(connection, schema.STEPS[:9])
    connection.executemany(
        "INSERT INTO deployments (label, target, digest, fingerprint, copies, deployed_at, error, attempts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
        [tuple(map(encode, row)) for row in rows],
    )
    schema.upgrade(connection)
    query = "SELECT label, target, copies FROM deployments WHERE target LIKE 'onchange%' ORDER BY label, target"
    return [(label, target, set(copies.splitlines())) for label, target, copies in connection.execute(query)]


def done(label: str, target: str, at: datetime) -> str:
    return f"{label} {target} {at.isoformat(timespec='microseconds')}"


def test_commands_that_an_older_version_had_run_are_owed_no_run_and_those_that_failed_are(
    connection: sqlite3.Connection,
) -> None:
    assert commands_after_the_upgrade(
        connection,
        ("mail", "files[0]", "d", "f1", "-", AT, None),
        ("mail", "files[1]", "d", "f1", "-", None, "no"),
        ("mail", "files[2]", "d", "f1", "-", EVEN, None),
        ("mail", "onchange[0]", "worked", "f1", AT.isoformat(), AT, None),
        ("mail", "onchange[1]", "failed", "f1", "", None, "no"),
        ("web", "onchange[0]", "worked", "f2", "", AT, None),
        ("db", "files[0]", "d", "f3", "-", EVEN, None),
        (
            "",
            "onchange[0]",
            "worked",
            "h",
            f'{{"mail": "f1 {AT.isoformat()}", "db": "f3 {EVEN.isoformat()}"}}',
            AT,
            None,
        ),
        ("", "onchange[1]", "failed", "h", '{"mail": "f1 "}', None, "no"),
    ) == [
        ("", "onchange failed", set()),
        (
            "",
            "onchange worked",
            {
                "mail f1",
                done("mail", "files[0]", AT),
                done("mail", "files[2]", EVEN),
                "db f3",
                done("db", "files[0]", EVEN),
            },
        ),
        ("mail", "onchange failed", set()),
        ("mail", "onchange worked", {"mail f1", done("mail", "files[0]", AT), done("mail", "files[2]", EVEN)}),
        ("web", "onchange worked", {"web f2"}),
    ]


def test_commands_are_owed_what_a_run_of_an_older_version_did_that_was_killed_before_them(
    connection: sqlite3.Connection,
) -> None:
    assert commands_after_the_upgrade(
        connection,
        ("mail", "files[0]", "d", "f2", "-", AT, None),
        ("mail", "files[1]", "d", "f2", "-", LATER, None),
        ("mail", "onchange[0]", "own", "f1", AT.isoformat(), AT, None),
        ("", "onchange[0]", "once", "h", f'{{"mail": "f1 {AT.isoformat()}", "gone": "f9 "}}', AT, None),
        ("", "onchange[1]", "new", "", "{}", None, None),
    ) == [
        ("", "onchange new", set()),
        ("", "onchange once", {"mail f1", done("mail", "files[0]", AT), "gone f9"}),
        ("mail", "onchange own", {"mail f1", done("mail", "files[0]", AT)}),
    ]


def test_of_a_command_that_was_remembered_at_two_places_the_first_counts(connection: sqlite3.Connection) -> None:
    """The last places stayed behind when a list became shorter."""
    assert commands_after_the_upgrade(
        connection,
        ("", "onchange[2]", "same", "h", '{"mail": "f2 "}', AT, None),
        ("", "onchange[10]", "same", "h", '{"mail": "f1 "}', AT, None),
        ("mail", "onchange[3]", "same", "f2", "", AT, None),
    ) == [("", "onchange same", {"mail f2"}), ("mail", "onchange same", {"mail f2"})]


def test_what_an_older_version_parsed_is_parsed_again(connection: sqlite3.Connection) -> None:
    """It did not look at the chain."""
    schema.upgrade(connection, schema.STEPS[:10])
    connection.execute(
        "INSERT INTO certificates (label, generation, names, serial, fingerprint, issuer, not_before, not_after)"
        " VALUES ('mail', 1, '[]', '', '', '', 0, 0)"
    )
    schema.upgrade(connection)
    assert connection.execute("SELECT count(*) FROM certificates").fetchone() == (0,)


def test_an_empty_file_left_by_a_killed_run_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch(mode=0o600)
    memory = Memory(tmp_path / "state.db")
    assert memory.events() == ()
    memory.set_fact("a", "b")
    assert memory.fact("a") == "b"
    memory.close()


@pytest.mark.parametrize(
    "table", [value for value in vars(room).values() if isinstance(value, Table)], ids=lambda t: t.name
)
def test_every_field_of_a_value_has_a_column(connection: sqlite3.Connection, table: Table[room.SeenOrder]) -> None:
    """A field added to a value needs a step in the schema; this is where its lack shows."""
    schema.upgrade(connection)
    columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")}
    assert set(table.columns) == columns - {"id", "stamp"}
