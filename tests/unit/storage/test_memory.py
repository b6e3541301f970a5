from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acmectl.errors import StorageError
from acmectl.model.certificates import Installed, Issuance, KeyType
from acmectl.model.memory import Deployment, Event, Failure, Release, RememberedAuthorization, RememberedOrder
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus, OrderStatus
from acmectl.model.renewals import RenewalInfo, Rollback
from acmectl.storage import memory as room
from acmectl.storage.database import Database
from acmectl.storage.memory import Memory
from acmectl.storage.schema import STEPS

NOW = datetime(2026, 8, 1, 12, 30, 15, 123456, tzinfo=UTC)

T = TypeVar("T")

text = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-12))])
moments = st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 30), timezones=zones)  # noqa: DTZ001 - gets a zone
durations = st.timedeltas(timedelta(days=-4_000_000), timedelta(days=4_000_000))
identifiers = st.from_regex(r"(\*\.)?[a-z]{1,5}\.example", fullmatch=True).map(Identifier)
name_sets = st.frozensets(identifiers, max_size=4)
numbers = st.integers(0, 2**60)
_BY_TYPE: dict[object, st.SearchStrategy[Any]] = {
    str: text,
    datetime: moments,
    timedelta: durations,
    Identifier: identifiers,
    frozenset[Identifier]: name_sets,
    frozenset[str]: st.frozensets(text, max_size=3),
    int: numbers,
    bool: st.booleans(),
}


def built(of: type[T]) -> st.SearchStrategy[T]:
    """Any value of a dataclass, by the types of its fields."""
    return st.builds(of, **{name: _for(hint) for name, hint in get_type_hints(of).items()})


def _for(hint: Any) -> st.SearchStrategy[Any]:
    if isinstance(hint, UnionType):
        return st.one_of([st.none() if option is NoneType else _for(option) for option in hint.__args__])
    return _BY_TYPE[hint] if hint in _BY_TYPE else st.sampled_from(hint)


some = settings(max_examples=30, deadline=None)  # each example is synced to a disk that others use too


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    memory = Memory(tmp_path / "state.db")
    yield memory
    memory.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    """One file for all examples of a property."""
    memory = Memory(tmp_path_factory.mktemp("shared") / "state.db")
    yield memory
    memory.close()


def authorization(name: str, url: str, *, account: str = "default", seen_at: datetime = NOW) -> RememberedAuthorization:
    return RememberedAuthorization(
        account=account,
        profile="classic",
        identifier=Identifier(name),
        url=url,
        status=AuthorizationStatus.VALID,
        expires_at=NOW + timedelta(days=30),
        validated_at=NOW,
        lifetime=timedelta(days=30),
        challenge_type="dns-01",
        seen_at=seen_at,
    )


def held(label: str, url: str = "https://ca/o/1") -> RememberedOrder:
    return RememberedOrder(label, url, "default", None, frozenset({Identifier("a.example")}), NOW)


@some
@given(value=built(RememberedAuthorization))
def test_an_authorization_comes_back_exactly(shared: Memory, value: RememberedAuthorization) -> None:
    shared.remember_authorizations([value])
    assert [found for found in shared.authorizations(value.account) if found.url == value.url] == [value]


@some
@given(value=built(RememberedOrder))
def test_a_follower_order_comes_back_exactly(shared: Memory, value: RememberedOrder) -> None:
    shared.save_follower_order(value)
    assert shared.follower_order(value.label) == value


@some
@given(value=built(Release))
def test_a_release_comes_back_exactly(shared: Memory, value: Release) -> None:
    shared.add_release(value)
    assert shared.releases(value.label)[-1] == value


@some
@given(value=built(Failure))
def test_a_failure_comes_back_exactly(shared: Memory, value: Failure) -> None:
    shared.save_failure(value)
    assert shared.failures(value.kind)[value.key] == value


@some
@given(value=built(Deployment))
def test_a_deployment_comes_back_exactly(shared: Memory, value: Deployment) -> None:
    shared.save_deployment(value)
    assert value in shared.deployments(value.label)


@some
@given(value=built(Event))
def test_an_event_comes_back_exactly(shared: Memory, value: Event) -> None:
    shared.add_event(value)
    assert shared.events(value.subject)[-1] == value
    assert shared.events(limit=1) == (value,)


@some
@given(value=built(Installed), stamp=text)
def test_what_parsing_said_comes_back_exactly(shared: Memory, value: Installed, stamp: str) -> None:
    shared.remember_parsed(value, stamp=stamp)
    assert shared.parsed_certificate(value.label, value.generation, stamp=stamp) == value
    assert shared.parsed_certificate(value.label, value.generation, stamp=stamp + "x") is None


@some
@given(key=text, value=text)
def test_a_fact_comes_back_exactly(shared: Memory, key: str, value: str) -> None:
    shared.set_fact(key, value)
    assert shared.fact(key) == value


def test_a_moment_of_another_zone_comes_back_in_utc(memory: Memory) -> None:
    seen_at = NOW.astimezone(timezone(timedelta(hours=9)))
    memory.remember_authorizations([authorization("a.example", "u", seen_at=seen_at)])
    assert memory.authorizations()[0].seen_at.isoformat() == NOW.isoformat()


def test_a_naive_moment_is_a_defect(memory: Memory) -> None:
    with pytest.raises(TypeError):
        memory.add_event(Event(NOW.replace(tzinfo=None), "a", "b", "c"))
    assert memory.events() == ()


def test_words_of_a_ca_that_no_utf_8_can_hold_are_stored_escaped(memory: Memory) -> None:
    memory.add_event(Event(NOW, "a.example", "refused", "bad \ud800 \0 detail"))
    assert memory.events()[0].text == "bad \\ud800 \0 detail"


def test_an_authorization_is_known_by_its_url(memory: Memory) -> None:
    memory.remember_authorizations([authorization("a.example", "u1"), authorization("a.example", "u2")])
    later = authorization("a.example", "u1", seen_at=NOW + timedelta(hours=1))
    memory.remember_authorizations([later])
    assert memory.authorizations() == (authorization("a.example", "u2"), later)


def test_authorizations_are_told_apart_by_account(memory: Memory) -> None:
    one, two = authorization("a.example", "u1", account="one"), authorization("a.example", "u2", account="two")
    memory.remember_authorizations([one, two])
    assert memory.authorizations("two") == (two,)
    assert memory.authorizations("three") == ()


def test_forgotten_authorizations_are_gone_with_their_places_in_orders(memory: Memory) -> None:
    memory.remember_authorizations([authorization("a.example", "u1"), authorization("b.example", "u2")])
    remember(memory, "o1", ["u1", "u2"])
    memory.forget_authorizations(["u1", "unknown"])
    assert [found.url for found in memory.authorizations()] == ["u2"]
    assert memory.authorization_urls("o1") == ("u2",)


def remember(
    memory: Memory, url: str, authorizations: list[str], *, at: datetime = NOW, status: str = "pending"
) -> None:
    memory.remember_order(
        url,
        account="default",
        profile="classic",
        names=frozenset({Identifier("a.example"), Identifier("*.a.example")}),
        role="master",
        status=OrderStatus(status),
        expires_at=NOW + timedelta(days=7),
        authorization_urls=authorizations,
        at=at,
    )


def test_an_order_is_known_by_its_url_and_keeps_when_it_was_first_seen(memory: Memory) -> None:
    remember(memory, "o1", ["u2", "u1"])
    remember(memory, "o2", ["u1"])
    remember(memory, "o1", ["u3", "u1"], at=NOW + timedelta(hours=1), status="ready")
    first, second = memory.orders()
    assert (first.url, first.status, first.role) == ("o1", OrderStatus.READY, "master")
    assert (first.first_seen_at, first.seen_at) == (NOW, NOW + timedelta(hours=1))
    assert first.names == {Identifier("a.example"), Identifier("*.a.example")}
    assert second.first_seen_at == NOW
    assert memory.authorization_urls("o1") == ("u1", "u3")


def test_the_orders_that_carry_an_authorization_are_found(memory: Memory) -> None:
    remember(memory, "o1", ["u1", "u2"])
    remember(memory, "o2", ["u2"])
    assert [order.url for order in memory.orders(carrying="u2")] == ["o1", "o2"]
    assert [order.url for order in memory.orders(carrying="u1")] == ["o1"]
    assert memory.orders(carrying="u3") == ()
    found = memory.order("o2")
    assert found is not None
    assert found.url == "o2"
    assert memory.order("o9") is None


def test_two_certificates_can_hold_one_order(memory: Memory) -> None:
    memory.save_follower_order(held("mail"))
    memory.save_follower_order(held("xmpp"))
    memory.forget_follower_order("mail")
    assert memory.follower_order("mail") is None
    assert memory.follower_order("xmpp") == held("xmpp")


def test_a_certificate_holds_one_order_at_a_time(memory: Memory) -> None:
    memory.save_follower_order(held("mail"))
    memory.save_follower_order(held("mail", "https://ca/o/2"))
    assert memory.follower_order("mail") == held("mail", "https://ca/o/2")


def test_releases_are_those_of_one_certificate_oldest_first(memory: Memory) -> None:
    releases = [Release("mail", f"o{n}", "a", NOW - timedelta(hours=n)) for n in range(3)]
    for release in releases:
        memory.add_release(release)
    memory.add_release(Release("xmpp", "o", "a", NOW))
    assert memory.releases("mail") == tuple(releases)


def test_the_latest_releases_of_an_account_are_those_of_all_its_certificates(memory: Memory) -> None:
    hour = timedelta(hours=1)
    old, mail, xmpp, other = (
        Release("mail", "o1", "a", NOW - hour, "default", Identifier("a.test")),
        Release("mail", "o2", "a", NOW, "default", Identifier("a.test")),
        Release("xmpp", "o3", "a", NOW, "default", Identifier("b.test")),
        Release("web", "o4", "a", NOW, "other", Identifier("a.test")),
    )
    for release in (old, mail, xmpp, other):
        memory.add_release(release)
    assert memory.releases_since("default", NOW - hour) == (mail, xmpp)


def failure(key: str, *, kind: str = "name", count: int = 1) -> Failure:
    return Failure(kind, key, count, NOW, NOW, None, "no")


def test_failures_are_found_by_kind_and_key(memory: Memory) -> None:
    memory.save_failures([failure("b"), failure("a"), failure("a", kind="certificate")])
    memory.save_failure(failure("a", count=2))
    assert memory.failures("name") == {"a": failure("a", count=2), "b": failure("b")}
    memory.clear_failure("name", "a")
    memory.clear_failures("name", ["b", "unknown"])
    assert memory.failures("name") == {}
    assert list(memory.failures("certificate")) == ["a"]


def test_a_forgotten_deployment_leaves_the_others(memory: Memory) -> None:
    deployments = [Deployment("mail", target, "d", 7, "f", "1@2", deployed_at=NOW) for target in ("0", "1")]
    for deployment in deployments:
        memory.save_deployment(deployment)
    memory.save_deployment(Deployment("xmpp", "0", "d", 7, "f", "1@2"))
    assert [(d.label, d.target) for d in memory.deployments()] == [("mail", "0"), ("mail", "1"), ("xmpp", "0")]
    memory.forget_deployment("mail", "0")
    assert memory.deployments("mail") == (deployments[1],)


def test_a_certificate_is_forgotten_without_what_counts_at_the_ca(memory: Memory) -> None:
    for label in ("mail", "mail+rsa-2048"):
        memory.save_deployment(Deployment(label, "files[0]", "d", 7, "f", "1@2"))
        memory.save_follower_order(held(label))
        memory.add_release(Release(label, "order", "authorization", NOW))
        memory.set_fact(f"key//state/certificates/{label}/next-key.pem", "pin")
        memory.add_event(Event(NOW, label, "issued", ""))
        memory.save_failure(Failure("certificate", label, 1, NOW, NOW, NOW, "no"))
        memory.save_renewal_info(RenewalInfo(label, "f", "id", NOW, NOW))
    memory.forget_certificate("mail")
    assert [d.label for d in memory.deployments()] == ["mail+rsa-2048"]
    assert memory.follower_order("mail") is None
    assert memory.follower_order("mail+rsa-2048") is not None
    assert len(memory.releases("mail")) == 1
    assert memory.facts("key/") == ("key//state/certificates/mail+rsa-2048/next-key.pem",)
    assert list(memory.failures("certificate")) == ["mail+rsa-2048"]
    assert memory.renewal_info("mail") is None
    assert memory.events("mail"), "the log keeps its history"


def test_a_fact_can_be_changed_and_forgotten(memory: Memory) -> None:
    assert memory.fact("newAuthz") is None
    memory.set_fact("newAuthz", "absent")
    memory.set_fact("newAuthz", "there")
    assert memory.fact("newAuthz") == "there"
    memory.set_fact("newAuthz", None)
    assert memory.fact("newAuthz") is None


def event(number: int, subject: str = "a.example") -> Event:
    return Event(NOW + timedelta(seconds=number), subject, "proven", str(number))


def test_events_come_in_order_and_the_newest_first_to_be_chosen(memory: Memory) -> None:
    memory.add_events([event(1), event(2, "b.example"), event(3)])
    memory.add_event(event(0))
    assert memory.events() == (event(1), event(2, "b.example"), event(3), event(0))
    assert memory.events("a.example", limit=2) == (event(3), event(0))
    assert memory.events("") == ()


def test_only_the_newest_events_are_kept(memory: Memory) -> None:
    memory.add_events(event(number) for number in range(room.EVENTS_KEPT + 10))
    memory.add_event(event(-1))
    found = memory.events()
    assert len(found) == room.EVENTS_KEPT
    assert (found[0], found[-1]) == (event(11), event(-1))


def test_only_the_newest_releases_and_orders_are_kept(memory: Memory, tmp_path: Path) -> None:
    remember(memory, "old", ["u1"])
    memory.add_release(Release("mail", "old", "a", NOW))
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("UPDATE sqlite_sequence SET seq = 100000 WHERE name IN ('orders', 'releases')")
    other.close()
    remember(memory, "new", ["u1"])
    memory.add_release(Release("mail", "new", "a", NOW))
    assert [order.url for order in memory.orders()] == ["new"]
    assert [release.order_url for release in memory.releases("mail")] == ["new"]
    assert memory.authorization_urls("old") == ()


def test_the_file_is_private_from_its_creation_whatever_the_umask(tmp_path: Path) -> None:
    code = """
import os, sys, pathlib
os.umask(0)
from acmectl.storage.memory import Memory
from acmectl.storage.schema import STEPS
Memory(pathlib.Path(sys.argv[1])).set_fact("a", "b")
"""
    trace, path = tmp_path / "trace", tmp_path / "state.db"
    argv = ["strace", "-f", "-e", "trace=open,openat,creat", "-o", str(trace), sys.executable, "-c", code, str(path)]
    subprocess.run(argv, check=True, capture_output=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = [line for line in trace.read_text().splitlines() if "state.db" in line and "O_CREAT" in line]
    assert "O_EXCL" in made[0], "before SQLite, which would take the mode from the umask, opens it"
    assert all(", 0600) = " in line for line in made if "O_EXCL" in line or "-journal" in line)
    assert any("state.db-journal" in line for line in made), "the journal holds what the database holds"


def test_reading_makes_no_file(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "missing" / "state.db")
    assert memory.authorizations() == ()
    assert memory.failures("name") == {}
    assert memory.follower_order("mail") is None
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_is_an_error_of_ours_when_writing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot open `.*/missing/state.db`: no such file or directory"):
        Memory(tmp_path / "missing" / "state.db").set_fact("a", "b")


def test_what_one_process_wrote_another_reads_at_once(memory: Memory, tmp_path: Path) -> None:
    memory.add_event(event(1))
    other = Memory(tmp_path / "state.db")
    assert other.events() == (event(1),)
    other.add_event(event(2))
    assert memory.events() == (event(1), event(2))
    other.close()
    assert other.events() == (event(1), event(2)), "a closed one opens again"
    other.close()


def test_threads_share_one_memory(memory: Memory) -> None:
    def work(number: int) -> None:
        for step in range(5):
            memory.add_event(event(step, f"{number}.example"))
            assert len(memory.events(f"{number}.example")) == step + 1

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(memory.events()) == 40


def test_a_call_that_fails_half_way_changes_nothing(memory: Memory) -> None:
    broken = Failure("name", "b", 2**80, NOW, NOW, None, "no SQLite integer")
    with pytest.raises(OverflowError):
        memory.save_failures([failure("a"), broken])
    assert memory.failures("name") == {}
    memory.save_failure(failure("c"))
    assert list(memory.failures("name")) == ["c"]


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(StorageError, match="is damaged") as raised:
        Memory(path).authorizations()
    assert raised.value.hint == f"move it away: `mv {path} {path}.damaged` (it holds neither keys nor certificates)"
    with pytest.raises(StorageError, match="is damaged"):
        Memory(path).add_event(event(1))
    assert path.read_bytes() == content, "what is damaged is left for its owner to look at"


def test_a_file_damaged_in_its_middle_is_an_error(tmp_path: Path) -> None:
    path, memory = tmp_path / "state.db", Memory(tmp_path / "state.db")
    memory.add_events(event(number) for number in range(500))
    memory.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    with pytest.raises(StorageError, match="is damaged"):
        Memory(path).events()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE authorizations SET status = 'bogus'",
        "UPDATE authorizations SET seen_at = 'yesterday'",
        "UPDATE authorizations SET seen_at = 9000000000000000000",
    ],
)
def test_a_row_that_we_did_not_write_is_an_error(memory: Memory, tmp_path: Path, statement: str) -> None:
    memory.remember_authorizations([authorization("a.example", "u1")])
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute(statement)
    other.close()
    with pytest.raises(StorageError, match="holds a row that cannot be read"):
        memory.authorizations()


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE cookies (id INTEGER)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="is a database of another program") as raised:
        Memory(path).add_event(event(1))
    assert raised.value.hint == f"upgrade acmectl, or move it away: `mv {path} {path}.damaged`"
    assert path.read_bytes() == before


def test_a_file_of_a_newer_acmectl_is_left_alone(memory: Memory, tmp_path: Path) -> None:
    memory.add_event(event(1))
    memory.close()
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(
        StorageError, match=rf"was written by a newer acmectl \(schema 99, this one knows {len(STEPS)}\)"
    ):
        memory.events()


def test_a_file_without_its_tables_is_an_error(memory: Memory, tmp_path: Path) -> None:
    memory.add_event(event(1))
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("DROP TABLE events")
    other.close()
    with pytest.raises(StorageError, match="does not have the tables it should have: no such table: events"):
        memory.events()


def test_a_file_that_another_process_keeps_busy_is_an_error_with_a_hint(tmp_path: Path) -> None:
    database = Database(tmp_path / "state.db", busy_for=timedelta(seconds=0.1))
    database.write(("INSERT INTO facts VALUES (?, ?)", [("a", "b")]))
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="database is locked") as raised:
        database.write(("INSERT INTO facts VALUES (?, ?)", [("c", "d")]))
    assert raised.value.hint == "another acmectl, or a backup, is busy with it: try again"
    other.close()
    database.write(("INSERT INTO facts VALUES (?, ?)", [("c", "d")]))
    database.close()


def test_what_was_asked_for_belongs_to_one_certificate_and_goes_with_its_generation(memory: Memory) -> None:
    facts = Installed("mail", 1, frozenset(), KeyType.RSA_2048, "abc", "f", "i", NOW, NOW)
    asked = Issuance("mail", 1, "f", "https://ca/directory", None, frozenset({Identifier("a.example")}))
    assert memory.issuance(facts) is None
    memory.save_issuance(asked)
    assert memory.issuance(facts) == asked
    assert memory.issuance(replace(facts, fingerprint="another")) is None, "the number came again"
    memory.forget_parsed("mail", [1])
    assert memory.issuance(facts) is None


def test_key_type_and_statuses_are_stored_as_their_words(memory: Memory, tmp_path: Path) -> None:
    """So that a person with `sqlite3` can read them, and a new member needs no migration."""
    facts = Installed("mail", 1, frozenset(), KeyType.RSA_2048, "abc", "f", "i", NOW, NOW)
    memory.remember_parsed(facts, stamp="s")
    remember(memory, "o1", [])
    with sqlite3.connect(tmp_path / "state.db") as other:
        (words,) = other.execute("SELECT key_type, status FROM certificates, orders").fetchall()
    other.close()
    assert words == ("rsa-2048", "pending")


def test_the_cas_advice_is_remembered_for_the_certificate_it_was_given_for(memory: Memory) -> None:
    assert memory.renewal_info("web") is None
    empty = RenewalInfo("web", "ff", "", asked_at=NOW, ask_again_at=NOW)
    memory.save_renewal_info(empty)
    assert memory.renewal_info("web") == empty
    full = RenewalInfo("web", "ee", "a.b", NOW, NOW, NOW, NOW, "https://ca.test/why", "the CA is down")
    memory.save_renewal_info(full)
    assert memory.renewal_info("web") == full
    assert memory.renewal_info("mail") is None


def test_a_rollback_is_remembered_until_it_is_forgotten(memory: Memory) -> None:
    rollback = Rollback("web", "ff", "a.test ecdsa-p256", NOW, NOW)
    memory.save_rollback(rollback)
    assert memory.rollback("web") == rollback
    memory.forget_rollback("web")
    memory.forget_rollback("web")
    assert memory.rollback("web") is None
