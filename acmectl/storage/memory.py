"""What a host remembers between runs, in `state.db`: losing the file loses neither a key nor a certificate.

Each call that changes something is a transaction of its own, durable before it returns, so that a run that is killed knows on its next start
what it asked the CA for. Calls that take many values write them in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from acmectl.model.certificates import Installed, Issuance
from acmectl.model.memory import Deployment, Event, Failure, Release, RememberedAuthorization, RememberedOrder
from acmectl.model.names import Identifier
from acmectl.model.orders import OrderStatus
from acmectl.model.renewals import RenewalInfo, Rollback
from acmectl.storage.database import Database
from acmectl.storage.rows import Table, encode

Role = Literal["master", "follower"]

EVENTS_KEPT = 20_000
ORDERS_KEPT = 20_000
RELEASES_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class SeenOrder:
    """An order that this host opened or saw, in whatever role; `seen_at` is when `status` was true."""

    url: str
    account: str
    profile: str | None
    names: frozenset[Identifier]
    role: str
    status: OrderStatus
    expires_at: datetime | None
    first_seen_at: datetime
    seen_at: datetime


_AUTHORIZATIONS = Table("authorizations", RememberedAuthorization, key=["url"])
_ORDERS = Table("orders", SeenOrder, key=["url"])
_FOLLOWER_ORDERS = Table("follower_orders", RememberedOrder, key=["label"])
_RELEASES = Table("releases", Release)
_FAILURES = Table("failures", Failure, key=["kind", "key"])
_DEPLOYMENTS = Table("deployments", Deployment, key=["label", "target"])
_EVENTS = Table("events", Event)
_CERTIFICATES = Table("certificates", Installed, key=["label", "generation"])
_RENEWAL_INFO = Table("renewal_info", RenewalInfo, key=["label"])
_ROLLBACKS = Table("rollbacks", Rollback, key=["label"])
_ISSUANCES = Table("issuances", Issuance, key=["label", "generation"])


class Memory:
    """The state database. All methods raise StorageError when the file is damaged, full, or not writable."""

    def __init__(self, path: Path) -> None:
        """`path` of the file, which is opened when it is first needed and made by the first change."""
        self._database = Database(path)

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        self._database.close()

    def authorizations(self, account: str | None = None) -> tuple[RememberedAuthorization, ...]:
        """All remembered authorizations, or those of one account, by identifier and then oldest first."""
        query = _AUTHORIZATIONS.select("WHERE account = ifnull(?, account) ORDER BY identifier, seen_at, url")
        return self._database.rows(query, [account], _AUTHORIZATIONS.decode)

    def authorization(self, url: str) -> RememberedAuthorization | None:
        """The remembered authorization at `url`."""
        query = _AUTHORIZATIONS.select("WHERE url = ?")
        return next(iter(self._database.rows(query, [encode(url)], _AUTHORIZATIONS.decode)), None)

    def remember_authorizations(self, authorizations: Iterable[RememberedAuthorization]) -> None:
        """Insert or update by URL, all in one transaction."""
        self._database.write((_AUTHORIZATIONS.upsert, [_AUTHORIZATIONS.encode(a) for a in authorizations]))

    def forget_authorizations(self, urls: Iterable[str]) -> None:
        """Forget authorizations (those that the CA no longer knows), and which orders carried them."""
        rows = [(encode(url),) for url in urls]
        self._database.write(
            ("DELETE FROM authorizations WHERE url = ?", rows),
            ("DELETE FROM order_authorizations WHERE authorization_url = ?", rows),
        )

    def remember_order(
        self,
        url: str,
        *,
        account: str,
        profile: str | None,
        names: frozenset[Identifier],
        role: Role,
        status: OrderStatus,
        expires_at: datetime | None,
        authorization_urls: Iterable[str],
        at: datetime,
    ) -> None:
        """Insert the order, or update what can change of it; the newest `ORDERS_KEPT` are kept."""
        order = SeenOrder(url, account, profile, names, role, status, expires_at, first_seen_at=at, seen_at=at)
        upsert = _ORDERS.upsert.replace("first_seen_at = excluded.first_seen_at", "first_seen_at = first_seen_at")
        self._database.write(
            (upsert, [_ORDERS.encode(order)]),
            ("DELETE FROM order_authorizations WHERE order_url = ?", [(encode(url),)]),
            (
                "INSERT OR IGNORE INTO order_authorizations (order_url, authorization_url) VALUES (?, ?)",
                [(encode(url), encode(authorization)) for authorization in authorization_urls],
            ),
            ("DELETE FROM orders WHERE id <= (SELECT max(id) FROM orders) - ?", [(ORDERS_KEPT,)]),
        )

    def orders(self, *, carrying: str | None = None) -> tuple[SeenOrder, ...]:
        """The orders seen, oldest first; only those that refer to the authorization URL `carrying`, if given."""
        carriers = "SELECT order_url FROM order_authorizations WHERE authorization_url = ?1"
        query = _ORDERS.select(f"WHERE ?1 IS NULL OR url IN ({carriers}) ORDER BY id")
        return self._database.rows(query, [encode(carrying)], _ORDERS.decode)

    def order(self, url: str) -> SeenOrder | None:
        """The order at `url`, if this host ever saw it."""
        return next(iter(self._database.rows(_ORDERS.select("WHERE url = ?"), [encode(url)], _ORDERS.decode)), None)

    def has_ordered(self, account: str, profile: str | None, names: frozenset[Identifier]) -> bool:
        """Whether an order for exactly these names was remembered, of this account and profile."""
        query = "SELECT 1 FROM orders WHERE account = ? AND profile IS ? AND names = ? LIMIT 1"
        return bool(self._database.rows(query, [encode(account), encode(profile), encode(names)], lambda _: True))

    def authorization_urls(self, order_url: str) -> tuple[str, ...]:
        """The authorizations of an order that was remembered, sorted."""
        query = "SELECT authorization_url FROM order_authorizations WHERE order_url = ? ORDER BY 1"
        return self._database.rows(query, [encode(order_url)], lambda row: str(row[0]))

    def follower_order(self, label: str) -> RememberedOrder | None:
        """The order that the follower holds for a certificate."""
        query = _FOLLOWER_ORDERS.select("WHERE label = ?")
        return next(iter(self._database.rows(query, [encode(label)], _FOLLOWER_ORDERS.decode)), None)

    def save_follower_order(self, order: RememberedOrder) -> None:
        """Remember the one order of `order.label`, in place of an earlier one."""
        self._database.write((_FOLLOWER_ORDERS.upsert, [_FOLLOWER_ORDERS.encode(order)]))

    def forget_follower_order(self, label: str) -> None:
        """The certificate has no order any more; none at all is no error."""
        self._database.write(("DELETE FROM follower_orders WHERE label = ?", [(encode(label),)]))

    def releases(self, label: str) -> tuple[Release, ...]:
        """The stuck orders that were given up for a certificate, oldest first."""
        return self._database.rows(_RELEASES.select("WHERE label = ? ORDER BY id"), [encode(label)], _RELEASES.decode)

    def releases_since(self, account: str, at: datetime) -> tuple[Release, ...]:
        """The stuck orders that were given up for all certificates of an account after `at`, oldest first."""
        query = _RELEASES.select("WHERE account = ? AND at > ? ORDER BY id")
        return self._database.rows(query, [encode(account), encode(at)], _RELEASES.decode)

    def add_release(self, release: Release) -> None:
        """Add a release; the newest `RELEASES_KEPT` of all certificates are kept."""
        trim = "DELETE FROM releases WHERE id <= (SELECT max(id) FROM releases) - ?"
        self._database.write((_RELEASES.upsert, [_RELEASES.encode(release)]), (trim, [(RELEASES_KEPT,)]))

    def failures(self, kind: str) -> Mapping[str, Failure]:
        """The failures of one kind (`name`, `certificate`, `account`) by their key."""
        query = _FAILURES.select("WHERE kind = ? ORDER BY key")
        return {found.key: found for found in self._database.rows(query, [encode(kind)], _FAILURES.decode)}

    def save_failure(self, failure: Failure) -> None:
        """Insert or update the failure of one subject."""
        self.save_failures([failure])

    def save_failures(self, failures: Iterable[Failure]) -> None:
        """As `save_failure`, for many in one transaction."""
        self._database.write((_FAILURES.upsert, [_FAILURES.encode(failure) for failure in failures]))

    def clear_failure(self, kind: str, key: str) -> None:
        """The subject succeeded; no failure at all is no error."""
        self.clear_failures(kind, [key])

    def clear_failures(self, kind: str, keys: Iterable[str]) -> None:
        """As `clear_failure`, for many in one transaction."""
        statement = "DELETE FROM failures WHERE kind = ? AND key = ?"
        self._database.write((statement, [(encode(kind), encode(key)) for key in keys]))

    def deployments(self, label: str | None = None) -> tuple[Deployment, ...]:
        """How far each target of a certificate is, or of all of them."""
        query = _DEPLOYMENTS.select("WHERE label = ifnull(?, label) ORDER BY label, target")
        return self._database.rows(query, [encode(label)], _DEPLOYMENTS.decode)

    def save_deployment(self, deployment: Deployment) -> None:
        """Insert or update what is known of one target."""
        self.save_deployments([deployment])

    def save_deployments(self, deployments: Iterable[Deployment]) -> None:
        """As `save_deployment`, for many in one transaction."""
        self._database.write((_DEPLOYMENTS.upsert, [_DEPLOYMENTS.encode(deployment) for deployment in deployments]))

    def forget_deployment(self, label: str, target: str) -> None:
        """The configuration has no such target any more."""
        statement = "DELETE FROM deployments WHERE label = ? AND target = ?"
        self._database.write((statement, [(encode(label), encode(target))]))

    def forget_certificate(self, label: str) -> None:
        """Forget all of one kind of a certificate in one transaction, but for what counts at the CA (releases) and the log."""
        tables = ("deployments", "certificates", "issuances", "follower_orders", "renewal_info", "rollbacks")
        name, folder = encode(label), encode(f"/certificates/{label}/")
        self._database.write(
            *((f"DELETE FROM {table} WHERE label = ?", [(name,)]) for table in tables),  # noqa: S608  # our own names
            ("DELETE FROM failures WHERE kind = 'certificate' AND key = ?", [(name,)]),
            ("DELETE FROM facts WHERE substr(key, 1, 4) = 'key/' AND instr(key, ?)", [(folder,)]),
        )

    def add_event(self, event: Event) -> None:
        """Add a line to the log; the newest `EVENTS_KEPT` are kept."""
        self.add_events([event])

    def add_events(self, events: Iterable[Event]) -> None:
        """As `add_event`, for many in one transaction."""
        trim = "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?"
        self._database.write((_EVENTS.upsert, [_EVENTS.encode(event) for event in events]), (trim, [(EVENTS_KEPT,)]))

    def events(self, subject: str | None = None, *, limit: int = EVENTS_KEPT) -> tuple[Event, ...]:
        """The newest `limit` events, of one subject if given, in the order in which they were added."""
        where = "WHERE subject = ?" if subject is not None else "WHERE ? IS NULL"
        query = _EVENTS.select(f"{where} ORDER BY id DESC LIMIT ?")
        return self._database.rows(query, [encode(subject), limit], _EVENTS.decode)[::-1]

    def fact(self, key: str) -> str | None:
        """A remembered fact, such as that a CA advertises what it does not have."""
        found = self._database.rows("SELECT value FROM facts WHERE key = ?", [encode(key)], lambda row: str(row[0]))
        return next(iter(found), None)

    def set_fact(self, key: str, value: str | None) -> None:
        """Remember a fact, or forget it (None)."""
        if value is None:
            self._database.write(("DELETE FROM facts WHERE key = ?", [(encode(key),)]))
            return
        statement = (
            "INSERT INTO facts (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        )
        self._database.write((statement, [(encode(key), encode(value))]))

    def facts(self, prefix: str) -> tuple[str, ...]:
        """The keys of the facts that begin with `prefix`, sorted."""
        query = "SELECT key FROM facts WHERE substr(key, 1, ?) = ? ORDER BY key"
        return self._database.rows(query, [len(prefix), encode(prefix)], lambda row: str(row[0]))

    def forget_account(self, account: str) -> None:
        """Forget the authorizations, orders and failures of an account, in one transaction; certificates stay."""
        name, prefix = encode(account), encode(f"{account}/")
        carried = "SELECT url FROM authorizations WHERE account = ?"
        self._database.write(
            (f"DELETE FROM order_authorizations WHERE authorization_url IN ({carried})", [(name,)]),  # noqa: S608
            ("DELETE FROM authorizations WHERE account = ?", [(name,)]),
            ("DELETE FROM orders WHERE account = ?", [(name,)]),
            ("DELETE FROM follower_orders WHERE account = ?", [(name,)]),
            ("DELETE FROM failures WHERE kind = 'account' AND key = ?", [(name,)]),
            ("DELETE FROM failures WHERE kind = 'name' AND substr(key, 1, length(?)) = ?", [(prefix, prefix)]),
            (
                "DELETE FROM facts WHERE key = ?",
                [(encode(f"{kind}/{account}"),) for kind in ("new-orders", "let-go")],
            ),
            ("DELETE FROM facts WHERE substr(key, 1, length(?)) = ?", [(encode(f"failed-zones/{account}/"),) * 2]),
        )

    def parsed_certificate(self, label: str, generation: int, *, stamp: str) -> Installed | None:
        """What parsing this generation said before, if its files still have the same stamp."""
        query = _CERTIFICATES.select("WHERE label = ? AND generation = ? AND stamp = ?")
        found = self._database.rows(query, [encode(label), generation, stamp], _CERTIFICATES.decode)
        return next(iter(found), None)

    def remember_parsed(self, installed: Installed, *, stamp: str) -> None:
        """Remember what parsing said, so that the next run need not parse."""
        stamping = "UPDATE certificates SET stamp = ? WHERE label = ? AND generation = ?"
        self._database.write(
            (_CERTIFICATES.upsert, [_CERTIFICATES.encode(installed)]),
            (stamping, [(encode(stamp), encode(installed.label), installed.generation)]),
        )

    def forget_parsed(self, label: str, generations: Iterable[int]) -> None:
        """The generations were removed: what parsing them said, and what was asked for, is of no use any more."""
        rows = [(encode(label), generation) for generation in generations]
        self._database.write(
            ("DELETE FROM certificates WHERE label = ? AND generation = ?", rows),
            ("DELETE FROM issuances WHERE label = ? AND generation = ?", rows),
        )

    def issuance(self, installed: Installed) -> Issuance | None:
        """What was asked for when this certificate was issued; None where it is not known."""
        query = _ISSUANCES.select("WHERE label = ? AND generation = ? AND fingerprint = ?")
        key = [encode(installed.label), installed.generation, encode(installed.fingerprint)]
        return next(iter(self._database.rows(query, key, _ISSUANCES.decode)), None)

    def save_issuance(self, issuance: Issuance) -> None:
        """Remember it, in place of that of an earlier certificate with the same number."""
        self._database.write((_ISSUANCES.upsert, [_ISSUANCES.encode(issuance)]))

    def renewal_info(self, label: str) -> RenewalInfo | None:
        """The CA's advice when to renew a certificate, as last asked; it may be for an earlier certificate of the label."""
        rows = self._database.rows(_RENEWAL_INFO.select("WHERE label = ?"), [encode(label)], _RENEWAL_INFO.decode)
        return next(iter(rows), None)

    def save_renewal_info(self, found: RenewalInfo) -> None:
        """Remember it, in place of what was known before."""
        self._database.write((_RENEWAL_INFO.upsert, [_RENEWAL_INFO.encode(found)]))

    def rollback(self, label: str) -> Rollback | None:
        """The rollback of a certificate that was the last one; it may be over."""
        rows = self._database.rows(_ROLLBACKS.select("WHERE label = ?"), [encode(label)], _ROLLBACKS.decode)
        return next(iter(rows), None)

    def save_rollback(self, rollback: Rollback) -> None:
        """Remember it, in place of an earlier one."""
        self._database.write((_ROLLBACKS.upsert, [_ROLLBACKS.encode(rollback)]))

    def forget_rollback(self, label: str) -> None:
        """The newest certificate is in use again; none at all is no error."""
        self._database.write(("DELETE FROM rollbacks WHERE label = ?", [(encode(label),)]))
