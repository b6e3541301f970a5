"""Any way of proving control that a program of the host's owner knows: one call a response, to publish and to remove.

The program is told what to do by environment variables and nothing else, so that no name from outside becomes an argument:

    ACMECTL_ACTION               publish or remove
    ACMECTL_IDENTIFIER           example.com or *.example.com
    ACMECTL_CHALLENGE_TYPE       dns-01 or http-01
    ACMECTL_TOKEN                the token; for http-01 the last part of the URL
    ACMECTL_KEY_AUTHORIZATION    for http-01 the body of the URL
    ACMECTL_URL_PATH             for http-01 the path of the URL
    ACMECTL_RECORD_NAME          for dns-01 the owner name, _acme-challenge.example.com
    ACMECTL_RECORD_VALUE         for dns-01 the value of the TXT record

It exits 0 when it is done; publishing what is published and removing what is gone MUST be no failure. A base name and its wildcard have one
record name and two values: a program MUST add to, and remove from, the record set. Calls come one after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, Self

from pydantic import model_validator

from acmectl.errors import SolverError
from acmectl.options import Argv, InvalidOption
from acmectl.programs import run
from acmectl.solvers.base import CONTRACT, DNS_01, HTTP_01, Capabilities, Failures, Response
from acmectl.solvers.dns_check import DnsCheck, DnsCheckOptions
from acmectl.solvers.failures import one_by_one
from acmectl.solvers.http_check import HttpCheck, HttpCheckOptions
from acmectl.solvers.option_types import TimeLimit
from acmectl.solvers.registry import SolverType

_ONLY_HTTP = frozenset(HttpCheckOptions.model_fields)
_ONLY_DNS = frozenset(DnsCheckOptions.model_fields)


class CommandOptions(HttpCheckOptions, DnsCheckOptions):
    """`publish` and `remove` are called for each response, each with `timeout`; `challenge` is what they fulfil."""

    challenge: Literal["dns-01", "http-01"]
    publish: Argv
    remove: Argv
    timeout: TimeLimit = timedelta(minutes=1)

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        foreign = sorted(self.model_fields_set & (_ONLY_HTTP if self.challenge == "dns-01" else _ONLY_DNS))
        if foreign:
            raise InvalidOption(
                f"`{foreign[0]}` has no meaning for {self.challenge}",
                hint="`check...` belongs to http-01; `resolvers`, `zone` and `propagation` belong to dns-01",
            )
        return self


class CommandSolver:
    """Calls the programs; looks at the result as the solvers for the same challenge type do."""

    def __init__(self, options: CommandOptions) -> None:
        self._options = options
        self._check = DnsCheck(options) if options.challenge == "dns-01" else HttpCheck(options)

    @property
    def capabilities(self) -> Capabilities:
        """One challenge type; wildcards with dns-01."""
        return Capabilities((self._options.challenge,), wildcard=self._options.challenge == "dns-01")

    def publish(self, responses: Sequence[Response]) -> Failures:
        """Call `publish` for each."""
        return one_by_one(responses, lambda response: self._call("publish", self._options.publish, response))

    def seen(self, responses: Sequence[Response]) -> Failures:
        """Wait until the CA can see each."""
        return self._check.seen(responses)

    def remove(self, responses: Sequence[Response]) -> Failures:
        """Call `remove` for each, also for those that `publish` failed for."""
        return one_by_one(responses, lambda response: self._call("remove", self._options.remove, response))

    def _call(self, action: str, argv: Sequence[str], response: Response) -> None:
        environment = _environment(action, response)
        run(argv, timeout=self._options.timeout, environment=environment, error=SolverError)


def _environment(action: str, response: Response) -> dict[str, str]:
    environment = {
        "ACMECTL_ACTION": action,
        "ACMECTL_IDENTIFIER": response.identifier.value,
        "ACMECTL_CHALLENGE_TYPE": response.type,
        "ACMECTL_TOKEN": response.token,
        "ACMECTL_KEY_AUTHORIZATION": response.key_authorization,
    }
    if response.type == "dns-01":
        own = {
            "ACMECTL_RECORD_NAME": response.identifier.challenge_record,
            "ACMECTL_RECORD_VALUE": response.txt_value,
        }
    else:
        own = {"ACMECTL_URL_PATH": response.url_path}
    return environment | own


SOLVER_TYPE = SolverType(
    CommandOptions,
    CommandSolver,
    contract=CONTRACT,
    summary="dns-01 or http-01 by a program of your own, or by a hook that was written for certbot, dehydrated or lego",
    capabilities=Capabilities((DNS_01, HTTP_01), wildcard=True),
)
