"""Names -> orders: how due names are packed, and how a refused name is found without losing the others."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from acmectl.errors import InvalidName, Problem
from acmectl.model.names import Identifier
from acmectl.policy.refresh import Wanted

MAX_NAMES = 100  # Let's Encrypt classic; the short profiles take 25

# Refusals that are about the account or the request as a whole: smaller orders would be refused alike.
_WHOLE = frozenset({
    "accountDoesNotExist", "badNonce", "externalAccountRequired", "invalidProfile", "rateLimited", "serverInternal",
    "unauthorized", "userActionRequired",
})  # fmt: skip
_LIMIT = re.compile(r"\b(\d{1,4})\s+(?:DNS\s+)?(?:identifiers|names|domains|SANs)\b", re.IGNORECASE)
_ACCOUNT = frozenset({"accountDoesNotExist", "externalAccountRequired", "unauthorized", "userActionRequired"})
_SET = re.compile(r"\bexact set of\b", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“'`]([^\"”'`\s]+)[\"”'`]")


def pack(wanted: Iterable[Wanted], *, limit: int = MAX_NAMES) -> tuple[tuple[Wanted, ...], ...]:
    """Orders of at most `limit` names, each of one account and profile.

    Names of one solver and one zone come together, so that a zone's changes travel in few messages. A wildcard is never in
    one order with a name that it covers (CAs refuse that); its base name may be.
    """
    orders: list[list[Wanted]] = []
    for name in sorted(wanted, key=_together):
        home = next((order for order in reversed(orders) if _fits(order, name, limit)), None)
        if home is None:
            orders.append([name])
        else:
            home.append(name)
    return tuple(tuple(order) for order in orders)


def halves(names: Sequence[Wanted]) -> tuple[tuple[Wanted, ...], tuple[Wanted, ...]]:
    """Two orders in place of one that was refused without a name."""
    middle = len(names) // 2
    return tuple(names[:middle]), tuple(names[middle:])


def another_set(names: Sequence[Wanted]) -> tuple[tuple[Wanted, ...], tuple[Wanted, ...]]:
    """Two orders in place of one whose exact set of names has had its certificates: one name moves to an order of its own."""
    return tuple(names[:-1]), tuple(names[-1:])


def retriable(names: Iterable[Wanted], tried: Mapping[str, int], *, most: int) -> tuple[Wanted, ...]:
    """Those of `names` that may be validated again: a name and its wildcard together `most` times, `tried` says how often they were.

    To the CA's limit of failures (Let's Encrypt: 5 an hour) both are the same identifier.
    """
    chosen: list[Wanted] = []
    spent = Counter(tried)
    for wanted in names:
        if spent[wanted.identifier.base] < most:
            spent[wanted.identifier.base] += 1
            chosen.append(wanted)
    return tuple(chosen)


def refused_names(problem: Problem, names: Collection[Identifier]) -> dict[Identifier, Problem]:
    """Which of `names` a problem is about, by its subproblems (RFC 8555 section 6.7.1), else by what its detail quotes.

    Boulder names a single refused identifier, and one over its failure limit, only in the detail; one that it has paused not
    even in quotes (`... for a.test and possibly others`), so in a 429 any word may be a name.
    """
    by_value = {name.value: name for name in names}
    found = {
        by_value[sub.identifier.lower()]: sub
        for sub in problem.subproblems
        if sub.identifier and sub.identifier.lower() in by_value
    }
    if found:
        return found
    quoted = {value.lower().removesuffix(".") for value in _QUOTED.findall(problem.detail)}
    said = quoted | _words(problem.detail) if _is_rate_limit(problem) else quoted
    found = {name: problem for value, name in by_value.items() if value in said}
    if found or not _is_rate_limit(problem):
        return found
    return {name: problem for name in names if name.base in said}  # a wildcard is paused by its base name


def covered_by_domain(problem: Problem, names: Collection[Identifier]) -> dict[Identifier, Problem]:
    """The names below a registered domain that a 429 quotes (`50 certificates per registered domain`)."""
    quoted = _QUOTED.findall(problem.detail)
    domains = {domain for value in quoted if (domain := _domain(value))}
    return {
        name: problem
        for name in names
        if any(_below(name.base, domain) for domain in domains) or (name.is_address and _in_network(name, quoted))
    }


def name_limit(problem: Problem, names: int) -> int | None:
    """How many names the CA takes, where it refused an order of `names` as too large and says so.

    Boulder: `Order cannot contain more than 25 identifiers`. Others word it otherwise, so: a number smaller than `names` next to a word
    for names, in a refusal that is about the request as a whole.
    """
    if problem.type in _WHOLE or problem.subproblems:
        return None
    found = _LIMIT.search(problem.detail)
    limit = int(found[1]) if found else names
    return limit if 0 < limit < names else None


def is_about_names(problem: Problem) -> bool:
    """Whether a smaller order could be accepted where this one was refused."""
    return problem.type not in _WHOLE


def is_about_account(problem: Problem) -> bool:
    """Whether the CA refuses the whole account (deactivated, terms not agreed to), whatever it is asked for."""
    return problem.type in _ACCOUNT or (_is_rate_limit(problem) and not is_about_set(problem))


def is_about_set(problem: Problem) -> bool:
    """Whether just this set of names has had its certificates of the week, so that any other set may be ordered.

    Boulder: `too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, ...`; earlier `domains`,
    with the names behind it, none of which is over any limit.
    """
    return _is_rate_limit(problem) and _SET.search(problem.detail) is not None


def _is_rate_limit(problem: Problem) -> bool:
    return problem.status == 429 or problem.type == "rateLimited"


def _words(text: str) -> set[str]:
    return {word.strip(".,;:!?()[]<>\"'`").lower() for word in text.split()}


def _fits(order: Sequence[Wanted], name: Wanted, limit: int) -> bool:
    first = order[0]
    return (
        len(order) < limit
        and (first.account, first.profile) == (name.account, name.profile)
        and not any(_clash(other.identifier, name.identifier) for other in order)
    )


def _clash(one: Identifier, other: Identifier) -> bool:
    return one.covers(other) or other.covers(one)


def _together(wanted: Wanted) -> tuple[str, str, str, tuple[str, ...], bool]:
    name = wanted.identifier
    labels = ("", name.value) if name.is_address else tuple(reversed(name.base.split(".")))
    return wanted.account, wanted.profile or "", wanted.solver, labels, name.is_wildcard


def _domain(text: str) -> str | None:
    try:
        return Identifier.parse(text).base
    except InvalidName:
        return None


def _in_network(address: Identifier, quoted: Iterable[str]) -> bool:
    """Whether one of the texts is a network with the address: Boulder counts IPv4 by address, IPv6 by /64."""
    import ipaddress

    for text in quoted:
        with contextlib.suppress(ValueError):
            if "/" in text and ipaddress.ip_address(address.value) in ipaddress.ip_network(text):
                return True
    return False


def _below(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")
