"""From an order that is ready to a generation in use: draft, finalize, download, compare, switch.

The key (or the person's CSR) is made only now, and is safe on the disk before finalize is sent, so that a run that is
killed is resumed with it and one order gives one certificate.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl import keys
from acmectl.ca import issuing, orders
from acmectl.errors import CAError, CARefused, KeyMaterialError, OrderNotReady
from acmectl.follower import key_making
from acmectl.follower.outcomes import Issued, LostRace
from acmectl.model.certificates import Installed, Issuance
from acmectl.model.orders import Order, OrderStatus
from acmectl.policy import order_flow, renewal
from acmectl.policy.order_flow import Step

if TYPE_CHECKING:
    from acmectl.follower.commission import Commission
    from acmectl.model.names import Identifier
    from acmectl.storage.certificates import Draft

log = logging.getLogger(__name__)

ISSUE_TIMEOUT = timedelta(minutes=5)


def finish(commission: Commission, order: Order) -> Issued:
    """Make the next generation of an order that is ready. Raises LostRace, CAError, KeyMaterialError, StorageError."""
    draft = key_making.begin(commission.certificates, commission.spec)
    commission.memory.save_follower_order(replace(commission.order_given(), draft=draft.generation))
    return send(commission, order, draft)


def send(commission: Commission, order: Order, draft: Draft) -> Issued:
    """Finalize with a draft that is on the disk. Raises as `finish` does."""
    try:
        order = issuing.finalize(commission.session, order, key_making.csr_of(draft, commission.spec))
    except OrderNotReady:
        order = orders.fetch_order(commission.session, order.url)
    except CARefused:
        commission.abandon(draft)
        raise
    return collect(commission, order, draft)


def collect(commission: Commission, order: Order, draft: Draft) -> Issued:
    """Wait for the certificate of an order that was finalized, and put it into use. Raises as `finish` does."""
    if order.status is OrderStatus.PROCESSING:
        order = orders.wait_for_order(
            commission.session, order.url, while_in=frozenset({OrderStatus.PROCESSING}), timeout=ISSUE_TIMEOUT
        )
    match order_flow.after_answer(order, finalized=True):
        case Step.DOWNLOAD:
            return _install(commission, order, draft)
        case Step.POLL:
            raise CAError(
                f"the CA has not issued the certificate within {ISSUE_TIMEOUT.total_seconds():g} s",
                hint="the next run goes on with this order",
            )
        case _:
            commission.abandon(draft)
            if order_flow.is_refusal(order.error):
                raise issuing.refused(commission.session, order)
            reason = f": {order.error}" if order.error else ""
            raise LostRace(f"the order is `{order.status}` after finalization{reason}")


def use(commission: Commission, complete: Installed, *, warning: str | None = None) -> Issued:
    """Put a complete generation into use. Raises StorageError."""
    spec = commission.spec
    commission.memory.save_issuance(_noted(commission, complete))
    commission.certificates.switch(spec.label, complete.generation)
    commission.memory.forget_follower_order(spec.label)
    key_making.keep_prepared(commission.certificates, spec)
    return Issued(complete, warning)


def _noted(commission: Commission, complete: Installed) -> Issuance:
    """What is remembered of it, while the one that it replaces is still in use."""
    label, memory, now = commission.spec.label, commission.memory, commission.clock()
    replaced = commission.certificates.current(label)
    hurried = replaced is not None and renewal.is_hurried(
        replaced, memory.issuance(replaced), memory.renewal_info(label), now
    )
    return replace(issuance(commission, complete), issued_at=now, hurried=hurried)


def issuance(commission: Commission, installed: Installed) -> Issuance:
    """What `installed` was asked for with."""
    return Issuance(
        label=installed.label,
        generation=installed.generation,
        fingerprint=installed.fingerprint,
        directory_url=commission.directory_url,
        profile=commission.spec.profile,
        names=commission.spec.names,
    )


def _install(commission: Commission, order: Order, draft: Draft) -> Issued:
    preferred = commission.spec.preferred_chain
    chain = issuing.download(commission.session, order, preferred_chain=preferred)
    leaf = _read(commission, draft, chain.pem)
    if leaf.spki != draft.spki:
        commission.abandon(draft)
        raise LostRace("the order holds another host's certificate")
    _check_names(commission, draft, leaf.names)
    installed = commission.certificates.complete(draft, chain.pem)
    other_chain = None if chain.as_preferred else f"the CA has no chain to `{preferred}`: its usual one was taken"
    remarks = (other_chain, key_making.remark(commission.certificates, commission.spec, draft.spki))
    return use(commission, installed, warning="; ".join(filter(None, remarks)) or None)


def _read(commission: Commission, draft: Draft, chain_pem: bytes) -> keys.LeafFacts:
    """What the CA's answer says. A fresh order would bring no better one: the certificate was issued, and counts against the CA's limits."""
    try:
        return keys.read_chain(chain_pem)
    except KeyMaterialError as garbled:
        commission.abandon(draft)
        raise CAError(
            f"the CA sent a certificate that cannot be used: {garbled.message}",
            hint="tell the CA; a later run orders again",
        ) from garbled


def _check_names(commission: Commission, draft: Draft, certified: frozenset[Identifier]) -> None:
    """A certificate without a wanted name is none, and would be due again at once; more names do no harm."""
    wanted = commission.spec.names
    lacking = sorted(wanted - certified)
    if lacking:
        commission.abandon(draft)
        raise CAError(
            f"the CA issued a certificate without {', '.join(f'`{name}`' for name in lacking)}",
            hint="ask the CA why it leaves out what was ordered, or take the names out of the certificate",
        )
    if certified != wanted:
        log.info("%s: the CA added %s", commission.spec.title, ", ".join(map(str, sorted(certified - wanted))))
