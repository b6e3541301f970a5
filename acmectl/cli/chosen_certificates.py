"""Which certificate a person means by LABEL or LABEL+KEYTYPE, also one that the configuration does not name any more.

A folder of exactly that name, which no configured certificate has, comes before a kind of a configured certificate: it is what
`acmectl cert list` calls so, and revoking the wrong one cannot be undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.errors import UsageError
from acmectl.model.certificates import KIND, title_of

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.follower import Wish


@dataclass(frozen=True, slots=True)
class Chosen:
    """The kinds of a certificate that are meant; `is_left` where the configuration does not name it any more."""

    wishes: tuple[Wish, ...]
    is_left: bool = False


def any_certificate(host: Host, label: str, *, account: str | None = None) -> Chosen:
    """All kinds of a certificate, or one of them; `account` is that of one that is not configured. Raises UsageError."""
    from acmectl.app import leftovers

    if left := _left(host, label):
        return Chosen(tuple(leftovers.wish(host, one, account=account) for one in left), is_left=True)
    return Chosen(host.wishes([label]))


def configured(host: Host, label: str) -> tuple[Wish, ...]:
    """All kinds of a certificate of the configuration, or one of them. Raises UsageError."""
    if left := _left(host, label):
        raise UsageError(
            f"the certificate `{title_of(left[0])}` is not in the configuration any more",
            hint=f"`acmectl cert show {left[0]}` and `acmectl cert revoke {left[0]}` know it,"
            f" and `acmectl cert remove {left[0]}` removes what this host keeps of it",
        )
    return host.wishes([label])


def _left(host: Host, label: str) -> tuple[str, ...]:
    from acmectl.app import leftovers

    first, _, kind = label.partition(KIND)
    there = leftovers.labels(host)
    if kind and label in there:
        return (label,)
    if first in host.config.certificates:
        return ()
    of_label = (one for one in there if one.partition(KIND)[0] == first)
    return tuple(one for one in of_label if not kind or leftovers.wish(host, one).spec.key_type == kind)
