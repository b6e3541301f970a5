"""The known authorities."""

from __future__ import annotations

from urllib.parse import urlsplit

from acmectl.model.authorities import KNOWN_DIRECTORIES


def test_every_known_directory_is_reached_by_tls() -> None:
    assert {urlsplit(url).scheme for url in KNOWN_DIRECTORIES.values()} == {"https"}
    assert len(set(KNOWN_DIRECTORIES.values())) == len(KNOWN_DIRECTORIES)
