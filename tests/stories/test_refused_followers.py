"""What a follower is told, and does, when the CA refuses: CAA, a name it takes no more, an account that is gone, another profile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from acmectl import keys
from acmectl.ca import account_changes
from acmectl.follower import CertificateResult, Failed, Issued, Waiting
from acmectl.model.certificates import KeyType
from acmectl.model.names import Identifier
from acmectl.sandbox.objects import Order
from acmectl.sandbox.state import Injections
from tests.stories.world import Host, World

NAMES = ("xmpp.refused.test", "mail.refused.test")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        world.master(*NAMES).run()
        yield world


def injections(world: World) -> Injections:
    return world.sandbox.authority.state.injections


def result(host: Host, *, forced: bool = False) -> CertificateResult:
    """The one certificate's, of a run that a person asked for."""
    app = host.app()
    try:
        with app.state.locked():
            (found,) = app.follower().run(app.wishes(), at_once=True, forced=forced).results
    finally:
        app.state.close()
    return found


def failed(host: Host) -> Failed:
    outcome = result(host).outcome
    assert isinstance(outcome, Failed), outcome
    return outcome


@pytest.mark.parametrize("outcome", ["ready", "invalid"])
def test_caa_names_the_name_and_the_record_to_ask_for_and_once_it_is_there_the_certificate_comes(
    world: World, outcome: Literal["ready", "invalid"]
) -> None:
    host = world.follower("xmpp", *NAMES)
    injections(world).caa[NAMES[1]] = outcome
    refused = failed(host)
    assert f"CAA record for {NAMES[1]} prevents issuance" in refused.reason
    hint = refused.hint or ""
    assert f'`{NAMES[1]}. CAA 0 issue "' in hint
    assert f"accounturi={world.account_url}" in hint
    assert NAMES[0] not in hint
    assert "`validationmethods`" in hint
    assert refused.retry_at is not None
    assert world.sandbox.counts["finalize"] == 1, "a refusal is no lost race: a fresh order would be refused as well"
    injections(world).caa.clear()
    assert isinstance(result(host).outcome, Issued)
    assert len(world.sandbox.authority.state.store.certificates) == 1


def test_a_name_that_the_ca_takes_no_more_is_named_and_the_old_certificate_stays(world: World) -> None:
    host = world.follower("xmpp", *NAMES)
    issued = result(host)
    injections(world).rejected[NAMES[0]] = "is on a list of names that are high-value"
    refused = result(host, forced=True)
    assert isinstance(refused.outcome, Failed)
    assert NAMES[0] in refused.outcome.reason
    assert NAMES[1] not in refused.outcome.reason.partition(": ")[2]
    assert (refused.outcome.hint or "").startswith("take the refused name out of the configuration")
    assert refused.installed == issued.installed
    host.rewrite(lambda text: text.replace(f'"{NAMES[0]}", ', ""))
    assert isinstance(result(host).outcome, Issued)


def test_an_account_that_was_deactivated_is_told_with_what_to_do(world: World) -> None:
    host = world.follower("xmpp", *NAMES)
    with world.sandbox.authority.state.lock:
        for account in world.sandbox.authority.state.store.accounts.values():
            account.status = "deactivated"
    refused = failed(host)
    assert "deactivated" in refused.reason
    assert "acmectl account" in (refused.hint or "")


def test_an_account_whose_key_was_rolled_over_is_told_with_what_to_do(world: World) -> None:
    host = world.follower("xmpp", *NAMES)
    roll_over(world, host)
    refused = failed(host)
    assert "acmectl account import" in (refused.hint or ""), refused


def roll_over(world: World, host: Host) -> None:
    """Somebody else gives the account another key."""
    app = host.app()
    with app.session(world.key, world.account_url) as old, app.session(keys.generate(KeyType.ECDSA_P256)) as new:
        account_changes.change_key(old, new)


def test_a_profile_that_is_not_the_masters_is_told_as_the_likely_cause(world: World) -> None:
    host = world.host("other", certificate(*NAMES), profile="tlsserver")
    waiting = result(host).outcome
    assert isinstance(waiting, Waiting)
    assert waiting.names == tuple(sorted(map(Identifier, NAMES)))
    assert (waiting.profile, waiting.account_profile) == ("tlsserver", "classic")
    assert waiting.is_under_another_profile
    same = world.follower("same", "late.refused.test")
    late = result(same).outcome
    assert isinstance(late, Waiting)
    assert not late.is_under_another_profile


def certificate(*names: str) -> str:
    return f"certificates: {{xmpp: {{names: [{', '.join(names)}]}}}}\n"


def test_a_renewal_says_what_it_replaces_and_is_sent_without_where_another_order_does_so_already(world: World) -> None:
    """RFC 9773 section 5: `alreadyReplaced` while our own earlier order is open, which was forgotten here."""
    host = world.follower("xmpp", *NAMES)
    result(host)
    assert orders(world)[-1].replaces is None
    result(host, forced=True)
    assert orders(world)[-1].replaces is not None
    world.forget()
    assert isinstance(result(host, forced=True).outcome, Waiting)
    app = host.app()
    app.state.memory.forget_follower_order("xmpp")
    app.state.close()
    assert isinstance(result(host, forced=True).outcome, Waiting)
    statuses = [seen.status for seen, _ in world.sandbox.counts.snapshot() if seen.kind == "newOrder"]
    assert 409 in statuses


def orders(world: World) -> list[Order]:
    with world.sandbox.authority.state.lock:
        return list(world.sandbox.authority.state.store.orders.values())
