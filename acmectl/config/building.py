"""A tree in which everything holds -> the values that the rest of acmectl works with."""

from __future__ import annotations

from urllib.parse import urlsplit

from acmectl.config.outline import Entry, Outline
from acmectl.config.schema import AuthoritySchema, CertificateSchema, MasterSchema, Schema
from acmectl.config.section import Section
from acmectl.config.values import Authority, Authorize, Certificate, Config, Follower, Master
from acmectl.model.authorities import KNOWN_DIRECTORIES
from acmectl.model.certificates import CertificateSpec


def build(schema: Schema, parts: Outline) -> Config:
    """The configuration; `parts` are those of the tree that `schema` was read from, without any problem."""
    return Config(
        authority=_authority(schema.authority),
        profile=schema.profile,
        contact=schema.contact,
        state_directory=schema.state_directory,
        accounts=parts.accounts,
        solvers=parts.sections.solvers,
        master=_master(schema.master, parts) if schema.master else None,
        certificates={
            label: _certificate(schema, label, schema.certificates[label], entry, parts.sections.deploy[label])
            for label, entry in parts.certificates.items()
        },
        follower=Follower(**dict(schema.follower)),
    )


def _authority(schema: AuthoritySchema) -> Authority:
    if schema.name:
        return Authority(schema.name, KNOWN_DIRECTORIES[schema.name], schema.ca_bundle)
    url = schema.directory or ""
    known = next((name for name, directory in KNOWN_DIRECTORIES.items() if directory == url), None)
    return Authority(known or urlsplit(url).netloc, url, schema.ca_bundle)


def _master(schema: MasterSchema, parts: Outline) -> Master:
    authorize = tuple(
        Authorize(entry.names.identifiers, tuple(map(str, one.solver)), entry.account, entry.place)
        for one, entry in zip(schema.authorize, parts.authorize, strict=True)
    )
    return Master(authorize, schema.every, schema.refresh == "early", schema.new_orders, schema.workers)


def _certificate(
    whole: Schema, label: str, schema: CertificateSchema, entry: Entry, deploy: tuple[Section, ...]
) -> Certificate:
    spec = CertificateSpec(
        label=label,
        names=frozenset(entry.names.identifiers),
        account=entry.account,
        profile=schema.profile or whole.profile,
        key_type=schema.key,
    )
    return Certificate(spec, tuple(map(str, schema.solver or ())), deploy, entry.place)
