"""CAA records (RFC 8659) that stand in the way of finalize: which record a follower's admin asks the DNS admin for.

CAA is checked again at finalize where the authorization is some hours old, with the account and the method of whoever proved
the name (RFC 8657): a follower can be refused for names that its master proved without trouble.
"""

from __future__ import annotations

from collections.abc import Iterable

from acmectl.ca.directory import Directory
from acmectl.errors import Problem
from acmectl.model.names import Identifier

_SHOWN = 3  # names for which a record is written out


def hint(problem: Problem, names: Iterable[Identifier], directory: Directory, account_url: str | None) -> str:
    """What to ask for, where the CA refused some of `names` with `problem`."""
    refused = _refused(problem, sorted(names))
    records = [_record(name, directory, account_url) for name in refused[:_SHOWN]]
    more = f", and the same for {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
    return (
        f"ask the DNS admin for {', '.join(records)}{more}, at this name or at a domain above it; where a record has "
        "`validationmethods`, it must list the method by which the master proves, such as `dns-01`"
    )


def _record(name: Identifier, directory: Directory, account_url: str | None) -> str:
    issuer = directory.caa_identities[0] if directory.caa_identities else "NAME-OF-THE-CA"
    account = f"; accounturi={account_url}" if account_url else ""
    return f'`{name.base}. CAA 0 {"issuewild" if name.is_wildcard else "issue"} "{issuer}{account}"`'


def _refused(problem: Problem, names: list[Identifier]) -> list[Identifier]:
    """Those that subproblems name, else those that the detail quotes (a single one has no subproblem), else all."""
    named = {sub.identifier for sub in problem.subproblems}
    found = [name for name in names if name.value in named]
    return found or [name for name in names if f" {name.base} " in f"{problem.detail} "] or names
