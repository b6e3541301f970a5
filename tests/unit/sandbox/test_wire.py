"""RFC 8555 over the wire: what a request must be, and what comes back."""

from __future__ import annotations

import base64
import hmac
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from acmectl.sandbox.server import Sandbox
from tests.servers.sandbox import running_sandbox
from tests.servers.sandbox_client import Answer, Client, Key, ari_id, csr, encode, jwk, sign

Jws = dict[str, str]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox"), trust=True, limits=None) as running:
        yield running


@pytest.fixture
def stranger(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox.directory_url, sandbox.ca_bundle) as client:
        yield client


@pytest.fixture
def client(stranger: Client) -> Client:
    assert stranger.register().status == 201
    return stranger


def _keys() -> list[tuple[str, Callable[[], Key]]]:
    return [
        ("P-256", lambda: ec.generate_private_key(ec.SECP256R1())),
        ("P-384", lambda: ec.generate_private_key(ec.SECP384R1())),
        ("P-521", lambda: ec.generate_private_key(ec.SECP521R1())),
        ("RSA", lambda: rsa.generate_private_key(65537, 2048)),
    ]


@pytest.mark.parametrize(("kind", "make"), _keys(), ids=[kind for kind, _ in _keys()])
def test_every_kind_of_account_key_goes_from_registration_to_certificate(
    sandbox: Sandbox, kind: str, make: Callable[[], Key]
) -> None:
    with Client(sandbox.directory_url, sandbox.ca_bundle, make()) as client:
        assert client.register().status == 201
        order = client.finalize(client.proven(f"{kind.lower()}.example.com", f"*.{kind.lower()}.example.org"))
        assert order.json["status"] == "valid"
        assert len(client.chain(order)) == 2


def test_the_directory_names_profiles_terms_and_every_endpoint(sandbox: Sandbox, stranger: Client) -> None:
    directory = stranger.directory
    assert set(directory) == {
        "newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo", "meta"
    }  # fmt: skip
    assert set(directory["meta"]["profiles"]) == {"classic", "tlsserver", "shortlived"}
    assert all(url.startswith(sandbox.urls.base) for name, url in directory.items() if name != "meta")
    assert b"no certificate authority for anyone" in stranger.send("GET", directory["meta"]["termsOfService"]).body


def test_pebbles_directory_has_no_profiles_and_its_accounts_list_their_orders(tmp_path: Path) -> None:
    with (
        running_sandbox(tmp_path, rules="pebble", trust=True) as sandbox,
        Client(sandbox.directory_url, sandbox.ca_bundle) as client,
    ):
        assert "profiles" not in client.directory["meta"]
        account = client.register()
        order = client.new_order("a.example.com")
        assert "profile" not in order.json
        assert client.post(account.json["orders"]).json == {"orders": [order.location]}


def test_boulder_lists_no_orders(client: Client) -> None:
    assert "orders" not in client.post(client.kid).json
    assert client.post(f"{client.kid}/orders").status == 404


def test_new_nonce_answers_head_with_200_and_get_with_204(stranger: Client) -> None:
    url = stranger.directory["newNonce"]
    head, get = stranger.send("HEAD", url), stranger.send("GET", url)
    assert (head.status, get.status) == (200, 204)
    assert head.headers["Replay-Nonce"] != get.headers["Replay-Nonce"]
    assert get.headers["Cache-Control"] == "no-store"
    assert f'<{stranger.directory["newNonce"].replace("/acme/new-nonce", "/directory")}>;rel="index"' in (
        get.headers.get_all("Link") or []
    )


def test_a_nonce_is_good_once(client: Client) -> None:
    nonce = client.nonce()
    assert client.post(client.kid, header={"nonce": nonce}).status == 200
    again = client.post(client.kid, header={"nonce": nonce})
    assert (again.status, again.problem) == (400, "badNonce")
    fresh = again.headers["Replay-Nonce"]
    assert client.post(client.kid, header={"nonce": fresh}).status == 200


def test_so_many_good_nonces_are_refused_as_was_asked(tmp_path: Path) -> None:
    with (
        running_sandbox(tmp_path, nonce_reject_percent=50) as sandbox,
        Client(sandbox.directory_url, sandbox.ca_bundle) as client,
    ):
        while client.register().problem == "badNonce":
            pass
        answers = [client.post(client.kid) for _ in range(200)]
        refused = [answer for answer in answers if answer.problem == "badNonce"]
        assert 50 < len(refused) < 150
        assert all(answer.headers["Replay-Nonce"] for answer in refused)


def _swap(part: str, value: str) -> Callable[[Jws], dict[str, Any]]:
    return lambda signed: {**signed, part: value}


_TAMPERED: list[tuple[str, Callable[[Jws], dict[str, Any]], str]] = [
    ("another payload", _swap("payload", encode(b'{"contact": []}')), "malformed"),
    ("another signature", _swap("signature", encode(b"x" * 64)), "malformed"),
    ("a short signature", _swap("signature", encode(b"x")), "malformed"),
    ("no base64", _swap("payload", "&&&"), "malformed"),
    ("impossible base64", _swap("payload", "a"), "malformed"),
    ("no JSON in the header", _swap("protected", encode(b"nothing")), "malformed"),
    ("a list in the header", _swap("protected", encode(b"[]")), "malformed"),
    ("an unprotected header", lambda signed: {**signed, "header": {}}, "malformed"),
    ("several signatures", lambda signed: {**signed, "signatures": []}, "malformed"),
    ("no payload", lambda signed: {k: v for k, v in signed.items() if k != "payload"}, "malformed"),
    ("a number as payload", lambda signed: {**signed, "payload": 1}, "malformed"),
]


@pytest.mark.parametrize(("change", "problem"), [each[1:] for each in _TAMPERED], ids=[each[0] for each in _TAMPERED])
def test_a_tampered_request_is_refused(client: Client, change: Callable[[Jws], dict[str, Any]], problem: str) -> None:
    answer = client.post(client.kid, {}, change=change)
    assert (answer.status, answer.problem) == (400, problem)


@pytest.mark.parametrize(
    ("header", "status", "problem"),
    [
        ({"alg": "ES384"}, 400, "badSignatureAlgorithm"),
        ({"alg": "HS256"}, 400, "badSignatureAlgorithm"),
        ({"alg": "none"}, 400, "badSignatureAlgorithm"),
        ({"alg": None}, 400, "badSignatureAlgorithm"),
        ({"nonce": None}, 400, "badNonce"),
        ({"nonce": 7}, 400, "badNonce"),
        ({"nonce": "made-up"}, 400, "badNonce"),
        ({"url": "https://127.0.0.1/other"}, 403, "unauthorized"),
        ({"url": None}, 403, "unauthorized"),
        ({"kid": None}, 400, "malformed"),
        ({"kid": "https://elsewhere.example/1"}, 400, "malformed"),
        ({"kid": 5}, 400, "malformed"),
        ({"jwk": {}}, 400, "malformed"),
    ],
)
def test_a_wrong_protected_header_is_refused(client: Client, header: dict[str, Any], status: int, problem: str) -> None:
    answer = client.post(client.kid, header=header)
    assert (answer.status, answer.problem) == (status, problem)
    if problem == "badSignatureAlgorithm":
        assert "ES256" in answer.json["algorithms"]


def test_an_unknown_account_does_not_exist(client: Client) -> None:
    answer = client.post(client.kid, header={"kid": client.kid.rpartition("/")[0] + "/1"})
    assert (answer.status, answer.problem) == (400, "accountDoesNotExist")


def test_anothers_key_cannot_sign_for_an_account(client: Client) -> None:
    answer = client.post(client.kid, key=ec.generate_private_key(ec.SECP256R1()))
    assert (answer.status, answer.problem) == (400, "malformed")


def test_only_registration_and_revocation_are_signed_by_a_bare_key(client: Client) -> None:
    assert client.post(client.directory["newOrder"], {}, by_key=True).problem == "malformed"
    assert client.post(client.directory["newAccount"], {}).problem == "malformed"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ({"kty": "oct", "k": "AAAA"}, "badPublicKey"),
        ({"kty": "EC", "crv": "P-256"}, "malformed"),
        ({"kty": "EC", "crv": "P-192", "x": "AA", "y": "AA"}, "badPublicKey"),
        ({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, "badPublicKey"),
        ({"kty": "RSA", "n": encode(b"\xff" * 128), "e": "AQAB"}, "badPublicKey"),
        ("no key", "badPublicKey"),
    ],
)
def test_a_key_that_is_none_is_refused(stranger: Client, key: Any, problem: str) -> None:
    answer = stranger.post(stranger.directory["newAccount"], {}, by_key=True, header={"jwk": key})
    assert (answer.status, answer.problem) == (400, problem)


def test_another_content_type_is_refused(client: Client) -> None:
    answer = client.post(client.kid, content_type="application/json")
    assert (answer.status, answer.problem) == (415, "malformed")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_a_body_that_is_no_jws_is_refused(client: Client, body: bytes) -> None:
    answer = client.send("POST", client.kid, body, {"Content-Type": "application/jose+json"})
    assert (answer.status, answer.problem) == (400, "malformed")


def test_a_plain_get_of_a_resource_is_not_allowed(client: Client) -> None:
    answer = client.send("GET", client.kid)
    assert (answer.status, answer.problem) == (405, "malformed")


@pytest.mark.parametrize("path", ["/", "/acme/nothing", "/acme/order/x", "/acme/order/1/2/3", "//", "/%00%ff"])
def test_an_unknown_path_is_not_found(sandbox: Sandbox, client: Client, path: str) -> None:
    answer = client.send("GET", sandbox.urls.base + path)
    assert (answer.status, answer.problem) == (404, "malformed")


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Host": ""}])
def test_requests_for_other_hosts_and_of_web_pages_are_refused(client: Client, headers: dict[str, str]) -> None:
    assert client.send("GET", client.kid.partition("/acme")[0] + "/management/counts", headers=headers).status == 403


def test_an_account_is_found_by_its_key_and_never_registered_twice(client: Client) -> None:
    url = client.kid
    assert client.register().status == 200
    found = client.post(client.directory["newAccount"], {"onlyReturnExisting": True}, by_key=True)
    assert (found.status, found.location) == (200, url)
    assert found.json["key"] == jwk(client.key)


def test_only_return_existing_registers_nobody(stranger: Client) -> None:
    for _ in range(2):
        answer = stranger.post(stranger.directory["newAccount"], {"onlyReturnExisting": True}, by_key=True)
        assert (answer.status, answer.problem) == (400, "accountDoesNotExist")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"termsOfServiceAgreed": False}, "userActionRequired"),
        ({"contact": ["tel:+123"]}, "unsupportedContact"),
        ({"contact": ["mailto:"]}, "invalidContact"),
        ({"contact": ["mailto:a@b.test,c@d.test"]}, "invalidContact"),
        ({"contact": ["mailto:a@example.com"]}, "invalidContact"),
        ({"contact": "mailto:a@b.test"}, "malformed"),
        ({"contact": ["mailto:a@b.test"] * 11}, "malformed"),
    ],
)
def test_a_registration_that_no_ca_takes_is_refused(stranger: Client, fields: dict[str, Any], problem: str) -> None:
    assert stranger.register(**fields).problem == problem


def test_contacts_can_be_given_changed_and_removed(stranger: Client) -> None:
    assert stranger.register(contact=["mailto:a@b.test"]).json["contact"] == ["mailto:a@b.test"]
    assert stranger.post(stranger.kid, {"contact": ["mailto:c@d.test"]}).json["contact"] == ["mailto:c@d.test"]
    assert stranger.post(stranger.kid, {"contact": None}).json["contact"] == []
    assert stranger.post(stranger.kid, {"status": "odd"}).problem == "malformed"


def test_a_deactivated_account_can_do_nothing_any_more(client: Client) -> None:
    assert client.post(client.kid, {"status": "deactivated"}).json["status"] == "deactivated"
    for answer in (client.post(client.kid), client.new_order("a.example.com"), client.register()):
        assert (answer.status, answer.problem) == (403, "unauthorized")


def test_anothers_account_cannot_be_read(sandbox: Sandbox, client: Client) -> None:
    with Client(sandbox.directory_url, sandbox.ca_bundle) as other:
        other.register()
        assert other.post(client.kid).status == 403


def _key_change(client: Client, new: Key, *, account: str | None = None, old: Key | None = None) -> Answer:
    url = client.directory["keyChange"]
    wish = {"account": account or client.kid, "oldKey": jwk(old or client.key)}
    header = {"alg": "ES256", "jwk": jwk(new), "url": url}
    return client.post(url, sign(new, header, json.dumps(wish).encode()))


def test_a_key_change_keeps_authorizations_and_stops_the_old_key(client: Client) -> None:
    new = ec.generate_private_key(ec.SECP256R1())
    order = client.proven("keychange.example.com")
    assert _key_change(client, new).status == 200
    assert client.post(client.kid).problem == "malformed"
    client.key = new
    assert client.post(order.location).json["status"] == "ready"


def test_a_key_change_to_a_key_in_use_is_a_conflict_and_changes_nothing(sandbox: Sandbox, client: Client) -> None:
    with Client(sandbox.directory_url, sandbox.ca_bundle) as other:
        other.register()
        answer = _key_change(client, other.key)
        assert (answer.status, answer.problem, answer.location) == (409, "conflict", other.kid)
    assert client.post(client.kid).status == 200


def test_a_key_change_for_another_account_or_key_is_refused(client: Client) -> None:
    new = ec.generate_private_key(ec.SECP256R1())
    assert _key_change(client, new, account=client.kid + "1").problem == "malformed"
    assert _key_change(client, new, old=new).problem == "malformed"
    url = client.directory["keyChange"]
    inner = sign(new, {"alg": "ES256", "jwk": jwk(new), "url": url + "x"}, b"{}")
    assert client.post(url, inner).problem == "malformed"


def test_an_external_account_is_bound_by_its_mac(tmp_path: Path) -> None:
    with (
        running_sandbox(tmp_path, external_accounts={"kid-1": b"secret"}) as sandbox,
        Client(sandbox.directory_url, sandbox.ca_bundle) as client,
    ):
        assert client.directory["meta"]["externalAccountRequired"] is True
        assert client.register().problem == "externalAccountRequired"
        for kid, secret, key in (
            ("kid-2", b"secret", client.key),
            ("kid-1", b"wrong", client.key),
            ("kid-1", b"secret", ec.generate_private_key(ec.SECP256R1())),
        ):
            assert client.register(externalAccountBinding=_binding(client, kid, secret, key)).problem
        bound = client.register(externalAccountBinding=_binding(client, "kid-1", b"secret", client.key))
        assert bound.status == 201


def _binding(client: Client, kid: str, secret: bytes, key: Key) -> dict[str, str]:
    header = {"alg": "HS256", "kid": kid, "url": client.directory["newAccount"]}
    protected, payload = encode(json.dumps(header).encode()), encode(json.dumps(jwk(key)).encode())
    mac = hmac.digest(secret, f"{protected}.{payload}".encode(), "sha256")
    return {"protected": protected, "payload": payload, "signature": encode(mac)}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"notBefore": "2027-01-01T00:00:00Z"}, "malformed"),
        ({"identifiers": "a.example.com"}, "malformed"),
        ({"identifiers": []}, "malformed"),
        ({"identifiers": [1]}, "malformed"),
        ({"identifiers": [{"type": "dns"}]}, "malformed"),
        ({"identifiers": [{"type": "email", "value": "a@example.com"}]}, "unsupportedIdentifier"),
        ({"identifiers": [{"type": "dns", "value": "192.0.2.1"}]}, "rejectedIdentifier"),
        ({"identifiers": [{"type": "ip", "value": "a.example.com"}]}, "rejectedIdentifier"),
        ({"profile": 1}, "malformed"),
        ({"replaces": ["x"]}, "malformed"),
    ],
)
def test_a_new_order_that_makes_no_sense_is_refused(client: Client, fields: dict[str, Any], problem: str) -> None:
    assert client.new_order("a.example.com", **fields).problem == problem


def test_an_order_shows_what_rfc_8555_asks_for(client: Client) -> None:
    answer = client.new_order("Two.example.com", "*.one.example.com")
    order = answer.json
    assert answer.status == 201
    assert order["identifiers"] == [
        {"type": "dns", "value": "*.one.example.com"},
        {"type": "dns", "value": "two.example.com"},
    ]
    assert (order["status"], order["profile"]) == ("pending", "classic")
    parts = client.authorizations(answer)
    assert set(parts) == {"two.example.com", "*.one.example.com"}
    wildcard = parts["*.one.example.com"][1]
    assert wildcard["wildcard"] is True
    assert wildcard["identifier"] == {"type": "dns", "value": "one.example.com"}
    assert client.post(answer.location).headers["Retry-After"] == "1"


def test_a_challenge_is_processing_then_valid_and_links_up(tmp_path: Path) -> None:
    from datetime import timedelta

    with (
        running_sandbox(tmp_path, trust=True, validation_delay=timedelta(seconds=0.3)) as sandbox,
        Client(sandbox.directory_url, sandbox.ca_bundle) as client,
    ):
        client.register()
        [(url, document)] = client.authorizations(client.new_order("a.example.com")).values()
        challenge = client.challenge(document, "http-01")
        answered = client.post(challenge["url"], {})
        assert answered.json["status"] == "processing"
        assert f'<{url}>;rel="up"' in (answered.headers.get_all("Link") or [])
        assert client.post(challenge["url"]).json["status"] == "processing"
        settled = client.settled(url).json
        assert settled["status"] == "valid"
        assert settled["challenges"][0]["validated"]


def test_an_authorization_can_only_be_deactivated(client: Client) -> None:
    [(url, _)] = client.authorizations(client.new_order("deactivated.example.com")).values()
    assert client.post(url, {"status": "valid"}).problem == "malformed"
    assert client.post(url, {"status": "deactivated"}).json["status"] == "deactivated"


def test_the_default_chain_and_the_alternate_end_in_their_roots(sandbox: Sandbox, client: Client) -> None:
    order = client.finalize(client.proven("chain.example.com"))
    answer = client.post(order.json["certificate"])
    assert answer.headers.get_content_type() == "application/pem-certificate-chain"
    alternate = f"{order.json['certificate']}/1"
    assert f'<{alternate}>;rel="alternate"' in (answer.headers.get_all("Link") or [])
    leaf, intermediate = x509.load_pem_x509_certificates(answer.body)
    other_leaf, cross = x509.load_pem_x509_certificates(client.post(alternate).body)
    roots = [
        x509.load_pem_x509_certificate((sandbox.ca_bundle.parent / name).read_bytes())
        for name in ("root.pem", "alternate-root.pem")
    ]
    assert leaf == other_leaf
    leaf.verify_directly_issued_by(intermediate)
    intermediate.verify_directly_issued_by(roots[0])
    cross.verify_directly_issued_by(roots[1])
    assert client.post(f"{order.json['certificate']}/2").status == 404


def test_finalize_without_a_csr_is_malformed(client: Client) -> None:
    order = client.proven("nocsr.example.com")
    for payload in ({}, {"csr": 1}, {"csr": "&"}):
        assert client.post(order.json["finalize"], payload).problem == "malformed"


def test_a_processing_order_says_when_to_come_back(tmp_path: Path) -> None:
    from datetime import timedelta

    with (
        running_sandbox(tmp_path, trust=True, issue_delay=timedelta(seconds=0.3)) as sandbox,
        Client(sandbox.directory_url, sandbox.ca_bundle) as client,
    ):
        client.register()
        order = client.finalize(client.proven("a.example.com"))
        assert (order.json["status"], order.headers["Retry-After"]) == ("processing", "1")
        assert "certificate" in client.settled(order.location, while_in="processing").json


def test_a_certificate_is_revoked_by_its_account_or_its_own_key(client: Client) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    url = client.directory["revokeCert"]
    for by_own_key in (True, False):
        order = client.finalize(client.proven("revoked.example.com"), csr(["revoked.example.com"], own))
        der = client.chain(order)[0].public_bytes(serialization.Encoding.DER)
        wrong = client.post(url, {"certificate": encode(der)}, by_key=True, key=ec.generate_private_key(ec.SECP256R1()))
        assert wrong.status == 403
        if by_own_key:
            assert client.post(url, {"certificate": encode(der)}, by_key=True, key=own).status == 200
        else:
            assert client.post(url, {"certificate": encode(der), "reason": 4}).status == 200
        assert client.post(url, {"certificate": encode(der)}).problem == "alreadyRevoked"
    assert client.post(url, {"certificate": encode(b"junk")}, by_key=True, key=own).problem == "malformed"
    assert client.post(url, {}).problem == "malformed"


def test_renewal_info_is_told_to_everybody_with_a_retry_after(client: Client) -> None:
    order = client.finalize(client.proven("ari.example.com"))
    name = ari_id(client.chain(order)[0])
    answer = client.send("GET", f"{client.directory['renewalInfo']}/{name}")
    assert answer.status == 200
    assert set(answer.json["suggestedWindow"]) == {"start", "end"}
    assert int(answer.headers["Retry-After"]) > 60
    assert client.new_order("ari.example.com", replaces=name).json["replaces"]
    assert client.new_order("ari.example.com", replaces=name).problem == "alreadyReplaced"


def test_a_rate_limit_says_when_to_come_back(tmp_path: Path) -> None:
    with (
        running_sandbox(tmp_path, trust=True) as sandbox,
        Client(sandbox.directory_url, sandbox.ca_bundle) as client,
    ):
        client.register()
        for _ in range(5):
            [(url, _)] = client.authorizations(client.new_order("a.example.com")).values()
            client.post(url, {"status": "deactivated"})
        answer = client.new_order("a.example.com")
        assert (answer.status, answer.problem) == (429, "rateLimited")
        assert 0 < int(answer.headers["Retry-After"]) <= 720


def test_requests_are_counted_by_kind_and_by_user_agent(tmp_path: Path) -> None:
    with (
        running_sandbox(tmp_path, trust=True) as sandbox,
        Client(sandbox.directory_url, sandbox.ca_bundle, agent="master") as master,
        Client(sandbox.directory_url, sandbox.ca_bundle, master.key, agent="follower") as follower,
    ):
        master.register()
        follower.register()
        master.proven("a.example.com")
        follower.finalize(follower.new_order("a.example.com"))
        follower.send("GET", sandbox.urls.base + "/nonsense")
        assert sandbox.counts.by_user_agent("challenge") == {"master": 1}
        assert sandbox.counts.by_user_agent("finalize") == {"follower": 1}
        assert sandbox.counts["newOrder"] == 2
        assert sandbox.counts["deactivate"] == 0
        assert sandbox.counts.by_kind()["unknown"] == 1
        account = int(master.kid.rpartition("/")[2])
        assert {seen.account for seen, _ in sandbox.counts.snapshot() if seen.kind == "challenge"} == {account}
        sandbox.counts.reset()
        assert not sandbox.counts.by_kind()


def test_the_socket_of_a_stopped_sandbox_is_closed(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        port = int(sandbox.directory_url.rsplit(":", 1)[1].partition("/")[0])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_object_numbers_of_two_sandboxes_differ(tmp_path: Path) -> None:
    urls = []
    for name in ("first", "second"):
        with (
            running_sandbox(tmp_path / name) as sandbox,
            Client(sandbox.directory_url, sandbox.ca_bundle) as client,
        ):
            urls.append(client.register().location.rpartition("/")[2])
    assert urls[0] != urls[1]


def test_tokens_have_enough_bits_and_differ(client: Client) -> None:
    parts = client.authorizations(client.new_order("t1.example.com", "t2.example.com"))
    tokens = {each["token"] for _, document in parts.values() for each in document["challenges"]}
    assert len(tokens) == 2
    assert all(len(base64.urlsafe_b64decode(token + "=")) * 8 >= 128 for token in tokens)
