"""A name that means another account now: what belonged to the old one is looked past, and forgotten by the next run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from acmectl.model.memory import Failure, RememberedAuthorization, RememberedOrder, failure_key
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus, OrderStatus
from acmectl.storage import identity
from acmectl.storage.memory import Memory

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAME = Identifier("a.test")
OLD, NEW = "https://ca.test/account/1", "https://ca.test/account/2"


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    """A memory with everything there is, of two accounts: `default` and `default2`, each with its certificate."""
    memory = Memory(tmp_path / "state.db")
    for account, label in (("default", "web"), ("default2", "mail")):
        identity.adopt(memory, account, OLD, certificates=[label])
        url = f"https://ca.test/authorization/{account}"
        valid = AuthorizationStatus.VALID
        memory.remember_authorizations(
            [RememberedAuthorization(account, None, NAME, url, valid, NOW, None, None, None, NOW)]
        )
        memory.remember_order(
            f"https://ca.test/order/{account}",
            account=account,
            profile=None,
            names=frozenset({NAME}),
            role="master",
            status=OrderStatus.READY,
            expires_at=NOW,
            authorization_urls=[url],
            at=NOW,
        )
        memory.save_follower_order(
            RememberedOrder(label, f"https://ca.test/order/{account}", account, None, frozenset({NAME}), NOW)
        )
        for kind, key in (("name", failure_key(account, None, NAME)), ("account", account), ("certificate", label)):
            memory.save_failure(Failure(kind, key, 1, NOW, NOW, NOW, "no"))
        memory.set_fact(f"new-orders/{account}", "[1]")
    yield memory
    memory.close()


def left(memory: Memory) -> dict[str, list[str]]:
    """The accounts and labels of which each kind of thing is remembered."""
    return {
        "authorizations": [a.account for a in memory.authorizations()],
        "follower orders": [label for label in ("web", "mail") if memory.follower_order(label)],
        "failures": sorted(key for kind in ("name", "account", "certificate") for key in memory.failures(kind)),
    }


BOTH = {
    "authorizations": ["default", "default2"],
    "follower orders": ["web", "mail"],
    "failures": ["default", "default/-/a.test", "default2", "default2/-/a.test", "mail", "web"],
}
OTHER = {
    "authorizations": ["default2"],
    "follower orders": ["mail"],
    "failures": ["default2", "default2/-/a.test", "mail"],
}


def test_the_same_account_keeps_its_memories(memory: Memory) -> None:
    assert identity.is_of(memory, "default", OLD)
    identity.adopt(memory, "default", OLD, certificates=["web"])
    assert left(memory) == BOTH


def test_a_run_forgets_what_belonged_to_the_account_that_was_replaced(memory: Memory) -> None:
    assert not identity.is_of(memory, "default", NEW)
    identity.adopt(memory, "default", NEW, certificates=["web"])
    assert left(memory) == OTHER
    assert identity.is_of(memory, "default", NEW)
    assert [order.account for order in memory.orders()] == ["default2"]
    assert memory.facts("new-orders/") == ("new-orders/default2",)


def test_who_only_reads_looks_past_it_and_changes_nothing(memory: Memory) -> None:
    past = identity.Past(memory, accounts=["default"], certificates=["web"])
    assert left(past) == OTHER
    assert left(memory) == BOTH


def test_what_was_remembered_before_any_account_was_is_kept(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "state.db")
    memory.save_failure(Failure("account", "default", 1, NOW, NOW, NOW, "no"))
    identity.adopt(memory, "default", OLD, certificates=[])
    assert set(memory.failures("account")) == {"default"}
    memory.close()


def test_an_account_that_works_again_is_tried_at_once_and_loses_nothing_else(memory: Memory) -> None:
    identity.renew(memory, "default", certificates=["web"])
    assert left(memory) == BOTH | {"failures": OTHER["failures"]}
    assert identity.is_of(memory, "default", OLD)
