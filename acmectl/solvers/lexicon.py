"""dns-01 at hosted providers, by dns-lexicon (the extra `acmectl[lexicon]`).

The zone of each record is found by SOA, its CNAMEs followed, as for `rfc2136`; lexicon changes it in a process of its own
(`acmectl.solvers.lexicon_worker` says why). Credentials come from files that nobody else may read. What lexicon would read from the environment or
from files in the working directory is not read: a run does what its configuration says.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from acmectl.errors import AcmectlError, Interrupted, SolverError
from acmectl.options import format_duration
from acmectl.programs import run
from acmectl.solvers.base import CONTRACT, Capabilities, Failures, Response
from acmectl.solvers.dns_check import DnsCheck, zone_key
from acmectl.solvers.failures import solver_error
from acmectl.solvers.lexicon_options import LexiconOptions
from acmectl.solvers.lexicon_providers import ProviderOption, provider_options
from acmectl.solvers.registry import SolverType
from acmectl.workers import is_abandoned

_STARTING = timedelta(seconds=30)  # for a new process on a slow machine, beside what the provider takes
_HANDED_ON = re.compile(r"(?i)((https?|all|no)_proxy)|(requests|curl)_ca_bundle|ssl_cert_(file|dir)")


class LexiconSolver:
    """Adds and removes values one by one, all zones of a batch in one process."""

    capabilities = Capabilities(challenge_types=("dns-01",), wildcard=True)

    def __init__(self, options: LexiconOptions) -> None:
        self._options = options
        self._check = DnsCheck(options)
        self._untouched: set[Response] = set()  # what is certainly not there
        self._left: set[Response] = set()  # what was there before this process, or may be: it could not be removed

    def publish(self, responses: Sequence[Response]) -> Failures:
        """Add every value."""
        failures, untouched = self._change("publish", responses, stop=is_abandoned)
        self._untouched = (self._untouched - set(responses)) | (untouched - self._left)
        return failures

    def seen(self, responses: Sequence[Response]) -> Failures:
        """Wait until every authoritative server answers every value."""
        return self._check.seen(responses)

    def remove(self, responses: Sequence[Response]) -> Failures:
        """Take the values away that are there; for what was never asked to be added, nobody is asked."""
        present = [response for response in responses if response not in self._untouched]
        failures, _ = self._change("remove", present, stop=lambda: False)
        self._left = (self._left - set(present)) | failures.keys()
        return failures

    def _change(
        self, action: str, responses: Sequence[Response], *, stop: Callable[[], bool]
    ) -> tuple[Failures, set[Response]]:
        """What failed, and what of that is certainly as it was."""
        try:
            credentials = self._options.load_credentials()
        except SolverError as error:
            return dict.fromkeys(responses, error), set(responses)
        located, unknown = self._check.locate(responses)
        zones: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
        for index, (response, location) in enumerate(located.items()):
            owner = location.owner.canonicalize().to_text(omit_final_dot=True)
            zones[zone_key(location).removesuffix(".")].append((index, owner, response.txt_value))
        if not located:
            return unknown, set(unknown)
        told, ending = self._run(self._job(action, zones, credentials), len(located), stop)
        failed: dict[int, SolverError] = {}
        for zone, records in zones.items():
            for index, owner, _ in records:
                if index not in told:
                    failed[index] = ending
                elif failure := told[index]:
                    failed[index] = self._error(f"{action} `{owner}`", zone, failure)
        untouched = {r for index, r in enumerate(located) if (told.get(index) or {}).get("is_untouched")}
        failures = {r: failed[index] for index, r in enumerate(located) if index in failed}
        return {**unknown, **failures}, untouched | unknown.keys()

    def _job(
        self, action: str, zones: Mapping[str, Sequence[tuple[int, str, str]]], credentials: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """What `lexicon_worker.Job` is made of."""
        options = self._options
        kinds = {option.name: option for option in provider_options(options.provider)}
        secrets = {name: handed_over(kinds.get(name), value) for name, value in credentials.items()}
        public = {name: v if isinstance(v, bool) else str(v) for name, v in options.options.items()}
        return {
            "provider": options.provider,
            "action": action,
            "zones": zones,
            "options": {**public, **secrets},
            "secrets": sorted({*credentials.values(), *secrets.values()}),
            "ttl": int(options.ttl.total_seconds()),
            "timeout": options.timeout.total_seconds(),
            "workers": options.workers,
            "parent": os.getpid(),
        }

    def _run(
        self, job: Mapping[str, Any], records: int, stop: Callable[[], bool]
    ) -> tuple[Mapping[int, Mapping[str, Any] | None], SolverError]:
        """The answer for each record that was told, and the error for the others."""
        heard = bytearray()
        ending = SolverError(f"the process for provider `{self._options.provider}` ended before its time")
        try:
            run(
                [sys.executable, "-P", "-m", "acmectl.solvers.lexicon_worker"],
                timeout=_STARTING + self._options.timeout * (records + 1),
                environment=_environment(),
                stdin=json.dumps(job).encode("ascii"),
                error=SolverError,
                stop=stop,
                heard=heard,
            )
        except Interrupted:
            raise
        except AcmectlError as error:
            ending = solver_error(error)
        answers = [json.loads(line) for line in heard.splitlines(keepends=True) if line.endswith(b"\n")]
        return dict(answers), ending

    def _error(self, what: str, zone: str, failure: Mapping[str, Any]) -> SolverError:
        """Words for a failure of `lexicon_failures.failure_of`; `what` is `publish` or `remove`, and the record."""
        provider, kind, text = self._options.provider, failure["kind"], failure["text"]
        limit = format_duration(self._options.timeout)
        back = f"{text} could not be put back" if text else "they were put back"
        words = {
            "timeout": f"did not {what} within {limit}",
            "credentials": f"did not {what}, by the credentials or the zone `{zone}`: {text}",
            "unreachable": f"could not be reached to {what}: {text}",
            "limited": f"did not {what}, as it has had too many requests: {text}",
            "others": f"took values of others away when asked to {what}; {back}",
            "kept": f"took the order to {what}, and has it still",
            "refused": f"refused to {what}, without a reason",
        }
        hints = {
            "timeout": "give the solver a longer `timeout`",
            "credentials": f"check `credentials`, and that the account has zone `{zone}`",
            "unreachable": None,
            "limited": "a later run tries again; what else uses this account?",
            "trouble": "the provider has trouble of its own: a later run tries again",
            "others": "nobody else may use that record: let a CNAME at it lead to one of your own",
        }
        shown = f"`acmectl solvers show {provider}` says what it takes"
        return SolverError(
            f"provider `{provider}` {words.get(kind, f'failed to {what}: {text}')}", hint=hints.get(kind, shown)
        )


def handed_over(option: ProviderOption | None, text: str) -> str:
    """Providers that want a path to a secret take its content as well, encoded."""
    if option and option.is_base64 and not text.startswith(("base64::", "file::", "/")):
        import base64

        return f"base64::{base64.b64encode(text.encode()).decode('ascii')}"
    return text


def _environment() -> Mapping[str, str]:
    """What an HTTP client has to know, and where we are installed; nothing of lexicon's, no passwords of .netrc."""
    ours = {name: value for name, value in os.environ.items() if _HANDED_ON.fullmatch(name)}
    return {**ours, "NETRC": os.devnull, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


SOLVER_TYPE = SolverType(
    LexiconOptions,
    LexiconSolver,
    contract=CONTRACT,
    summary="dns-01 at one of the hosted providers that dns-lexicon knows (the extra `acmectl[lexicon]`)",
    capabilities=LexiconSolver.capabilities,
)
