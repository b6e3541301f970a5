"""A tree in which everything holds -> the values that the rest of acmectl works with."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from acmectl.config.nodes import MappingNode, locate
from acmectl.config.outline import Entry, Outline
from acmectl.config.schema import AuthoritySchema, CertificateSchema, MasterSchema, Schema
from acmectl.config.values import Authority, Authorize, Certificate, Command, Config, ExternalAccount, Follower, Master
from acmectl.errors import Place
from acmectl.model.authorities import KNOWN_DIRECTORIES
from acmectl.model.certificates import KIND, CertificateSpec


def build(schema: Schema, parts: Outline) -> Config:
    """The configuration; `parts` are those of the tree that `schema` was read from, without any problem."""
    return Config(
        authority=_authority(schema.authority),
        profile=schema.profile,
        contact=schema.contact,
        state_directory=schema.state_directory,
        accounts=parts.accounts,
        external_accounts=_external_accounts(schema),
        solvers=parts.sections.solvers,
        master=_master(schema.master, parts) if schema.master else None,
        certificates={
            label: _certificate(schema, label, schema.certificates[label], entry, parts)
            for label, entry in parts.certificates.items()
        },
        follower=Follower(**dict(schema.follower)),
        onchange=_commands(schema.onchange, parts.root),
        onchange_timeout=schema.onchange_timeout,
    )


def _authority(schema: AuthoritySchema) -> Authority:
    if schema.name:
        return Authority(schema.name, KNOWN_DIRECTORIES[schema.name], schema.ca_bundle)
    url = schema.directory or ""
    known = next((name for name, directory in KNOWN_DIRECTORIES.items() if directory == url), None)
    return Authority(known or urlsplit(url).netloc, url, schema.ca_bundle)


def _external_accounts(schema: Schema) -> dict[str, ExternalAccount]:
    return {
        str(name): ExternalAccount(
            account.eab.kid and str(account.eab.kid), account.eab.kid_file, account.eab.hmac_key_file
        )
        for name, account in schema.accounts.items()
        if account is not None and account.eab is not None
    }


def _master(schema: MasterSchema, parts: Outline) -> Master:
    authorize = tuple(
        Authorize(entry.names.identifiers, tuple(map(str, one.solver)), entry.account, entry.place)
        for one, entry in zip(schema.authorize, parts.authorize, strict=True)
    )
    return Master(authorize, schema.every, schema.refresh == "early", schema.new_orders, schema.workers)


def _certificate(whole: Schema, label: str, schema: CertificateSchema, entry: Entry, parts: Outline) -> Certificate:
    pinned = label in parts.sections.tlsa
    makes_keys = schema.key_file is None and schema.csr_file is None
    first, *others = (
        CertificateSpec(
            label=f"{label}{KIND}{kind}" if index else label,
            names=frozenset(entry.names.identifiers),
            account=entry.account,
            profile=schema.profile or whole.profile,
            key_type=kind,
            reuse_key=(pinned and makes_keys) if schema.reuse_key is None else schema.reuse_key,
            prepare_key=schema.prepare_key or (pinned and makes_keys),
            pinned=pinned,
            key_file=str(schema.key_file) if schema.key_file else None,
            csr_file=str(schema.csr_file) if schema.csr_file else None,
            preferred_chain=str(schema.preferred_chain) if schema.preferred_chain else None,
        )
        for index, kind in enumerate(schema.key)
    )
    solvers = tuple(map(str, schema.solver or ()))
    return Certificate(
        first,
        solvers,
        parts.sections.deploy[label],
        entry.place,
        tuple(others),
        _key_place(entry),
        names=tuple(entry.names.identifiers),
        onchange=_commands(schema.onchange, entry.node),
    )


def _commands(onchange: Sequence[tuple[str, ...]], node: MappingNode) -> tuple[Command, ...]:
    return tuple(Command(argv, locate(node, ("onchange", index))[1]) for index, argv in enumerate(onchange))


def _key_place(entry: Entry) -> Place | None:
    named = next((key for key in ("key_file", "csr_file") if key in entry.node.members), None)
    return locate(entry.node, (named,))[1] if named else None
