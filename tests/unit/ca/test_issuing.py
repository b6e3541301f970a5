from __future__ import annotations

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from acmectl.ca.issuing import Chain, download
from acmectl.ca.session import Session
from acmectl.errors import CAProtocolError
from acmectl.model.orders import Order, OrderStatus
from tests.servers.faults import FaultyCA, Reply
from tests.servers.tls import server_tls

CERTIFICATE = "POST /certificate/1"


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """PEM chains by the common name of the root that they lead to."""
    directory = tmp_path_factory.mktemp("chains")
    return {
        f"root of {name}": server_tls(directory / name).certificate.read_bytes() for name in ("one", "two", "three")
    }


def valid_order(ca: FaultyCA) -> Order:
    return Order(
        url=f"{ca.base}/order/1",
        status=OrderStatus.VALID,
        identifiers=frozenset(),
        authorization_urls=(),
        finalize_url=f"{ca.base}/finalize/1",
        certificate_url=f"{ca.base}/certificate/1",
    )


def offer(ca: FaultyCA, chains: dict[str, bytes]) -> None:
    links = ", ".join(f'<{ca.base}/certificate/{n}>;rel="alternate"' for n in (2, 3))
    for number, pem in enumerate(chains.values(), 1):
        link = f'<{ca.base}/directory>;rel="index", {links}' if number == 1 else ""
        ca.script(
            f"POST /certificate/{number}",
            Reply(200, pem, {"Content-Type": "application/pem-certificate-chain", "Link": link}),
        )


def test_alternates_are_known_and_not_fetched(ca: FaultyCA, session: Session, chains: dict[str, bytes]) -> None:
    offer(ca, chains)

    chain = download(session, valid_order(ca))

    assert chain == Chain(chains["root of one"], (f"{ca.base}/certificate/2", f"{ca.base}/certificate/3"))
    assert session.requests["certificate"] == 1
    assert ca.asked(CERTIFICATE)[0].headers["Accept"] == "application/pem-certificate-chain"


@pytest.mark.parametrize(
    ("preferred", "requests"), [("root of one", 1), ("root of two", 2), ("root of three", 3), ("root of four", 3)]
)
def test_alternates_are_fetched_until_one_leads_to_the_preferred_root(
    ca: FaultyCA, session: Session, chains: dict[str, bytes], preferred: str, requests: int
) -> None:
    offer(ca, chains)

    chain = download(session, valid_order(ca), preferred_chain=preferred)

    assert chain.pem == chains.get(preferred, chains["root of one"])
    assert chain.as_preferred == (preferred in chains)
    assert session.requests["certificate"] == requests


def test_a_certificate_of_a_version_that_there_is_not_is_a_protocol_error(
    ca: FaultyCA, session: Session, chains: dict[str, bytes]
) -> None:
    leaf = x509.load_pem_x509_certificate(chains["root of one"]).public_bytes(Encoding.DER)
    odd = ssl.DER_cert_to_PEM_cert(leaf.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101"), 1))
    ca.script(CERTIFICATE, Reply(200, odd.encode()))

    with pytest.raises(CAProtocolError, match="no chain of PEM certificates"):
        download(session, valid_order(ca))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>hello</html>",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\ncut off",
        b"\xff\x00",
    ],
)
def test_what_is_no_chain_is_a_protocol_error(ca: FaultyCA, session: Session, body: bytes) -> None:
    ca.script(CERTIFICATE, Reply(200, body))

    with pytest.raises(CAProtocolError, match="no chain of PEM certificates"):
        download(session, valid_order(ca))


def test_der_is_no_chain(ca: FaultyCA, session: Session, chains: dict[str, bytes]) -> None:
    certificate = x509.load_pem_x509_certificate(chains["root of one"])
    ca.script(CERTIFICATE, Reply(200, certificate.public_bytes(Encoding.DER)))

    with pytest.raises(CAProtocolError):
        download(session, valid_order(ca))


def test_an_order_without_a_certificate_is_an_error(ca: FaultyCA, session: Session) -> None:
    order = Order(f"{ca.base}/order/1", OrderStatus.READY, frozenset(), (), f"{ca.base}/finalize/1")

    with pytest.raises(CAProtocolError, match="is ready and names no certificate"):
        download(session, order)
