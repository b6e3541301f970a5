"""What no schema sees: that what one part names is defined in another, and that nothing is listed twice.

These checks work on the outline, not on checked values, so that a mistake elsewhere does not hide what is wrong here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from acmectl.config.names import ListedName
from acmectl.config.nodes import MappingNode, locate, problem, show_key
from acmectl.config.outline import Entry, Outline
from acmectl.errors import ConfigurationProblem, Place
from acmectl.model.names import Identifier
from acmectl.options import Text, nearest

_LETSENCRYPT = ("letsencrypt", "letsencrypt-staging")
_LETSENCRYPT_PROFILES = ("classic", "shortlived", "tlsserver")
_FOR_ADDRESSES = "shortlived"


def check_references(root: MappingNode, parts: Outline, *, complete: bool) -> Iterator[ConfigurationProblem]:
    """Unknown solvers and accounts, names listed twice, and a host with nothing to do.

    With files missing (`complete` false) nothing is called undefined: it may be defined there. A host whose last certificate was taken
    out says `certificates: {}`: what it keeps of it can then be looked at, and removed.
    """
    if complete:
        yield from _undefined(parts)
        if root.members.keys().isdisjoint({"master", "certificates"}):
            hint = "list names under `master.authorize`, or certificates under `certificates` (`{}`: none any more)"
            yield problem((), root.place, "nothing to do: neither `master` nor `certificates`", hint)
    yield from _twice_for_an_account(parts.authorize)
    for entry in parts.certificates.values():
        yield from _twice(entry.names.names, "in this certificate")
        yield from _covered(entry)
    yield from _misspelt_profiles(root, parts)
    yield from _addresses(root, parts)


def _undefined(parts: Outline) -> Iterator[ConfigurationProblem]:
    for entry in (*parts.authorize, *parts.certificates.values()):
        for solver in entry.node.texts("solver"):
            yield from _unknown(entry, "solver", solver, parts.solvers)
    for entry in (*parts.authorize, *parts.certificates.values()):
        account = entry.node.text("account")
        if account:
            yield from _unknown(entry, "account", account, parts.accounts)
        elif account is None and entry.account not in parts.accounts:
            hint = f"say which: `account: {show_key(parts.accounts[0])}`"
            message = "there are several accounts, and none is called `default`"
            yield problem(entry.path, entry.place, message, hint)


def _unknown(entry: Entry, kind: str, name: Text, known: Sequence[str]) -> Iterator[ConfigurationProblem]:
    if name not in known:
        hint = nearest(name, known) or f"define it under `{kind}s`"
        yield problem((*entry.path, kind), name.place, f"there is no {kind} `{show_key(name)}`", hint)


def _twice_for_an_account(entries: Iterable[Entry]) -> Iterator[ConfigurationProblem]:
    by_account: dict[str, list[ListedName]] = {}
    for entry in entries:
        by_account.setdefault(entry.account, []).extend(entry.names.names)
    for account, names in by_account.items():
        yield from _twice(names, f"for the account `{show_key(account)}`")


def _twice(names: Iterable[ListedName], where: str) -> Iterator[ConfigurationProblem]:
    first: dict[Identifier, Place] = {}
    for name in names:
        if name.identifier in first:
            message = f"`{name.identifier}` is listed twice {where}, first at {first[name.identifier]}"
            yield problem(name.path, name.place, message)
        else:
            first[name.identifier] = name.place


def _covered(entry: Entry) -> Iterator[ConfigurationProblem]:
    """Boulder refuses an order with a wildcard and a name that it covers."""
    wildcards = {name.identifier.base: name.identifier for name in entry.names.names if name.identifier.is_wildcard}
    for name in entry.names.names:
        wildcard = wildcards.get(name.identifier.value.partition(".")[2])
        if wildcard and wildcard.covers(name.identifier):
            message = f"`{name.identifier}` is covered by `{wildcard}` already: CAs refuse both in one certificate"
            yield problem(name.path, name.place, message, "remove it from the list")


def _misspelt_profiles(root: MappingNode, parts: Outline) -> Iterator[ConfigurationProblem]:
    """Only near misses: Let's Encrypt may offer a new profile any day, and whether it has one is asked of it."""
    if not _is_letsencrypt(root):
        return
    for path, node in [((), root), *((entry.path, entry.node) for entry in parts.certificates.values())]:
        profile = node.text("profile")
        if not profile or profile.startswith(_LETSENCRYPT_PROFILES):
            continue
        if hint := nearest(profile, _LETSENCRYPT_PROFILES, likeness=0.85):
            message = f"there is no profile `{show_key(profile)}` at Let's Encrypt"
            yield problem((*path, "profile"), locate(node, ("profile",))[1], message, hint)


def _addresses(root: MappingNode, parts: Outline) -> Iterator[ConfigurationProblem]:
    """Let's Encrypt certifies IP addresses in its shortest-lived certificates only; another CA is asked when its turn comes."""
    if not _is_letsencrypt(root):
        return
    for entry in (*parts.authorize, *parts.certificates.values()):
        if (entry.node.text("profile") or root.text("profile")) == _FOR_ADDRESSES:
            continue
        for name in entry.names.names:
            if name.identifier.is_address:
                message = f"`{name.identifier}` is an address: Let's Encrypt certifies them under one profile only"
                yield problem(name.path, name.place, message, f"set `profile: {_FOR_ADDRESSES}`")


def _is_letsencrypt(root: MappingNode) -> bool:
    return (root.text("authority") or root.mapping("authority").text("name")) in _LETSENCRYPT
