"""Files -> text, or the one reason why not: what a person may point a configuration at is checked before it is parsed."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from acmectl import files

_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # YAML 1.1, section 4.1


class Unreadable(Exception):
    """A file that is no text of a sane size; `line` is where that shows, None for the file as a whole."""

    def __init__(self, message: str, *, hint: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.line = line


class Missing(Unreadable):
    """There is no such file."""


def read_text(path: Path, *, limit: int) -> str:
    """The text of a regular file of at most `limit` bytes, without a byte order mark. Raises Unreadable."""
    content = _read(path, limit)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("the file is UTF-16", hint=f"save it as UTF-8: `iconv -f utf-16 -t utf-8 {path}`", line=1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable("not UTF-8 text", hint="save the file as UTF-8", line=line) from error
    if found := _NOT_TEXT.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise Unreadable(f"binary: the character U+{ord(found[0]):04X} is no text", line=line)
    return text


def _read(path: Path, limit: int) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise Unreadable("a directory, where a file is expected")
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("no regular file")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise Missing("there is no such file") from None
    except (OSError, ValueError) as cause:
        raise _unreadable(cause) from cause
    if len(content) > limit:
        raise Unreadable(f"larger than {limit // 1024 // 1024} MB")
    return content


def _unreadable(cause: OSError | ValueError) -> Unreadable:
    if isinstance(cause, OSError):
        return Unreadable(f"cannot be read: {files.reason(cause)}", hint=files.hint_for(cause))
    return Unreadable("cannot be read: no file has such a name")
