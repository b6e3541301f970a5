"""Users and groups as a configuration names them, by name or number, and as the system counts them.

A number need not be known to this host: a file can be for a container's user.
"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable

from acmectl.errors import AcmectlError, StorageError


def user_id(owner: str | None, *, of: str, error: type[AcmectlError] = StorageError) -> int:
    """The number of a user that is given by name or number, -1 for None (as it is); `of` is whose `owner` it is."""
    if owner is None:
        return -1
    if (number := _number(owner, lambda name: pwd.getpwnam(name).pw_uid)) is None:
        raise error(f"there is no user `{owner}` on this host", hint=f"correct the `owner` of {of}")
    return number


def group_id(group: str | None, *, of: str, error: type[AcmectlError] = StorageError) -> int:
    """The number of a group, as `user_id`."""
    if group is None:
        return -1
    if (number := _number(group, lambda name: grp.getgrnam(name).gr_gid)) is None:
        raise error(f"there is no group `{group}` on this host", hint=f"correct the `group` of {of}")
    return number


def is_number_of_owner(number: object) -> bool:
    """Whether a user or group can have it: the largest of 32 bits is chown's -1, which leaves them as they are."""
    return type(number) is int and 0 <= number < 0xFFFF_FFFF


def _number(text: str, known: Callable[[str], int]) -> int | None:
    try:
        number = int(text) if text.isascii() and text.isdecimal() else known(text)
    except (KeyError, ValueError):  # also a NUL in a name, or thousands of digits
        return None
    return number if is_number_of_owner(number) else None
