"""Files that are whole or not there: created with their final mode, synced, and put in place by one rename.

A secret is never readable by others at any moment: the temporary file beside the target is created for its owner alone, gets
its owner and its final mode before its content. What fails leaves the old file as it was and no temporary file behind;
only a process that is killed can leave one, and `is_leftover` knows its name.
"""

from __future__ import annotations

from acmectl.files.creating import PRIVATE, write_new
from acmectl.files.directories import PRIVATE_DIRECTORY, make_directory, sync_directory
from acmectl.files.leftovers import is_leftover, remove_leftovers, temporary_name
from acmectl.files.owners import group_id, is_number_of_owner, user_id
from acmectl.files.placing import (
    NewFile,
    Standing,
    put_back,
    refuse_others,
    standing_at,
    write_atomically,
    write_together,
)
from acmectl.files.reading import exposure, read, read_secret
from acmectl.files.reasons import hint_for, reason

__all__ = [
    "PRIVATE",
    "PRIVATE_DIRECTORY",
    "NewFile",
    "Standing",
    "exposure",
    "group_id",
    "hint_for",
    "is_leftover",
    "is_number_of_owner",
    "make_directory",
    "put_back",
    "read",
    "read_secret",
    "reason",
    "refuse_others",
    "remove_leftovers",
    "standing_at",
    "sync_directory",
    "temporary_name",
    "user_id",
    "write_atomically",
    "write_new",
    "write_together",
]
