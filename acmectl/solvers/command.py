"""Any way of proving control that a program of the host's owner knows: our own style, and those of three other clients (`hook_styles`).

In our own style the program is told what to do by environment variables and nothing else, so that no name from outside becomes an argument:

    ACMECTL_ACTION               publish or remove
    ACMECTL_IDENTIFIER           example.com or *.example.com
    ACMECTL_CHALLENGE_TYPE       dns-01 or http-01
    ACMECTL_TOKEN                the token; for http-01 the last part of the URL
    ACMECTL_KEY_AUTHORIZATION    for http-01 the body of the URL
    ACMECTL_URL_PATH             for http-01 the path of the URL
    ACMECTL_RECORD_NAME          for dns-01 the owner name, _acme-challenge.example.com
    ACMECTL_RECORD_VALUE         for dns-01 the value of the TXT record

It exits 0 when it is done; publishing what is published and removing what is gone MUST be no failure. A base name and its wildcard have one
record name and two values: a program MUST add to, and remove from, the record set. Calls come one after another. A program gets PATH, HOME, LANG,
what `environment` lists, and the variables of its style.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from acmectl.dns.options import TimeLimit
from acmectl.errors import AcmectlError, Interrupted, SolverError
from acmectl.options import Argv, InvalidOption
from acmectl.programs import run
from acmectl.solvers import hook_styles
from acmectl.solvers.base import CONTRACT, DNS_01, HTTP_01, Capabilities, Failures, Probe, Receipts, Response
from acmectl.solvers.dns_check import DnsCheck, DnsCheckOptions
from acmectl.solvers.failures import solver_error
from acmectl.solvers.hook_styles import Action, Call
from acmectl.solvers.http_check import HttpCheck, HttpCheckOptions
from acmectl.solvers.registry import SolverType
from acmectl.workers import is_abandoned

_ONLY_HTTP = frozenset(HttpCheckOptions.model_fields)
_ONLY_DNS = frozenset(DnsCheckOptions.model_fields)
_HUNG = 2  # calls in a row that run out of time, after which the others of a batch are not made
_MAX_OUTPUT = 60_000  # bytes that are kept of a hook's output: an environment variable takes 128 KiB (Linux)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def _environment(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if not _VARIABLE.match(name) or "\0" in text:
            raise ValueError("not the name of an environment variable, and a text for it")
    return value


class CommandOptions(HttpCheckOptions, DnsCheckOptions):
    """Which program to call for each response, and in which style; `timeout` is for each call."""

    challenge: Literal["dns-01", "http-01"]
    """What the program fulfils."""

    style: Literal["acmectl", "certbot", "dehydrated", "lego"] = "acmectl"
    """How the program is told what to do: in our own way, or as a hook of another client."""

    publish: Argv | None = None
    """The program that publishes; for `certbot` its manual auth hook."""

    remove: Argv | None = None
    """The program that removes again; for `certbot` its manual cleanup hook, which may be left out."""

    hook: Argv | None = None
    """For `dehydrated` and `lego`: the program that does both."""

    chain: bool = False
    """For `dehydrated`: one call for all names, as with `HOOK_CHAIN=yes`."""

    raw: bool = False
    """For `lego`: domain, token and key authorization, as with `EXEC_MODE=RAW`."""

    environment: Annotated[dict[str, str], AfterValidator(_environment)] = {}  # noqa: RUF012  # pydantic copies defaults
    """Variables that the program is to have; no place for secrets, which belong into files that it reads."""

    timeout: TimeLimit = timedelta(minutes=1)
    """How long one call may take; then the program is ended, with all that it started."""

    probe: bool = True
    """Whether the program may be called with a made-up value, to see whether it works, before an authorization is given up."""

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        foreign = sorted(self.model_fields_set & (_ONLY_HTTP if self.challenge == DNS_01 else _ONLY_DNS))
        if foreign:
            raise InvalidOption(
                f"`{foreign[0]}` has no meaning for {self.challenge}",
                hint="`check...` belongs to http-01; `resolvers`, `zone` and `propagation` belong to dns-01",
            )
        self._check_style()
        return self

    def _check_style(self) -> None:
        needed, others = {
            "acmectl": (("publish", "remove"), ()),
            "certbot": (("publish",), ("remove",)),
            "dehydrated": (("hook",), ("chain",)),
            "lego": (("hook",), ("raw",)),
        }[self.style]
        given = self.model_fields_set & {"publish", "remove", "hook", "chain", "raw"}
        if missing := [key for key in needed if getattr(self, key) is None]:
            raise InvalidOption(f"the key `{missing[0]}` is missing", hint=f"`style: {self.style}` needs it")
        if foreign := sorted(given - {*needed, *others}):
            hint = f"it takes {' and '.join(f'`{key}`' for key in (*needed, *others))}"
            raise InvalidOption(f"`{foreign[0]}` has no meaning for `style: {self.style}`", hint=hint)
        if self.style == "lego" and self.challenge != DNS_01:
            raise InvalidOption("hooks of lego are for dns-01 only", hint="set `challenge: dns-01`")


class CommandSolver:
    """Calls the programs; looks at the result as the solvers for the same challenge type do."""

    def __init__(self, options: CommandOptions) -> None:
        self._options = options
        self._check = DnsCheck(options) if options.challenge == DNS_01 else HttpCheck(options)
        self._outputs: dict[Response, str] = {}
        self._receipts: Receipts | None = None

    @property
    def capabilities(self) -> Capabilities:
        """One challenge type; wildcards with dns-01, addresses with http-01."""
        probe = Probe.PUBLISH if self._options.probe else Probe.NONE
        by_dns = self._options.challenge == DNS_01
        return Capabilities((self._options.challenge,), wildcard=by_dns, ip=not by_dns, probe=probe)

    def keep_receipts_in(self, receipts: Receipts) -> None:
        """What certbot's auth hooks print is given to the cleanup hooks, in a later run as well."""
        self._receipts = receipts

    def publish(self, responses: Sequence[Response]) -> Failures:
        """Call the program for each."""
        return self._call_all(self._calls("publish", responses), self._keep, stop=is_abandoned)

    def seen(self, responses: Sequence[Response]) -> Failures:
        """Wait until the CA can see each."""
        return self._check.seen(responses)

    def remove(self, responses: Sequence[Response]) -> Failures:
        """Call the program for each, also for those that could not be published."""
        return self._call_all(self._calls("remove", responses), lambda *_: None, stop=lambda: False)

    def _calls(self, action: Action, responses: Sequence[Response]) -> Iterable[Call]:
        options = self._options
        program = options.hook or (options.publish if action == "publish" else options.remove)
        if program is None:  # certbot without a cleanup hook
            return ()
        match options.style:
            case "acmectl":
                return hook_styles.ours(action, program, responses)
            case "certbot":
                return hook_styles.certbot(action, program, responses, self._output)
            case "dehydrated":
                return hook_styles.dehydrated(action, program, responses, chain=options.chain)
            case "lego":
                return hook_styles.lego(action, program, responses, raw=options.raw)

    def _call_all(
        self, calls: Iterable[Call], keep: Callable[[Call, bytearray], None], stop: Callable[[], bool]
    ) -> Failures:
        """One after another; a program that keeps hanging is not called for the rest, so that the time is bounded."""
        failures: dict[Response, SolverError] = {}
        hung = 0
        for call in calls:
            if hung == _HUNG:
                words = f"`{call.argv[0]}` was not called: it ran out of time for {_HUNG} others just before"
                failures |= dict.fromkeys(call.responses, SolverError(words))
                continue
            heard = bytearray()
            try:
                self._run(call, heard, stop)
                hung = 0
            except Interrupted:
                raise
            except AcmectlError as error:
                failures |= dict.fromkeys(call.responses, solver_error(error))
                hung = hung + 1 if isinstance(error.__cause__, TimeoutError) else 0
            finally:
                keep(call, heard)
        return failures

    def _run(self, call: Call, heard: bytearray, stop: Callable[[], bool]) -> None:
        options = self._options
        environment: Mapping[str, str] = options.environment | dict(call.environment)
        run(
            call.argv,
            timeout=options.timeout,
            environment=environment,
            error=SolverError,
            stop=stop,
            heard=heard,
        )

    def _keep(self, call: Call, output: bytearray) -> None:
        """What an auth hook printed, also one that failed: certbot does the same."""
        if self._options.style != "certbot":
            return
        text = output[:_MAX_OUTPUT].decode("utf-8", "replace").replace("\0", "").strip()
        for response in call.responses:
            self._outputs[response] = text
            if self._receipts is not None and text:
                self._receipts.put(response, text)

    def _output(self, response: Response) -> str:
        if response in self._outputs:
            return self._outputs[response]
        return (self._receipts and self._receipts.get(response)) or ""


SOLVER_TYPE = SolverType(
    CommandOptions,
    CommandSolver,
    contract=CONTRACT,
    summary="dns-01 or http-01 by a program of your own, or by a hook written for certbot, dehydrated or lego",
    capabilities=Capabilities((DNS_01, HTTP_01), wildcard=True, ip=True),
)
