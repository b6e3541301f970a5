"""Finalization, revocation and renewal information (RFC 8555 sections 7.4 and 7.6, RFC 9773)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import Problem
from acmectl.model.names import Identifier
from acmectl.model.orders import OrderStatus
from acmectl.sandbox.objects import Account, Certificate, Order
from acmectl.sandbox.problems import Refused, not_found, refuse, unauthorized
from acmectl.sandbox.signing_requests import Request, read_request
from acmectl.sandbox.state import State, Window

if TYPE_CHECKING:
    from acmectl.sandbox.issuer import Issuer

_PROFILE_WITH_COMMON_NAME = frozenset({"", "classic"})
_REASONS = frozenset({0, 1, 3, 4, 5})  # those that Let's Encrypt takes
_LONG_LIVED = timedelta(days=10)


class Issuing:
    """What happens to orders that are ready, and to certificates. `later` runs a function after a delay, elsewhere."""

    def __init__(self, state: State, issuer: Issuer, later: Callable[[timedelta, Callable[[], None]], None]) -> None:
        self._state = state
        self._issuer = issuer
        self._later = later

    def find_order(self, account: Account, number: int) -> Order:
        """An order of `account`; 404 for any other, and for an expired one (Boulder)."""
        with self._state.lock:
            found = self._state.store.orders.get(number)
            if found is None or found.account_id != account.id:
                raise not_found(f"No order found for account ID {account.id}")
            if self._state.rules.hides_expired and found.expires_at <= self._state.clock.now():
                raise not_found("No such order, or it has expired")
            return found

    def finalize(self, account: Account, number: int, csr_der: bytes) -> Order:
        """Begin to issue, or refuse: 403 `orderNotReady`, `caa`, 400 `badCSR`."""
        with self._state.lock:
            order = self.find_order(account, number)
            self._refuse_unready(order)
            request = read_request(csr_der, order.names, account.jwk)
            self._refuse_by_caa(order)
            order.processing = True
            delay = self._state.rules.issue_delay
        if delay:
            self._later(delay, lambda: self._issue(order, request))
        else:
            self._issue(order, request)
        return order

    def certificate(self, account: Account, serial: str) -> Certificate:
        """A certificate of `account`."""
        with self._state.lock:
            found = self._state.store.certificates.get(serial)
        if found is None:
            raise not_found("Certificate not found")
        if found.account_id != account.id:
            raise unauthorized("Account in use did not issue specified certificate")
        return found

    def revoke(self, der: bytes, reason: int, *, account: Account | None, by_own_key: bool) -> None:
        """Revoke (RFC 8555 section 7.6): by the account that ordered, by one authorized for all names, or by the key."""
        if reason not in _REASONS:
            raise refuse("badRevocationReason", f"unsupported revocation reason code provided: {reason}")
        with self._state.lock:
            found = next((c for c in self._state.store.certificates.values() if c.der == der), None)
            if found is None:
                raise not_found("Certificate from unrecognized issuer, or unknown here")
            if not by_own_key and (account is None or not self._may_revoke(account, found)):
                raise unauthorized("account does not control all names in the certificate")
            if found.revoked_at is not None:
                raise refuse("alreadyRevoked", f"Certificate with serial {found.serial} was already revoked")
            found.revoked_at = self._state.clock.now()

    def renewal_window(self, ari_id: str) -> Window:
        """When to renew: with a third of the lifetime left, half of a short one; at once if revoked; or as a rehearsal wants."""
        with self._state.lock:
            found = self._state.store.by_ari_id.get(ari_id)
            now = self._state.clock.now()
            windows = self._state.injections.windows
        if found is None:
            raise not_found("Certificate replaced by this order was not found")
        if found.revoked_at is not None:
            return Window(now - timedelta(hours=1), now)
        if moved := [windows[name.value] for name in found.names if name.value in windows]:
            return moved[0]
        lifetime = found.not_after - found.not_before
        ideal = found.not_after - lifetime / (3 if lifetime > _LONG_LIVED else 2)
        return Window(ideal - lifetime / 100, ideal + lifetime / 100)

    def _refuse_unready(self, order: Order) -> None:
        """403 unless ready. A second host that finalizes at once can spoil the order of the first (CA quirk: Boulder)."""
        status = self._state.order_status(order, self._state.clock.now())
        if status is OrderStatus.READY:
            return
        if status is OrderStatus.PROCESSING and self._state.happens(self._state.rules.race_invalid_percent):
            order.error = Problem("serverInternal", "Unable to set order processing", 500)
        raise refuse("orderNotReady", f'Order\'s status ("{status}") is not acceptable for finalization', 403)

    def _refuse_by_caa(self, order: Order) -> None:
        caa = self._state.injections.caa
        forbidden = [name for name in sorted(order.names) if name.value in caa or name.base in caa]
        if not forbidden:
            return
        faults = tuple(_caa_fault(name) for name in forbidden)
        outcome = caa.get(forbidden[0].value) or caa[forbidden[0].base]
        problem = Problem("caa", f"Rechecking CAA: {faults[0].detail}", 403, subproblems=faults)
        if outcome == "invalid":
            order.error = problem
        raise Refused(problem)

    def _issue(self, order: Order, request: Request) -> None:
        rules = self._state.rules.profile(order.profile, self._state.clock.now())
        now = self._state.clock.now()
        leaf = self._issuer.issue(
            request.public_key,
            [name.value for name in order.names],
            now=now,
            lifetime=rules.certificate_lifetime,
            common_name=order.profile in _PROFILE_WITH_COMMON_NAME,
        )
        with self._state.lock:
            is_renewal = order.names in self._state.store.issued_sets
            self._state.limits.issued(
                order.names, now, is_renewal=is_renewal, is_replacement=order.replaces is not None
            )
            self._state.store.add_certificate(
                Certificate(
                    serial=leaf.serial,
                    ari_id=leaf.ari_id,
                    account_id=order.account_id,
                    names=order.names,
                    der=leaf.der,
                    chains=leaf.chains,
                    not_before=leaf.not_before,
                    not_after=leaf.not_after,
                )
            )
            order.serial = leaf.serial

    def _may_revoke(self, account: Account, certificate: Certificate) -> bool:
        if certificate.account_id == account.id:
            return True
        now = self._state.clock.now()
        return all(self._is_authorized(account, name, now) for name in certificate.names)

    def _is_authorized(self, account: Account, name: Identifier, now: datetime) -> bool:
        return any(
            self._state.authorization_status(a, now) == "valid"
            for a in self._state.store.authorized(account.id, name, now)
        )


def _caa_fault(name: Identifier) -> Problem:
    return Problem("caa", f"CAA record for {name.base} prevents issuance", 403, identifier=name.value)
