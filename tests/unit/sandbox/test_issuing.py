"""Finalization, replacement, revocation and renewal information."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from acmectl.model.names import Identifier
from acmectl.model.orders import OrderStatus
from acmectl.sandbox.objects import Certificate, Order
from acmectl.sandbox.problems import Refused
from acmectl.sandbox.signing_requests import certificate_key, read_request
from tests.servers.sandbox_client import ari_id, csr
from tests.unit.sandbox.conftest import MakeDesk
from tests.unit.sandbox.desk import Desk


def _certificate(desk: Desk, order: Order) -> Certificate:
    assert order.serial
    return desk.state.store.certificates[order.serial]


def _refused(desk: Desk, order: Order) -> Refused:
    with pytest.raises(Refused) as caught:
        desk.finalize(order)
    return caught.value


def _wait_for(desk: Desk, order: Order, status: OrderStatus) -> None:
    for _ in range(1000):
        if desk.status(order) is status:
            return
        threading.Event().wait(0.01)
    pytest.fail(f"the order is still {desk.status(order)}")


def test_an_order_that_is_not_ready_cannot_be_finalized_and_stays_as_it_is(desk: Desk) -> None:
    order = desk.order("a.example.com")
    refusal = _refused(desk, order)
    assert (refusal.problem.type, refusal.problem.status) == ("orderNotReady", 403)
    assert desk.status(order) is OrderStatus.PENDING
    desk.prove(order)
    desk.finalize(order)
    assert _refused(desk, order).problem.type == "orderNotReady"
    assert desk.status(order) is OrderStatus.VALID


@pytest.mark.parametrize(("percent", "status"), [(0, OrderStatus.VALID), (100, OrderStatus.INVALID)])
def test_the_loser_of_a_race_is_refused_and_can_spoil_the_order_of_the_winner(
    make_desk: MakeDesk, percent: int, status: OrderStatus
) -> None:
    desk = make_desk(issue_delay=timedelta(seconds=0.2), race_invalid_percent=percent)
    order = desk.finalize(desk.proven("a.example.com"))
    assert desk.status(order) is OrderStatus.PROCESSING
    assert _refused(desk, order).problem.type == "orderNotReady"
    _wait_for(desk, order, status)
    for _ in range(200):
        if desk.state.store.certificates:
            break
        threading.Event().wait(0.01)
    assert len(desk.state.store.certificates) == 1, "a certificate is issued in either case"
    assert desk.status(order) is status
    assert desk.ordered("a.example.com")[1] is OrderStatus.READY, "the remedy: order again"


@pytest.mark.parametrize(("outcome", "status"), [("ready", OrderStatus.READY), ("invalid", OrderStatus.INVALID)])
def test_caa_can_forbid_at_finalize(desk: Desk, outcome: str, status: OrderStatus) -> None:
    desk.state.injections.caa["a.example.com"] = "ready" if outcome == "ready" else "invalid"
    order = desk.proven("a.example.com", "b.example.com")
    refusal = _refused(desk, order)
    assert (refusal.problem.type, refusal.problem.status) == ("caa", 403)
    assert [sub.identifier for sub in refusal.problem.subproblems] == ["a.example.com"]
    assert desk.status(order) is status
    desk.state.injections.caa.clear()
    again = desk.order("a.example.com", "b.example.com")
    assert (again is order) is (outcome == "ready")
    assert desk.status(desk.finalize(again)) is OrderStatus.VALID


_BOTH = ["a.example.com", "b.example.com"]
_WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that it is refused is the test


@pytest.mark.parametrize(
    ("fault", "make"),
    [
        ("parsing", lambda: b"no CSR"),
        ("missing: b.example.com, extra: none", lambda: csr(["a.example.com"])),
        ("missing: none, extra: c.example.com", lambda: csr([*_BOTH, "c.example.com"])),
        ("missing: none, extra: d.example.com", lambda: csr(_BOTH, common_name="d.example.com")),
        ("missing: a.example.com, b.example.com", lambda: csr([])),
        ("of a kind or size", lambda: csr(_BOTH, ec.generate_private_key(ec.SECP521R1()))),
        ("kind or size that is not allowed", lambda: csr(_BOTH, _WEAK)),
        ("signature", lambda: csr(_BOTH, rsa.generate_private_key(65537, 2048))[:-3] + b"abc"),
    ],
)
def test_a_csr_that_does_not_fit_the_order_is_refused(desk: Desk, fault: str, make: Callable[[], bytes]) -> None:
    order = desk.proven("a.example.com", "b.example.com")
    with pytest.raises(Refused, match=fault) as caught:
        desk.authority.issuing.finalize(desk.us, order.id, make())
    assert caught.value.problem.type == "badCSR"
    assert desk.status(order) is OrderStatus.READY


def test_whichever_byte_of_a_csr_is_another_one_it_is_refused_in_words(desk: Desk) -> None:
    good, taken = csr(["a.example.com"]), []
    spoilt = {good[:at] + bytes([byte]) + good[at + 1 :] for at in range(len(good)) for byte in (5, 0xA3, good[at] ^ 1)}
    for der in spoilt - {good}:
        with suppress(Refused):  # where it counts unused bits of the signature, of which one is zero, it is as good
            read_request(der, [Identifier("a.example.com")], desk.us.jwk)
            taken.append(der)
    assert len(taken) <= 1


def test_the_accounts_own_key_cannot_become_a_certificates_key(desk: Desk) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    account = desk.account(key)
    order = desk.order("a.example.com", account=account)
    desk.prove(order)
    with pytest.raises(Refused, match="different than account key"):
        desk.authority.issuing.finalize(account, order.id, csr(["a.example.com"], key))


def test_a_csr_may_name_its_identifiers_in_any_case_and_order(desk: Desk) -> None:
    order = desk.proven("a.example.com", "b.example.com")
    request = csr(["B.example.com", "a.Example.com"], common_name="a.example.com")
    assert desk.authority.issuing.finalize(desk.us, order.id, request).serial


@pytest.mark.parametrize(
    ("profile", "common_name", "lifetime"),
    [
        ("classic", ["a.example.com"], timedelta(days=90)),
        ("tlsserver", [], timedelta(days=45)),
        ("shortlived", [], timedelta(hours=160)),
    ],
)
def test_a_certificate_is_what_its_profile_says(
    desk: Desk, profile: str, common_name: list[str], lifetime: timedelta
) -> None:
    order = desk.finalize(desk.proven("a.example.com", "*.b.example.com", profile=profile))
    leaf = x509.load_der_x509_certificate(_certificate(desk, order).der)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert sorted(names.value.get_values_for_type(x509.DNSName)) == ["*.b.example.com", "a.example.com"]
    assert names.critical is not bool(common_name)
    assert [attribute.value for attribute in leaf.subject] == common_name
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == lifetime - timedelta(seconds=1)
    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_certificate_is_dated_by_the_moved_clock(desk: Desk) -> None:
    desk.wait("400d")
    order = desk.finalize(desk.proven("a.example.com"))
    assert _certificate(desk, order).not_before == desk.now - timedelta(hours=1)


def test_replaces_is_refused_while_the_replacement_is_open_and_after_it_was_issued(desk: Desk) -> None:
    old = _certificate(desk, desk.finalize(desk.proven("a.example.com")))
    assert old.ari_id == ari_id(x509.load_der_x509_certificate(old.der))
    new = desk.order("a.example.com", "b.example.com", replaces=old.ari_id)
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            desk.order("a.example.com", "b.example.com", replaces=old.ari_id)
        assert (caught.value.problem.type, caught.value.problem.status) == ("alreadyReplaced", 409)
        desk.prove(new)
        if desk.status(new) is OrderStatus.READY:
            desk.finalize(new)


def test_replaces_is_free_again_once_the_replacement_is_dead(desk: Desk) -> None:
    old = _certificate(desk, desk.finalize(desk.proven("a.example.com")))
    new = desk.order("a.example.com", "b.example.com", replaces=old.ari_id)
    desk.deactivate(new, "b.example.com")
    assert desk.order("a.example.com", "b.example.com", replaces=old.ari_id) is not new


def test_replaces_must_name_a_certificate_of_the_account_with_a_name_in_common(desk: Desk) -> None:
    old = _certificate(desk, desk.finalize(desk.proven("a.example.com")))
    for names, ari, account, status in (
        (["a.example.com"], "nonsense", desk.us, 404),
        (["a.example.com"], old.ari_id, desk.account(), 403),
        (["b.example.com"], old.ari_id, desk.us, 400),
    ):
        with pytest.raises(Refused) as caught:
            desk.order(*names, replaces=ari, account=account)
        assert caught.value.problem.status == status


def test_the_renewal_window_lies_at_two_thirds_and_at_once_after_revocation(desk: Desk) -> None:
    found = _certificate(desk, desk.finalize(desk.proven("a.example.com")))
    window = desk.authority.issuing.renewal_window(found.ari_id)
    assert window.start < found.not_before + timedelta(days=60) < window.end
    desk.authority.issuing.revoke(found.der, 0, account=desk.us, by_own_key=False)
    assert desk.authority.issuing.renewal_window(found.ari_id).end <= desk.now
    with pytest.raises(Refused) as caught:
        desk.authority.issuing.renewal_window("nonsense")
    assert caught.value.problem.status == 404


def test_a_short_certificates_window_lies_at_its_half(desk: Desk) -> None:
    found = _certificate(desk, desk.finalize(desk.proven("a.example.com", profile="shortlived")))
    window = desk.authority.issuing.renewal_window(found.ari_id)
    assert window.start < found.not_before + timedelta(hours=80) < window.end


def test_a_certificate_is_revoked_once_by_who_may(desk: Desk) -> None:
    found = _certificate(desk, desk.finalize(desk.proven("a.example.com")))
    stranger = desk.account()
    revoke = desk.authority.issuing.revoke
    with pytest.raises(Refused, match="does not control"):
        revoke(found.der, 0, account=stranger, by_own_key=False)
    with pytest.raises(Refused) as caught:
        revoke(found.der, 2, account=desk.us, by_own_key=False)
    assert caught.value.problem.type == "badRevocationReason"
    desk.prove(desk.order("a.example.com", account=stranger))
    revoke(found.der, 1, account=stranger, by_own_key=False)
    with pytest.raises(Refused) as caught:
        revoke(found.der, 0, account=desk.us, by_own_key=False)
    assert caught.value.problem.type == "alreadyRevoked"
    with pytest.raises(Refused, match="unrecognized issuer"):
        revoke(b"another", 0, account=desk.us, by_own_key=False)


@pytest.mark.parametrize("version", [2, 5])
def test_the_key_of_a_certificate_that_shall_be_revoked_is_read_or_refused_in_words(desk: Desk, version: int) -> None:
    good = _certificate(desk, desk.finalize(desk.proven("a.example.com"))).der
    der = good.replace(bytes([0xA0, 3, 2, 1, 2]), bytes([0xA0, 3, 2, 1, version]), 1)
    if der == good:
        assert certificate_key(der)
        return
    with pytest.raises(Refused) as caught:
        certificate_key(der)
    assert caught.value.problem.type == "malformed"


def test_anothers_certificate_cannot_be_downloaded(desk: Desk) -> None:
    found = _certificate(desk, desk.finalize(desk.proven("a.example.com")))
    assert desk.authority.issuing.certificate(desk.us, found.serial) is found
    with pytest.raises(Refused) as caught:
        desk.authority.issuing.certificate(desk.account(), found.serial)
    assert caught.value.problem.status == 403
    with pytest.raises(Refused) as caught:
        desk.authority.issuing.certificate(desk.us, "0")
    assert caught.value.problem.status == 404
