"""The shape of a configuration: which keys there are, what each may hold, and what stands for a key that is left out.

References between the parts, and everything about names, are not a matter of shape: see `references` and `names`. A new key
is a field here, and a field of the value in `values` that `building` fills.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator, model_validator
from pydantic.json_schema import GenerateJsonSchema

from acmectl.config.fields import (
    Account,
    Bundle,
    Contact,
    DirectoryURL,
    Grace,
    Interval,
    Keys,
    KnownAuthority,
    Label,
    Names,
    Profile,
    SolverName,
    SolverNames,
    SomeText,
    UnexposedFile,
)
from acmectl.model.certificates import KeyType
from acmectl.options import (
    Argv,
    ConfigPath,
    Duration,
    InvalidOption,
    Options,
    closest,
    describe,
    format_duration,
    up_to,
)


def _commands(value: Any) -> Any:
    """One problem for a command in the place of the list of commands, and not one for each of its words."""
    found = None if isinstance(value, list | tuple | None) else describe(value)
    if isinstance(value, list | tuple) and value and all(isinstance(word, str) for word in value):
        found = "a list of words"
    if found:
        hint = "a list of commands, each a list of words: `[[systemctl, reload, postfix]]`"
        raise InvalidOption(f"expected a list of commands, found {found}", hint=hint)
    return value


Commands = Annotated[tuple[Argv, ...], BeforeValidator(_commands, json_schema_input_type=tuple[Argv, ...])]
_MAX_NAMES = 100  # in one certificate: the most that any of the known CAs takes


class AuthoritySchema(Options):
    """A known name, or the URL of a directory."""

    name: KnownAuthority | None = None
    directory: DirectoryURL | None = None
    ca_bundle: Bundle | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> AuthoritySchema:
        if (self.name is None) == (self.directory is None):
            raise ValueError("give either `name` (of a known authority) or `directory` (a URL)")
        return self


class BindingSchema(Options):
    """What the CA's web site gave for External Account Binding (RFC 8555 section 7.3.4)."""

    kid: SomeText | None = None
    kid_file: ConfigPath | None = None
    hmac_key_file: UnexposedFile

    @model_validator(mode="after")
    def _one_of_two(self) -> BindingSchema:
        if (self.kid is None) == (self.kid_file is None):
            raise ValueError("give either `kid` (the key identifier) or `kid_file` (a file that holds it)")
        return self


class AccountSchema(Options):
    """An account: mostly its name is all that matters."""

    eab: BindingSchema | None = None


class SectionSchema(Options):
    """A solver or deploy target: the rest of its keys belongs to its type."""

    model_config = ConfigDict(extra="allow")

    type: SomeText

    @model_validator(mode="before")
    @classmethod
    def _typed_mapping(cls, value: Any) -> Any:
        """No key is unknown here, so that a misspelt `type` is looked for where it is missed."""
        if value is not None and not isinstance(value, dict):
            hint = "the type and its options: `{type: TYPE, ...}`"
            raise InvalidOption(f"expected a mapping, found {describe(value)}", hint=hint)
        if value and "type" not in value and (near := closest("type", value)):
            raise InvalidOption("the key `type` is missing", hint=f"write it in place of `{near}`")
        return value


class RecordsSchema(Options):
    """Records that are kept published; its keys belong to whoever publishes them."""

    model_config = ConfigDict(extra="allow")


def _tlsa(value: Any) -> Any:
    if isinstance(value, dict | list | tuple):
        return value
    hint = "a list of services, such as `[mail.example.org:25]`, or a mapping with `records`"
    raise InvalidOption(f"expected a list or a mapping, found {describe(value)}", hint=hint)


TlsaSection = Annotated[Any, BeforeValidator(_tlsa), WithJsonSchema({"type": ["array", "object"]})]
"""The services whose TLSA records speak of the keys; what is in it belongs to whoever publishes them."""


class AuthorizeSchema(Options):
    """Names to keep authorized, here or in a file of their own with one name a line."""

    names: Names = ()
    names_file: ConfigPath | None = None
    solver: SolverNames
    account: SomeText | None = None

    @model_validator(mode="after")
    def _some_names(self) -> AuthorizeSchema:
        if not self.names and self.names_file is None:
            raise ValueError("give `names` or `names_file`")
        return self


class MasterSchema(Options):
    """What a master does."""

    every: Interval = timedelta(days=1)
    refresh: Literal["early", "lapse"] = "early"
    new_orders: Annotated[int, Field(ge=1, le=100_000)] = 300
    workers: Annotated[int, Field(ge=1, le=64)] = 16
    records: tuple[RecordsSchema, ...] = ()
    authorize: Annotated[tuple[AuthorizeSchema, ...], Field(min_length=1)] = ()

    @model_validator(mode="after")
    def _something_to_keep(self) -> MasterSchema:
        if not self.authorize and not self.records:
            raise ValueError("give `authorize` (names to keep authorized), or `records` (to keep published)")
        return self


class CertificateSchema(Options):
    """A certificate that this host issues."""

    names: Annotated[Names, Field(max_length=_MAX_NAMES)]
    key: Keys = (KeyType.ECDSA_P256,)
    reuse_key: bool | None = None  # by default where keys are published (`tlsa`)
    prepare_key: bool = False
    key_file: ConfigPath | None = None
    csr_file: ConfigPath | None = None
    preferred_chain: SomeText | None = None
    account: SomeText | None = None
    profile: Profile | None = None
    solver: SolverNames | None = None
    tlsa: TlsaSection | None = None
    deploy: tuple[SectionSchema, ...] = ()
    onchange: Commands = ()

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> CertificateSchema:
        files = [name for name in ("key_file", "csr_file") if getattr(self, name) is not None]
        if len(files) > 1:
            raise ValueError("give either `key_file` (your key) or `csr_file` (your CSR), not both")
        if files and (made := sorted({"key", "reuse_key", "prepare_key"} & self.model_fields_set)):
            told = ", ".join(f"`{name}`" for name in made)
            raise ValueError(f"{told} would be about keys that acmectl makes, and the key is the one of `{files[0]}`")
        return self


class FollowerSchema(Options):
    """How a follower waits, and what it keeps."""

    grace: Grace = timedelta(minutes=15)
    alarm_at: Annotated[float, Field(gt=0, lt=1)] = 0.15
    no_certificate_alarm: Duration = timedelta(days=1)
    keep_generations: Annotated[int, Field(ge=2, le=1000)] = 5


def _authority(value: Any) -> Any:
    if isinstance(value, str):
        return {"directory" if "://" in value else "name": value}
    if not isinstance(value, dict):
        hint = "such as `letsencrypt`, or `{directory: https://...}`"
        raise InvalidOption(f"expected a text or a mapping, found {describe(value)}", hint=hint)
    return value


class Schema(Options):
    """A whole configuration."""

    authority: Annotated[
        AuthoritySchema,
        BeforeValidator(_authority, json_schema_input_type=str | AuthoritySchema),
    ]
    profile: Profile | None = None
    contact: tuple[Contact, ...] = ()
    state_directory: ConfigPath = Path("/var/lib/acmectl")
    accounts: Annotated[dict[Account, AccountSchema | None], Field(min_length=1)] = {"default": AccountSchema()}  # noqa: RUF012  # pydantic copies defaults
    solvers: dict[SolverName, SectionSchema] = {}  # noqa: RUF012  # as above
    master: MasterSchema | None = None
    certificates: dict[Label, CertificateSchema] = {}  # noqa: RUF012  # as above
    follower: FollowerSchema = FollowerSchema()
    onchange: Commands = ()
    onchange_timeout: Annotated[Duration, up_to(timedelta(hours=1))] = timedelta(minutes=5)

    @field_validator("master", mode="before")
    @classmethod
    def _not_nothing(cls, value: Any) -> Any:
        """A `master:` whose keys are all commented out is a mistake, not a host without names to prove."""
        if value is None:
            raise InvalidOption("expected a mapping, found nothing", hint="give it a value, or remove the key")
        return value


class _JSONSchema(GenerateJsonSchema):
    """Shows the default of a duration as it is written, `15m`, and not in ISO 8601."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration file, for editors."""
    return {"$schema": _JSONSchema.schema_dialect, **Schema.model_json_schema(schema_generator=_JSONSchema)}
