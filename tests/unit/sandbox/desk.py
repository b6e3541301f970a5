"""What a master and a follower do at an authority, in one line each."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from acmectl.errors import Problem
from acmectl.model.orders import AuthorizationStatus, OrderStatus
from acmectl.options import parse_duration
from acmectl.sandbox import jws
from acmectl.sandbox.authority import Authority
from acmectl.sandbox.objects import Account, Authorization, Order
from acmectl.sandbox.ordering import Wish
from tests.servers.sandbox_client import Key, csr, jwk


class Desk:
    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.state = authority.state
        self.us = self.account()

    def account(self, key: Key | None = None) -> Account:
        public = jws.canonical(jwk(key or ec.generate_private_key(ec.SECP256R1())))
        return self.authority.accounts.register(public, jws.thumbprint(public), contacts=(), terms_agreed=True)

    @property
    def now(self) -> datetime:
        return self.state.clock.now()

    def wait(self, text: str) -> None:
        self.state.clock.advance(parse_duration(text))

    def order(
        self, *names: str, profile: str = "classic", replaces: str | None = None, account: Account | None = None
    ) -> Order:
        return self.ordered(*names, profile=profile, replaces=replaces, account=account)[0]

    def ordered(
        self, *names: str, profile: str = "classic", replaces: str | None = None, account: Account | None = None
    ) -> tuple[Order, OrderStatus]:
        return self.authority.ordering.new_order(account or self.us, Wish(names, profile, replaces))

    def status(self, order: Order) -> OrderStatus:
        return self.state.order_status(order, self.now)

    def parts(self, order: Order) -> dict[str, Authorization]:
        found = [self.state.store.authorizations[number] for number in order.authorization_ids]
        return {part.identifier.value: part for part in found}

    def prove(self, order: Order, *names: str) -> None:
        """Prove the given names of an order, or all that are pending."""
        for name, part in self.parts(order).items():
            if (not names or name in names) and part.status is AuthorizationStatus.PENDING:
                self.settle(part, None)

    def fail(self, order: Order, name: str) -> None:
        self.settle(self.parts(order)[name], Problem("unauthorized", "not what was expected", 403))

    def settle(self, part: Authorization, problem: Problem | None) -> None:
        account = self.state.store.accounts[part.account_id]
        _, challenge, starts = self.authority.authorizing.begin(account, part.id, "dns-01")
        assert starts
        self.authority.authorizing.settle(part, challenge, problem)

    def proven(self, *names: str, profile: str = "classic") -> Order:
        order = self.order(*names, profile=profile)
        self.prove(order)
        assert self.status(order) is OrderStatus.READY
        return order

    def deactivate(self, order: Order, name: str) -> Authorization:
        return self.authority.authorizing.deactivate(self.us, self.parts(order)[name].id)

    def finalize(self, order: Order, account: Account | None = None) -> Order:
        request = csr([name.value for name in order.names])
        return self.authority.issuing.finalize(account or self.us, order.id, request)

    def left(self, order: Order) -> timedelta:
        return order.expires_at - self.now
