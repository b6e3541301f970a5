"""The directory of a CA (RFC 8555 section 7.1.1): where its resources are, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.ca.fields import Fields, is_web_page, printable, read_object
from acmectl.ca.purpose import Purpose
from acmectl.errors import CAError, CAProtocolError, CARefused, RateLimited

if TYPE_CHECKING:
    from requests import Response

    from acmectl.ca.network import Network

_PURPOSE = Purpose("directory", "to show its directory", waits=True)
_NEEDED = ("newNonce", "newAccount", "newOrder")
_HINT = (
    "give the URL of the directory itself, such as `https://acme-v02.api.letsencrypt.org/directory`, "
    "as `authority` (or `authority.directory`) in the configuration"
)


@dataclass(frozen=True, slots=True)
class Directory:
    """What one CA offers. `profiles` is empty where the CA offers none; its values are descriptions for people.

    `caa_identities` are the names by which CAA records of domains allow this CA (RFC 8555 section 7.1.1).
    """

    url: str
    terms_of_service: str | None
    website: str | None
    external_account_required: bool
    profiles: Mapping[str, str]
    endpoints: Mapping[str, str]
    caa_identities: tuple[str, ...] = ()

    def endpoint(self, name: str) -> str:
        """The URL of a resource by its name in the directory, such as `newOrder`.

        Raises CAProtocolError where the CA does not offer it.
        """
        try:
            return self.endpoints[name]
        except KeyError:
            raise CAProtocolError(f"the CA at `{self.url}` does not offer `{name}`") from None

    def profile_for(self, wanted: str | None) -> str | None:
        """The profile to send with an order where the configuration says `wanted`: None where the CA offers none.

        It is always sent where profiles are offered: Boulder reuses an authorization only under exactly the same
        profile string, and none is another one than the default's. Raises CAError for a missing or unknown one.
        """
        if not self.profiles:
            return None
        offered = ", ".join(f"`{name}`" for name in sorted(self.profiles))
        if wanted is None:
            raise CAError(
                f"the CA at `{self.url}` offers profiles, and the configuration names none",
                hint=f"set `profile:` to one of {offered}, the same on the master and all its followers",
            )
        if wanted not in self.profiles:
            raise CAError(f"the CA at `{self.url}` offers no profile `{wanted}`", hint=f"it offers {offered}")
        return wanted


def fetch_directory(network: Network, url: str) -> Directory:
    """Ask for the directory at `url`; raises CAError."""
    try:
        return read_directory(network.get(url, purpose=_PURPOSE), url)
    except RateLimited:
        raise
    except CARefused as refusal:  # nobody keeps a directory secret: there is none
        problem = refusal.problem
        raise CAProtocolError(
            f"no ACME directory: `{url}` answers HTTP status {problem.status}, {problem}", hint=_HINT
        ) from refusal


def read_directory(response: Response, url: str) -> Directory:
    """The directory in `response`; raises CAProtocolError that says what was found instead of one."""
    if is_web_page(response):
        raise CAProtocolError(f"the answer is a web page, not an ACME directory: `{url}`", hint=_HINT)
    try:
        fields = read_object(response)
        endpoints = {name: fields.url(name) for name in fields.names if name != "meta" and fields.has_url(name)}
        for name in _NEEDED:
            fields.url(name)
        return _directory(url, endpoints, fields.optional_object("meta"))
    except CAProtocolError as error:
        raise CAProtocolError(f"no ACME directory: {error.message}", hint=_HINT) from error


def _directory(url: str, endpoints: Mapping[str, str], meta: Fields) -> Directory:
    profiles = meta.optional_object("profiles")
    return Directory(
        url=url,
        terms_of_service=meta.optional_text("termsOfService"),
        website=meta.optional_text("website"),
        external_account_required=meta.flag("externalAccountRequired"),
        profiles={printable(name): profiles.optional_text(name) or "" for name in profiles.names},
        endpoints=endpoints,
        caa_identities=_caa_identities(meta),
    )


def _caa_identities(meta: Fields) -> tuple[str, ...]:
    """Only used in a hint: a CA that says nothing, or nonsense, has none."""
    try:
        return meta.texts("caaIdentities")
    except CAProtocolError:
        return ()
