"""What commands are told of the certificate that they are run for: in our words, and in those of certbot's deploy hooks.

certbot gives its hooks `RENEWED_LINEAGE`, a folder with `cert.pem`, `chain.pem`, `fullchain.pem` and `privkey.pem`, and
`RENEWED_DOMAINS`, the names with spaces between them (eff-certbot.readthedocs.io, "Renewing certificates"); so do we. Hooks take the
last part of that folder for the certificate's name, so it is called as the certificate. A command that is run once for several certificates is
told their labels alone, one that is run once for several targets of a certificate everything but their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from acmectl.follower.targets import Work

_TARGET = "ACMECTL_TARGET"


def of_one(work: Work) -> dict[str, str]:
    """For a command that is run for one target. Raises StorageError where the folder that certbot's hooks want cannot be made."""
    have, names = work.installed, " ".join(map(str, work.names))
    return {
        "ACMECTL_LABEL": have.label,
        "ACMECTL_LABELS": have.label,
        "ACMECTL_NAMES": names,
        "ACMECTL_DIRECTORY": str(work.directory),
        "ACMECTL_GENERATION": str(have.generation),
        "ACMECTL_SERIAL": have.serial,
        "ACMECTL_NOT_AFTER": have.not_after.isoformat(timespec="seconds"),
        "ACMECTL_KEY_TYPE": have.key_type or "",
        _TARGET: work.placed.name,
        "RENEWED_LINEAGE": str(work.lineage()),
        "RENEWED_DOMAINS": names,
    }


def of_labels(labels: Iterable[str]) -> dict[str, str]:
    """For a command that is run for several certificates."""
    return {"ACMECTL_LABELS": " ".join(dict.fromkeys(labels))}


def of_all(works: Sequence[Work]) -> dict[str, str]:
    """For a command that targets share: what holds for all of them. Raises StorageError, as `of_one`."""
    labels = dict.fromkeys(work.installed.label for work in works)
    if len(labels) > 1:
        return of_labels(labels)
    told = of_one(works[0])
    return told if len(works) == 1 else {name: value for name, value in told.items() if name != _TARGET}
