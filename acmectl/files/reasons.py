"""What a failed system call means to a person: the system's words in our style, and what to do about it."""

from __future__ import annotations

import errno


def reason(cause: OSError) -> str:
    """The system's words for a failed call, in our style."""
    text = cause.strerror or str(cause) or type(cause).__name__
    return text[:1].lower() + text[1:]


def hint_for(cause: OSError) -> str | None:
    """What a person can do about a failed system call."""
    return {
        errno.ENOSPC: "the disk is full: free some space and run the same command again",
        errno.EDQUOT: "the quota is used up: free some space and run the same command again",
        errno.EFBIG: "the limit for the size of a file is reached (`ulimit -f`): raise it and run the same command again",
        errno.EROFS: "the file system is mounted read-only",
        errno.ELOOP: "a symbolic link on that way leads to itself: remove it",
        errno.ENOTDIR: "a file on that way stands in the place of a directory: move it elsewhere",
        errno.EACCES: "run as the user who owns it (mostly root), or choose another directory",
        errno.EPERM: "run as the user who owns it (mostly root), or choose another directory",
    }.get(cause.errno or 0)
