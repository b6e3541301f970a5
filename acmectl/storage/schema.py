"""The tables of the state database, and how an older file becomes a current one.

`PRAGMA user_version` counts the steps that a file has behind it; 0 is a file without any. A step is never changed once
released: what must change becomes a new step. All missing steps happen in one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

Step = tuple[str, ...]

_APPLICATION_ID = 0x41434D45  # "ACME": tells our files from other people's

_FIRST: Step = (
    """CREATE TABLE authorizations (
        url TEXT PRIMARY KEY, account TEXT NOT NULL, profile TEXT, identifier TEXT NOT NULL, status TEXT NOT NULL,
        expires_at INTEGER, validated_at INTEGER, lifetime INTEGER, challenge_type TEXT, seen_at INTEGER NOT NULL)""",
    "CREATE INDEX authorizations_of_account ON authorizations (account, identifier)",
    """CREATE TABLE orders (
        id INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL UNIQUE, account TEXT NOT NULL, profile TEXT,
        names TEXT NOT NULL, role TEXT NOT NULL CHECK (role IN ('master', 'follower')), status TEXT NOT NULL,
        expires_at INTEGER, first_seen_at INTEGER NOT NULL, seen_at INTEGER NOT NULL)""",
    """CREATE TABLE order_authorizations (
        order_url TEXT NOT NULL REFERENCES orders (url) ON DELETE CASCADE, authorization_url TEXT NOT NULL,
        PRIMARY KEY (order_url, authorization_url)) WITHOUT ROWID""",
    "CREATE INDEX orders_of_authorization ON order_authorizations (authorization_url)",
    """CREATE TABLE follower_orders (
        label TEXT PRIMARY KEY, url TEXT NOT NULL, account TEXT NOT NULL, profile TEXT, names TEXT NOT NULL,
        first_seen_at INTEGER NOT NULL, first_pending_at INTEGER, waiting_since INTEGER,
        draft INTEGER, missing TEXT NOT NULL, account_url TEXT NOT NULL, next_look_at INTEGER)""",
    """CREATE TABLE releases (
        id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL, order_url TEXT NOT NULL,
        authorization_url TEXT NOT NULL, at INTEGER NOT NULL)""",
    """CREATE TABLE failures (
        kind TEXT NOT NULL, key TEXT NOT NULL, count INTEGER NOT NULL, first_at INTEGER NOT NULL,
        last_at INTEGER NOT NULL, retry_at INTEGER, reason TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID""",
    """CREATE TABLE deployments (
        label TEXT NOT NULL, target TEXT NOT NULL, digest TEXT NOT NULL, fingerprint TEXT NOT NULL, copies TEXT NOT NULL,
        deployed_at INTEGER, attempts INTEGER NOT NULL, retry_at INTEGER, error TEXT,
        PRIMARY KEY (label, target)) WITHOUT ROWID""",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL,
        text TEXT NOT NULL)""",
    "CREATE INDEX events_of_subject ON events (subject)",
    """CREATE TABLE certificates (
        label TEXT NOT NULL, generation INTEGER NOT NULL, stamp TEXT NOT NULL DEFAULT '', names TEXT NOT NULL, key_type TEXT,
        serial TEXT NOT NULL, fingerprint TEXT NOT NULL, issuer TEXT NOT NULL, not_before INTEGER NOT NULL,
        not_after INTEGER NOT NULL, PRIMARY KEY (label, generation)) WITHOUT ROWID""",
    """CREATE TABLE issuances (
        label TEXT NOT NULL, generation INTEGER NOT NULL, fingerprint TEXT NOT NULL, directory_url TEXT NOT NULL,
        profile TEXT, names TEXT NOT NULL, PRIMARY KEY (label, generation)) WITHOUT ROWID""",
    "CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)

# What was learned of a CA is kept by its directory's URL since; what was learned before is of nobody knows which CA.
_OF_A_CA: Step = (
    "ALTER TABLE failures ADD COLUMN asked_until INTEGER",
    "DELETE FROM facts WHERE key = 'new-authz-refused'",
    *(
        f"DELETE FROM facts WHERE substr(key, 1, {len(prefix)}) = '{prefix}'"  # noqa: S608  # our own words
        for prefix in ("reuse/", "max-names/", "order-span/")
    ),
)

_KEYS: Step = (  # what parsing said is asked of the files again, which know their keys
    "DELETE FROM certificates",
    "ALTER TABLE certificates ADD COLUMN spki TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE certificates ADD COLUMN has_key INTEGER NOT NULL DEFAULT 1",
)

_RENEWALS: Step = (
    """CREATE TABLE renewal_info (
        label TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, certificate_id TEXT NOT NULL, asked_at INTEGER NOT NULL,
        ask_again_at INTEGER NOT NULL, start_at INTEGER, end_at INTEGER, explanation_url TEXT, error TEXT) WITHOUT ROWID""",
    """CREATE TABLE rollbacks (
        label TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, wish TEXT NOT NULL, at INTEGER NOT NULL,
        held_until INTEGER NOT NULL) WITHOUT ROWID""",
)

_RELEASED_NAMES: Step = (  # a release costs its name a failed validation, whichever certificate it was for
    "ALTER TABLE releases ADD COLUMN account TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE releases ADD COLUMN identifier TEXT",
)

_MOMENTS_OF_ISSUE: Step = (
    "ALTER TABLE issuances ADD COLUMN issued_at INTEGER",
    "ALTER TABLE issuances ADD COLUMN hurried INTEGER NOT NULL DEFAULT 0",
    "DELETE FROM facts WHERE substr(key, 1, 4) = 'key/'",  # some were of CSRs
)

_PAUSES: Step = (  # until now every failure made the next pause longer
    "ALTER TABLE failures ADD COLUMN steps INTEGER NOT NULL DEFAULT 0",
    "UPDATE failures SET steps = count",
)

_DEPLOYMENT_STEPS: Step = (
    "ALTER TABLE deployments ADD COLUMN generation INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE deployments ADD COLUMN places TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE deployments ADD COLUMN installed_generation INTEGER",
    "ALTER TABLE deployments ADD COLUMN installed_fingerprint TEXT",
    *(
        f"ALTER TABLE deployments ADD COLUMN {moment} INTEGER"
        for moment in ("installed_at", "reloaded_at", "verified_at", "failing_since")
    ),
    *(f"ALTER TABLE deployments ADD COLUMN {words} TEXT" for words in ("failed_step", "hint")),
    "UPDATE deployments SET installed_fingerprint = fingerprint, installed_at = deployed_at WHERE error IS NULL",
)

_CHANGED_COPIES: Step = (
    "ALTER TABLE deployments ADD COLUMN verify_digest TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE deployments ADD COLUMN changes INTEGER NOT NULL DEFAULT 0",
)

_DEPLOYED = """strftime('%Y-%m-%dT%H:%M:%S', d.deployed_at / 1000000, 'unixepoch') || printf('.%06d+00:00', d.deployed_at % 1000000)"""

# Commands were known by their places in their lists (those that had become shorter left the last ones behind), and remembered the latest moment
# of all targets: those of a certificate beside its fingerprint, those that are run once for all in an object, `{LABEL: "FINGERPRINT MOMENT"}`.
# What was done later, by a run that was killed before its commands, is owed to them still.
_COMMANDS_BY_WORDS: Step = (
    """DELETE FROM deployments WHERE target LIKE 'onchange[%' AND EXISTS (
        SELECT 1 FROM deployments AS d WHERE d.label = deployments.label AND d.digest = deployments.digest AND d.target LIKE 'onchange[%'
            AND CAST(substr(d.target, 10) AS INTEGER) < CAST(substr(deployments.target, 10) AS INTEGER))""",
    """UPDATE deployments SET copies = json_object(label, fingerprint || ' ' || copies)
        WHERE label <> '' AND target LIKE 'onchange[%'""",
    f"""UPDATE deployments SET copies = CASE WHEN error IS NOT NULL OR NOT json_valid(copies) THEN '' ELSE ifnull((
            SELECT group_concat(o.key || ' ' || substr(o.value, 1, instr(o.value, ' ') - 1) || ifnull((
                SELECT group_concat(char(10) || d.label || ' ' || d.target || ' ' || {_DEPLOYED}, '') FROM deployments AS d
                WHERE d.label = o.key AND d.target NOT LIKE 'onchange[%' AND d.deployed_at IS NOT NULL
                    AND replace({_DEPLOYED}, '.000000', '') <= substr(o.value, instr(o.value, ' ') + 1)), ''), char(10))
            FROM json_each(deployments.copies) AS o), '') END
        WHERE target LIKE 'onchange[%'""",  # noqa: S608  # our own words
    "UPDATE deployments SET target = 'onchange ' || digest WHERE target LIKE 'onchange[%'",
)

_CHAINS_TOO: Step = ("DELETE FROM certificates",)  # parsing compares the files of a chain since

STEPS: tuple[Step, ...] = (
    _FIRST,
    _OF_A_CA,
    _KEYS,
    _RENEWALS,
    _RELEASED_NAMES,
    _MOMENTS_OF_ISSUE,
    _PAUSES,
    _DEPLOYMENT_STEPS,
    _CHANGED_COPIES,
    _COMMANDS_BY_WORDS,
    _CHAINS_TOO,
)


class UnknownSchema(Exception):
    """The file is not ours, or was written by a newer acmectl; the text says which."""


def upgrade(connection: sqlite3.Connection, steps: Sequence[Step] = STEPS) -> None:
    """Bring the file to the last of `steps`, in one transaction; a current file is not written to.

    Raises UnknownSchema, and sqlite3.Error.
    """
    if _version(connection, steps) == len(steps):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[_version(connection, steps) :]:  # asked again: another process may have been faster
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection, steps: Sequence[Step]) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != _APPLICATION_ID:
        raise UnknownSchema("is a database of another program")
    if version > len(steps):
        raise UnknownSchema(f"was written by a newer acmectl (schema {version}, this one knows {len(steps)})")
    return int(version)
