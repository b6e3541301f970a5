"""What `ca/` does with a real CA: the same tests on Pebble, on the sandbox, and on acme2certifier."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from acme import messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from acmectl.ca import accounts, issuing, orders, proving
from acmectl.ca.accounts import AccountStatus
from acmectl.ca.purpose import Purpose
from acmectl.ca.session import Session
from acmectl.errors import AccountUnknown, CARefused, OrderNotReady
from acmectl.model.names import Identifier
from acmectl.model.orders import Authorization, AuthorizationStatus, ChallengeStatus, Order, OrderStatus
from tests.contract.conftest import CONTACT, Server

LIMIT = timedelta(seconds=20)
Names = tuple[Identifier, ...]


def open_order(session: Session, names: Iterable[Identifier]) -> Order:
    """As every caller does it: a profile where the CA offers any."""
    return orders.new_order(session, names, profile="classic" if session.directory.profiles else None)


def authorizations(session: Session, order: Order) -> dict[Identifier, Authorization]:
    fetched = [orders.fetch_authorization(session, url) for url in order.authorization_urls]
    return {authorization.identifier: authorization for authorization in fetched}


def prove(session: Session, order: Order) -> Order:
    for authorization in authorizations(session, order).values():
        if authorization.status is AuthorizationStatus.PENDING:
            [challenge] = [c for c in authorization.challenges if c.type == "dns-01"]
            proving.answer(session, challenge)
    return orders.wait_for_order(session, order.url, while_in=frozenset({OrderStatus.PENDING}), timeout=LIMIT)


def csr(key: ec.EllipticCurvePrivateKey, names: Iterable[Identifier]) -> bytes:
    alternative_names = x509.SubjectAlternativeName([x509.DNSName(name.value) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    signed = builder.add_extension(alternative_names, critical=False).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def issue(session: Session, names: Names, key: ec.EllipticCurvePrivateKey) -> Order:
    order = issuing.finalize(session, prove(session, open_order(session, names)), csr(key, names))
    return orders.wait_for_order(session, order.url, while_in=frozenset({OrderStatus.PROCESSING}), timeout=LIMIT)


def leads_to(pem: bytes) -> str:
    last = x509.load_pem_x509_certificates(pem)[-1]
    return str(last.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_the_directory_offers_what_we_need(server: Server, session: Session) -> None:
    directory = session.directory

    assert directory.url == server.directory_url
    assert {"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"} <= set(directory.endpoints)
    assert directory.terms_of_service
    assert not directory.external_account_required
    assert bool(directory.profiles) == ("profiles" in server.facts)


def test_a_key_is_registered_once_and_found_again(server: Server, base: str) -> None:
    contact = (f"hostmaster@{base}",)
    key = ec.generate_private_key(ec.SECP256R1())
    with server.session(key) as first, server.session(key) as second, server.session(key) as third:
        made = accounts.register(first, contact=contact, terms_agreed=True)
        again = accounts.register(second, contact=contact, terms_agreed=True)
        found = accounts.find(third)

        assert made.url == again.url == found.url == third.account_url
        assert made.status is found.status is AccountStatus.VALID
        assert found.thumbprint == accounts.thumbprint(key)
        assert accounts.fetch(third).url == made.url


def test_a_key_that_nobody_registered_is_unknown_and_stays_so(server: Server) -> None:
    with server.session(ec.generate_private_key(ec.SECP256R1())) as stranger:
        for _ in range(2):
            with pytest.raises(AccountUnknown) as caught:
                accounts.find(stranger)

        assert stranger.account_url is None
        assert "account import" in str(caught.value.hint)


def test_an_account_url_that_does_not_exist_is_refused(server: Server, session: Session) -> None:
    assert session.account_url is not None
    session.account_url += "0"

    with pytest.raises(CARefused):
        orders.new_order(session, [Identifier("a.example.com")], profile=None)

    assert server.directory_url


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)],
    ids=["P-384", "RSA-2048"],
)
def test_other_kinds_of_account_keys_work(server: Server, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    with Session(server.directory_url, key=key, ca_bundle=server.ca_bundle) as session:
        assert accounts.register(session, contact=CONTACT, terms_agreed=True) == accounts.find(session)


def test_a_new_order_has_one_pending_authorization_for_each_name(session: Session, names: Names) -> None:
    order = open_order(session, names)

    assert order.status is OrderStatus.PENDING
    assert order.identifiers == frozenset(names)
    assert order.expires_at is not None
    assert order.expires_at > session.ca_now()
    found = authorizations(session, order)
    assert set(found) == set(names)
    for name, authorization in found.items():
        assert authorization.status is AuthorizationStatus.PENDING
        assert authorization.validated_at is None
        types = {c.type for c in authorization.challenges if c.token}
        assert types == {"dns-01"} if name.is_wildcard else types >= {"dns-01", "http-01"}


def test_answered_challenges_make_the_order_ready_and_the_next_one_is_born_ready_but_acme2certifier_reuses_none(
    server: Server, session: Session, names: Names
) -> None:
    order = prove(session, open_order(session, names))

    assert order.status is OrderStatus.READY
    for authorization in authorizations(session, order).values():
        assert authorization.status is AuthorizationStatus.VALID
        assert (authorization.validated_at is not None) == ("time of validation" in server.facts)
        if authorization.validated_at:
            assert abs(authorization.validated_at - session.ca_now()) < timedelta(minutes=1)
        assert authorization.expires_at is not None
        assert authorization.expires_at > session.ca_now()
    born = OrderStatus.READY if "reuse" in server.facts else OrderStatus.PENDING
    assert open_order(session, names[:2]).status is born


def test_one_authorization_is_waited_for(session: Session, names: Names) -> None:
    order = open_order(session, names)
    authorization = authorizations(session, order)[names[0]]
    [challenge] = [c for c in authorization.challenges if c.type == "http-01"]

    answered = proving.answer(session, challenge, identifier=names[0])

    assert answered.url == challenge.url
    assert answered.status is not ChallengeStatus.INVALID
    found = orders.wait_for_authorization(session, authorization.url, timeout=LIMIT)
    assert found.status is AuthorizationStatus.VALID
    assert orders.fetch_order(session, order.url).status is OrderStatus.PENDING


def test_a_failed_validation_carries_the_reason_of_the_ca_and_acme2certifier_gives_none(
    strict_server: Server, names: Names
) -> None:
    with strict_server.session() as session:
        order = open_order(session, names[:1])
        [authorization] = authorizations(session, order).values()
        [challenge] = [c for c in authorization.challenges if c.type == "http-01"]

        proving.answer(session, challenge)
        failed = orders.wait_for_authorization(session, authorization.url, timeout=LIMIT)

        assert failed.status is AuthorizationStatus.INVALID
        if "reasons of failures" not in strict_server.facts:
            assert failed.error is None
            assert orders.fetch_order(session, order.url).status is OrderStatus.PENDING
            return
        assert failed.error is not None
        assert failed.error.type in {"connection", "dns"}
        assert failed.error.detail
        assert orders.fetch_order(session, order.url).status is OrderStatus.INVALID


def test_a_ready_order_gives_a_certificate_for_our_key_and_exactly_its_names(session: Session, names: Names) -> None:
    key = ec.generate_private_key(ec.SECP256R1())

    order = issue(session, names, key)
    chain = issuing.download(session, order)

    assert order.status is OrderStatus.VALID
    assert order.certificate_url is not None
    leaf, *others = x509.load_pem_x509_certificates(chain.pem)
    assert leaf.public_key() == key.public_key()
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(san.get_values_for_type(x509.DNSName)) == {name.value for name in names}
    assert leaf.not_valid_before_utc <= datetime.now(UTC) <= leaf.not_valid_after_utc
    assert others
    leaf.verify_directly_issued_by(others[0])


def test_an_alternate_chain_is_known_and_fetched_when_it_is_preferred_and_acme2certifier_has_none(
    server: Server, session: Session, names: Names
) -> None:
    order = issue(session, names, ec.generate_private_key(ec.SECP256R1()))
    default = issuing.download(session, order)
    if "alternate chains" not in server.facts:
        assert default.alternate_urls == ()
        assert issuing.download(session, order, preferred_chain="another root").pem == default.pem
        return
    [alternate_url] = default.alternate_urls
    alternate = session.post(alternate_url, None, Purpose("certificate", "a look")).content
    before = session.requests["certificate"]

    preferred = issuing.download(session, order, preferred_chain=leads_to(alternate))
    as_it_is = issuing.download(session, order, preferred_chain=leads_to(default.pem))

    assert leads_to(default.pem) != leads_to(alternate)
    assert leads_to(preferred.pem) == leads_to(alternate)
    assert as_it_is.pem == default.pem
    assert session.requests["certificate"] - before == 3


def test_finalizing_too_early_is_refused_and_leaves_the_order_pending(session: Session, names: Names) -> None:
    order = open_order(session, names)

    with pytest.raises(OrderNotReady):
        issuing.finalize(session, order, csr(ec.generate_private_key(ec.SECP256R1()), names))

    assert orders.fetch_order(session, order.url).status is OrderStatus.PENDING


def test_finalizing_twice_is_refused(session: Session, names: Names) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    order = issue(session, names, key)

    with pytest.raises(CARefused):
        issuing.finalize(session, order, csr(key, names))

    assert orders.fetch_order(session, order.url).status is OrderStatus.VALID


def test_a_csr_for_other_names_is_refused(session: Session, names: Names) -> None:
    order = prove(session, open_order(session, names))

    with pytest.raises(CARefused) as caught:
        issuing.finalize(session, order, csr(ec.generate_private_key(ec.SECP256R1()), names[:1]))

    assert caught.value.problem.status in {400, 403}
    assert "finalization" in caught.value.message


def test_a_csr_that_is_none_is_refused_but_by_acme2certifier_which_fails_and_processes_for_ever(
    server: Server, session: Session, names: Names
) -> None:
    order = prove(session, open_order(session, names))
    if "refusal of broken CSRs" not in server.facts:
        assert issuing.finalize(session, order, b"no CSR").status is OrderStatus.PROCESSING
        return

    with pytest.raises(CARefused) as caught:
        issuing.finalize(session, order, b"no CSR")

    assert caught.value.problem.status == 400


@pytest.mark.parametrize("proven", [False, True], ids=["pending", "valid"])
def test_a_deactivated_authorization_makes_its_order_invalid_and_is_not_reused_but_acme2certifier_keeps_it(
    server: Server, session: Session, names: Names, *, proven: bool
) -> None:
    order = open_order(session, names)
    if proven:
        prove(session, order)
    given_up = authorizations(session, order)[names[0]]

    after = orders.deactivate_authorization(session, given_up.url)

    if "deactivation of authorizations" not in server.facts:
        assert after.status is given_up.status
        return
    assert after.status is AuthorizationStatus.DEACTIVATED
    assert after.identifier == names[0]
    assert orders.fetch_authorization(session, given_up.url).status is AuthorizationStatus.DEACTIVATED
    # Pebble 2.4 says `deactivated` of the order, which reads as invalid.
    assert orders.fetch_order(session, order.url).status is OrderStatus.INVALID
    fresh = open_order(session, names)
    assert fresh.url != order.url
    assert authorizations(session, fresh)[names[0]].status is AuthorizationStatus.PENDING


def test_the_same_names_get_the_same_pending_order_and_pebble_has_no_order_reuse(
    server: Server, session: Session, names: Names
) -> None:
    first = open_order(session, names)
    second = open_order(session, reversed(names))

    assert (first.url == second.url) == ("order reuse" in server.facts)


def test_an_unknown_profile_is_refused_with_those_on_offer_and_pebble_has_no_profiles(
    server: Server, session: Session, names: Names
) -> None:
    if "profiles" not in server.facts:
        assert orders.new_order(session, names, profile="nonesuch").profile is None
        return

    with pytest.raises(CARefused) as caught:
        orders.new_order(session, names, profile="nonesuch")

    assert caught.value.problem.type == "invalidProfile"
    assert "`classic`" in str(caught.value.hint)


def test_what_does_not_exist_is_refused_with_status_404_and_by_acme2certifier_with_403(
    server: Server, session: Session, names: Names
) -> None:
    order = open_order(session, names)

    for fetch, url in (
        (orders.fetch_order, order.url),
        (orders.fetch_authorization, order.authorization_urls[0]),
    ):
        with pytest.raises(CARefused) as caught:
            fetch(session, f"{url}0")
        assert caught.value.problem.status == (404 if "status 404" in server.facts else 403)


def test_a_deactivated_account_is_refused_and_the_hint_says_so_but_acme2certifier_knows_it_no_more(
    server: Server, session: Session
) -> None:
    assert session.account_url is not None
    deactivation = messages.UpdateRegistration(status=messages.STATUS_DEACTIVATED)
    session.post(session.account_url, deactivation, Purpose("account", "the deactivation"))

    with pytest.raises(CARefused) as caught:
        orders.new_order(session, [Identifier("a.example.com")], profile=None)

    if "status of accounts" in server.facts:
        assert "deactivated" in str(caught.value.hint)
    else:
        assert isinstance(caught.value, AccountUnknown)


def test_newauthz_is_offered_by_acme2certifier_only_and_answers_that_it_is_not_there(
    server: Server, session: Session, names: Names
) -> None:
    assert ("newAuthz" in session.directory.endpoints) == ("newAuthz that is none" in server.facts)
    if "newAuthz" not in session.directory.endpoints:
        return

    with pytest.raises(CARefused) as caught:
        orders.new_authorization(session, names[0])

    assert caught.value.problem.status == 404
    assert open_order(session, names).status is OrderStatus.PENDING


def test_sixteen_threads_succeed_although_good_nonces_are_refused(
    rejecting_server: Server, nonce_reject: int, base: str
) -> None:
    names = tuple(Identifier(f"n{number}.{base}") for number in range(32))
    given_up: list[CARefused] = []

    def insist(act: Callable[[], Order | Session]) -> Any:
        """Once more where all eleven nonces of a request were refused: at 50 % that happens to 1 request in 2048."""
        try:
            return act()
        except CARefused as refused:
            given_up.append(refused)
            return act()

    with insist(rejecting_server.session) as session, ThreadPoolExecutor(16) as pool:
        opened = list(pool.map(lambda name: insist(lambda: open_order(session, [name])), names))
        proven = list(pool.map(lambda order: insist(lambda: prove(session, order)), opened))
        sent = session.requests

    assert {order.status for order in proven} == {OrderStatus.READY}
    assert frozenset().union(*(order.identifiers for order in proven)) == frozenset(names)
    # 64 posts at least: at 15 % all of their nonces are taken in one of 30,000 runs.
    assert sent["newOrder"] + sent["challenge"] > 2 * len(names), "no nonce was refused: the test tested nothing"
    assert {refused.problem.type for refused in given_up} <= {"badNonce"}
    assert len(given_up) <= (0 if nonce_reject == 15 else 3)
