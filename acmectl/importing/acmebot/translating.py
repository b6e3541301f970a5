"""An acmebot configuration -> a draft of ours.

A master of acmebot's proves all names of its certificates at every run, and followers may rely on that: with `authorizations`, all
names go to `master.authorize`. Without, it is a host on its own, which proves names when a certificate is due. A follower proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acmectl.errors import TakeoverError
from acmectl.importing.acmebot import notes as words
from acmectl.importing.acmebot.deploying import Issued, targets
from acmectl.importing.acmebot.keytypes import Kind, kinds
from acmectl.importing.acmebot.names import ZonedName, certificate_names, zoned_names
from acmectl.importing.acmebot.proving import HOOK, Solvers
from acmectl.importing.acmebot.reading import Acmebot, listed, read
from acmectl.importing.draft import Draft
from acmectl.model.authorities import KNOWN_DIRECTORIES

_WITH_PROFILES = {"letsencrypt": "classic", "letsencrypt-staging": "classic"}
_KEY_OPTIONS = (
    "key_types",
    "key_size",
    "key_curve",
    "key_provided",
)  # of a private key, also where a certificate has them


@dataclass(frozen=True, slots=True)
class _Certificate:
    key_name: str
    name: str
    options: Mapping[str, Any] = field(repr=False)
    names: tuple[ZonedName, ...]
    kinds: tuple[Kind, ...]
    shares_key: bool


def translate(path: Path, *, beside: Path) -> Draft:
    """The acmebot configuration at `path` (a file or its folder) as one of ours that will lie in the directory `beside`.

    Raises TakeoverError: not readable, not acmebot's, or with nothing in it that could be taken over.
    """
    acmebot, notes = read(path), list[str]()
    solvers = Solvers(acmebot, notes, beside.absolute() / HOOK)
    certificates = tuple(_certificates(acmebot, notes))
    authorize, of_certificate = _proving(acmebot, solvers, certificates, notes)
    document = _head(acmebot)
    if solvers.solvers:
        document["solvers"] = solvers.solvers
    if authorize:
        document["master"] = {"every": "1d", "authorize": authorize}
    if certificates:
        document["certificates"] = dict(_labelled(acmebot, certificates, of_certificate, notes))
    if not authorize and not certificates:
        why = f": {'; '.join(notes)}" if notes else ": it has neither certificates nor authorizations"
        raise TakeoverError(f"nothing of `{acmebot.file}` can be taken over{why}")
    by_hooks = any(options["type"] == "command" and "-hooks" in name for name, options in solvers.solvers.items())
    notes += words.without_counterpart(acmebot, dns_hooks_used=by_hooks)
    title = f"Made by `acmectl init --from acmebot` from {acmebot.file}. `acmectl check` says whether it holds."
    return Draft(title, document, tuple(dict.fromkeys(notes)), tuple(solvers.files.values()))


def _head(acmebot: Acmebot) -> dict[str, Any]:
    url = str(acmebot.setting("acme_directory_url"))
    known = next((name for name, directory in KNOWN_DIRECTORIES.items() if directory == url), None)
    head: dict[str, Any] = {"authority": known or {"directory": url}}
    if known in _WITH_PROFILES:
        head["profile"] = _WITH_PROFILES[known]
    email = acmebot.section("account").get("email")
    if email:
        head["contact"] = [str(address) for address in listed(email)]
    return head


def _private_keys(acmebot: Acmebot) -> dict[str, dict[str, Any]]:
    """All private keys with their certificates; those below `certificates` are private keys with one certificate each."""
    found = {
        name: dict(_mapping(acmebot, f"private_keys.{name}", value))
        for name, value in acmebot.section("private_keys").items()
    }
    for name, value in found.items():
        value["certificates"] = dict(_mapping(acmebot, f"private_keys.{name}.certificates", value.get("certificates")))
    for name, value in acmebot.section("certificates").items():
        options = _mapping(acmebot, f"certificates.{name}", value)
        key = found.setdefault(name, {"certificates": {}})
        key |= {option: options[option] for option in _KEY_OPTIONS if option in options and option not in key}
        key["certificates"].setdefault(name, options)
    return found


def _certificates(acmebot: Acmebot, notes: list[str]) -> Iterator[_Certificate]:
    for key_name, private_key in _private_keys(acmebot).items():
        made = kinds(acmebot, key_name, private_key, notes)
        inner = private_key["certificates"]
        notes += words.of_private_key(
            key_name, private_key, shared=len(inner) > 1, there=all(kind.file for kind in made)
        )
        for name, value in inner.items():
            options = _mapping(acmebot, f"certificates.{name}", value)
            notes += words.of_certificate(name, options)
            own = {str(kind) for kind in listed(options.get("key_types"))}
            chosen = tuple(kind for kind in made if not own or kind.suffix in own)
            names = certificate_names(acmebot, name, options, notes)
            if chosen and names:
                yield _Certificate(key_name, name, options, names, chosen, shares_key=len(inner) > 1)
            else:
                notes.append(f"`{name}` is left out: it has no {'name' if chosen else 'kind of key'}")


def _proving(
    acmebot: Acmebot, solvers: Solvers, certificates: tuple[_Certificate, ...], notes: list[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The entries of `master.authorize`, and the solver of each certificate that proves its own names."""
    if acmebot.is_follower():
        if acmebot.section("authorizations"):
            notes.append("`authorizations` mean nothing in follower mode: the master lists them")
        if "profile" in _head(acmebot):
            notes.append(
                "acmebot's master asks for no profile, and this CA reuses nothing of what was proven under another: the master "
                "must be acmectl too, with the same `profile`"
            )
        return [], {}
    kept = list(zoned_names(acmebot.section("authorizations"), notes))
    own: dict[str, str] = {}
    for certificate in certificates:
        of_names = {solvers.of(name) for name in certificate.names}
        (only, *others) = of_names or {None}
        if kept or others or only is None:
            kept += certificate.names
        else:
            own[certificate.name] = only
    if own:
        notes.append(
            "a follower that issues names of these certificates needs them under `master.authorize`: without followers a host "
            "proves its names when a certificate is due"
        )
    of_solver: dict[str, list[str]] = {}
    for name in dict.fromkeys(kept):
        if solver := solvers.of(name):
            of_solver.setdefault(solver, []).append(str(name.identifier))
        else:
            notes.append(f"`{name.identifier}` is not kept authorized: no solver could be made for it")
    return [{"names": list(dict.fromkeys(names)), "solver": solver} for solver, names in of_solver.items()], own


def _labelled(
    acmebot: Acmebot, certificates: tuple[_Certificate, ...], of_certificate: Mapping[str, str], notes: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A certificate of ours for each kind of key: acmebot's files have names of their own for each."""
    taken: set[str] = set()
    for certificate in certificates:
        for kind in certificate.kinds:
            first = kind is certificate.kinds[0]
            label = _label(certificate.name if first else f"{certificate.name}-{kind.suffix}", taken)
            wanted: dict[str, Any] = {"names": [str(name.identifier) for name in certificate.names]}
            wanted |= {"key_file": str(kind.file)} if kind.file else {"key": kind.key_type.value, "reuse_key": True}
            if certificate.name in of_certificate:
                wanted["solver"] = of_certificate[certificate.name]
            issued = Issued(certificate.key_name, certificate.name, kind, apart=certificate.shares_key)
            if deploy := targets(acmebot, issued, certificate.options, notes):
                wanted["deploy"] = deploy
            yield label, wanted


def _label(name: str, taken: set[str]) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", name.replace("*", "wildcard")).lstrip("._-")[:56] or "certificate"
    label = next(free for free in (plain, *(f"{plain}-{n}" for n in range(2, 10_000))) if free not in taken)
    taken.add(label)
    return label


def _mapping(acmebot: Acmebot, key: str, value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise acmebot.wrong(key, "a mapping")
    return value
