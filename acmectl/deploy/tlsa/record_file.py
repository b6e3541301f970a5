"""The file with TLSA records that a person copied from a follower (`acmectl cert tlsa`) to the master that publishes them.

Lines of a zone file (RFC 1035 section 5.1), each whole: nothing but TLSA records, under names that the configuration lists. Whoever
can write this file could otherwise change the zone as he likes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from acmectl import files
from acmectl.errors import ConfigurationError, ConfigurationProblem, DeployError, Place
from acmectl.model.tlsa import TlsaRecord
from acmectl.options import nearest

_LINE = re.compile(
    r"(?P<owner>\S+)(?:\s+(?:(?:[0-9]+[smhdw])+[0-9]*|[0-9]+|IN))*\s+TLSA\s+(?P<usage>[0-3])\s+(?P<selector>[01])\s+(?P<type>[0-2])\s+"
    r"(?P<data>[0-9a-f][0-9a-f\s]*)\Z",
    re.IGNORECASE,
)
_HEX_DIGITS = {"1": 64, "2": 128}  # of a SHA-256 and of a SHA-512 (RFC 6698 section 2.1.3)
_WHOLE = range(
    88, 2 * 16_384 + 1
)  # hexadecimal digits of what is not hashed: from an Ed25519 key on, and no more than a message has room for
_DATA = {"0": "certificate or key", "1": "SHA-256 hash", "2": "SHA-512 hash"}
_FORM = "as `acmectl cert tlsa LABEL` prints it: `_25._tcp.mail.example.org. 3600 IN TLSA 3 1 1 0123...`"


def read(path: Path, owners: Collection[str]) -> frozenset[TlsaRecord]:
    """The records in the file at `path`, which may lie at `owners` and nowhere else, and must be there for each.

    Raises ConfigurationError with all problems, each with its line.
    """
    try:
        content = files.read(path, what="the file with TLSA records", error=DeployError)
    except DeployError as error:
        raise ConfigurationError((ConfigurationProblem(Place(path), "", error.message, error.hint),)) from error
    found = list(_records(path, content.decode("utf-8-sig", "replace"), owners))
    problems = [one for one in found if isinstance(one, ConfigurationProblem)]
    records = frozenset(one for one in found if isinstance(one, TlsaRecord))
    if not problems:
        problems = [_without_records(path, owner) for owner in sorted(set(owners) - {r.owner for r in records})]
    if problems:
        raise ConfigurationError(tuple(problems))
    return records


def _records(path: Path, text: str, owners: Collection[str]) -> Iterator[TlsaRecord | ConfigurationProblem]:
    for number, line in enumerate(text.split("\n"), start=1):
        if content := line.partition(";")[0].strip():
            yield _record(content, Place(path, number), owners)


def _record(line: str, place: Place, owners: Collection[str]) -> TlsaRecord | ConfigurationProblem:
    match = _LINE.match(line)
    if match is None:
        return ConfigurationProblem(place, "", "no TLSA record", _FORM)
    owner, data = match["owner"].lower(), "".join(match["data"].split()).lower()
    if not owner.endswith("."):
        return ConfigurationProblem(place, "", f"the owner name `{owner}` has no dot at its end", f"write `{owner}.`")
    if owner[:-1] not in owners:
        hint = nearest(owner[:-1], owners) or f"it lists {', '.join(f'`{one}`' for one in sorted(owners))}"
        return ConfigurationProblem(place, "", f"`{owner}` is not listed in `records` of the configuration", hint)
    if not _is_possible(match["type"], data):
        return ConfigurationProblem(
            place, "", f"the data of the record is no {_DATA[match['type']]}: it is {len(data)} digits long", _FORM
        )
    return TlsaRecord(owner[:-1], f"{match['usage']} {match['selector']} {match['type']} {data}")


def _is_possible(matching_type: str, data: str) -> bool:
    """A hash has one length; a certificate or a key in DER is a SEQUENCE (0x30)."""
    if matching_type in _HEX_DIGITS:
        return len(data) == _HEX_DIGITS[matching_type]
    return len(data) in _WHOLE and len(data) % 2 == 0 and data.startswith("30")


def _without_records(path: Path, owner: str) -> ConfigurationProblem:
    hint = "copy what `acmectl cert tlsa LABEL` prints on the follower; or remove the service from the configuration"
    return ConfigurationProblem(Place(path), "", f"no record for `{owner}` in this file", hint)
