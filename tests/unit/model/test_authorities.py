"""The known authorities."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from acmectl.model.authorities import KNOWN_DIRECTORIES, is_loopback


def test_every_known_directory_is_reached_by_tls() -> None:
    assert {urlsplit(url).scheme for url in KNOWN_DIRECTORIES.values()} == {"https"}
    assert len(set(KNOWN_DIRECTORIES.values())) == len(KNOWN_DIRECTORIES)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.8.7", True),
        ("::1", True),
        ("localhost", True),
        ("LocalHost", True),
        ("192.0.2.1", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_this_host_is_known_by_its_addresses_and_its_name(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected
