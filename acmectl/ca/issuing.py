"""Issuing (RFC 8555 sections 7.4 and 7.4.2): the follower's side, which no master may import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl import keys
from acmectl.ca import caa, problems
from acmectl.ca.fields import is_url
from acmectl.ca.orders import fetch_order, listed
from acmectl.ca.purpose import Purpose
from acmectl.ca.reading import read_order
from acmectl.ca.session import Session
from acmectl.ca.unsure import until_known
from acmectl.errors import CAProtocolError, CARefused, Problem
from acmectl.model.orders import Order, OrderStatus

if TYPE_CHECKING:
    from cryptography import x509
    from requests import Response

_PEM_CHAIN = "application/pem-certificate-chain"
_CERTIFICATE = Purpose("certificate", "to hand out the certificate", waits=True)


@dataclass(frozen=True, slots=True)
class Chain:
    """A certificate with its chain, as the CA sent it. `as_preferred` is False where a preference could not be met."""

    pem: bytes
    alternate_urls: tuple[str, ...]
    as_preferred: bool = True


def finalize(session: Session, order: Order, csr_der: bytes) -> Order:
    """Ask for the certificate of an order that is ready; `wait_for_order` while it is `processing`.

    Where the reply is lost the order is looked at, and finalized again only if it is still ready. Raises OrderNotReady when
    it came too early or another host was faster: look at the order again, and decide from its state.
    """
    from acmectl.ca import messages

    purpose = Purpose("finalize", _finalization_of(order), repeatable=False)

    def send() -> Order:
        try:
            response = session.post(order.finalize_url, messages.finalization(csr_der), purpose)
        except CARefused as refused:
            if refused.problem.type != "caa":
                raise
            raise _explained(session, order, refused) from refused
        session.look_later(order.url, response)
        return read_order(response, order.url)

    return until_known(
        session,
        send=send,
        look=lambda: fetch_order(session, order.url),
        undone=lambda seen: seen.status is OrderStatus.READY,
    )


def refused(session: Session, order: Order) -> CARefused:
    """Why an order that was finalized turned invalid, where the CA says so in its `error`."""
    problem = order.error or Problem("serverInternal", "the CA does not say why")
    refusal = CARefused(problem, doing=_finalization_of(order), hint=problems.hint_of(problem.type))
    return _explained(session, order, refusal) if problem.type == "caa" else refusal


def _explained(session: Session, order: Order, refused: CARefused) -> CARefused:
    hint = caa.hint(refused.problem, order.identifiers, session.directory, session.account_url)
    return CARefused(refused.problem, doing=_finalization_of(order), hint=hint, retry_after=refused.retry_after)


def _finalization_of(order: Order) -> str:
    return f"the finalization of the order for {listed(sorted(order.identifiers))}"


def download(session: Session, order: Order, *, preferred_chain: str | None = None) -> Chain:
    """The certificate of a valid order, leaf first.

    `preferred_chain` is the common name of the root that the chain should lead to (the issuer of its last certificate).
    Alternates are only fetched where the default does not lead there; if none does, the default is returned.
    """
    if order.certificate_url is None:
        raise CAProtocolError(f"the order `{order.url}` is {order.status} and names no certificate")
    pem, alternates = _fetch(session, order.certificate_url)
    if preferred_chain is None or _leads_to(pem, order.certificate_url) == preferred_chain:
        return Chain(pem, alternates)
    for url in alternates:
        other, _ = _fetch(session, url)
        if _leads_to(other, url) == preferred_chain:
            return Chain(other, alternates)
    return Chain(pem, alternates, as_preferred=False)


def _fetch(session: Session, url: str) -> tuple[bytes, tuple[str, ...]]:
    response = session.post(url, None, _CERTIFICATE, accept=_PEM_CHAIN)
    _certificates(response.content, url)
    return response.content, _alternates(response)


def _certificates(pem: bytes, url: str) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except keys.unreadable() as cause:
        raise CAProtocolError(f"the answer of `{url}` cannot be used: it is no chain of PEM certificates") from cause


def _leads_to(pem: bytes, url: str) -> str | None:
    """The common name of the issuer of the last certificate, as the CA's documentation names a chain."""
    from cryptography.x509.oid import NameOID

    names = _certificates(pem, url)[-1].issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else None


def _alternates(response: Response) -> tuple[str, ...]:
    """The URLs of `Link: <...>;rel="alternate"`. `response.links` keeps only the last one of a relation."""
    from requests.utils import parse_header_links

    links = parse_header_links(response.headers.get("Link", ""))
    return tuple(link["url"] for link in links if link.get("rel") == "alternate" and is_url(link.get("url")))
