"""Marks of revoked generations: on the disk, kept while in use, then out of the way."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from acmectl.errors import StorageError
from acmectl.model.renewals import Reason, Revocation
from acmectl.storage.revocations import Revocations

NOW = datetime(2026, 11, 22, 12, 30, 1, 5, tzinfo=UTC)


def revoked(generation: int) -> Revocation:
    return Revocation(generation, "0a", "pin=", Reason.KEY_COMPROMISE, NOW, distrusts_key=True)


@pytest.fixture
def revocations(tmp_path: Path) -> Revocations:
    """Over a certificate with three generations."""
    for number in (1, 2, 3):
        (tmp_path / "web" / str(number)).mkdir(parents=True)
        (tmp_path / "web" / str(number) / "cert.pem").write_text(f"certificate {number}")
    return Revocations(tmp_path)


def test_a_mark_is_read_as_it_was_written_by_nobody_else(revocations: Revocations, tmp_path: Path) -> None:
    revocations.mark("web", revoked(2))
    assert revocations.of("web", 2) == revoked(2)
    assert revocations.of("web", 1) is None
    assert revocations.of("web", 9) is None
    assert stat.S_IMODE((tmp_path / "web/2/revoked.json").stat().st_mode) == 0o600


def test_what_was_revoked_is_put_out_of_the_way_once_it_is_not_in_use(revocations: Revocations, tmp_path: Path) -> None:
    for number in (1, 2):
        revocations.mark("web", revoked(number))
    assert revocations.archive("web", in_use=2) == (1,)
    assert revocations.archive("web", in_use=3) == (2,)
    assert revocations.archive("web", in_use=3) == ()
    assert revocations.archived("web") == (revoked(1), revoked(2))
    assert sorted(path.name for path in (tmp_path / "web").iterdir()) == ["3", "revoked"]
    assert (tmp_path / "web/revoked/1/cert.pem").read_text() == "certificate 1"


def test_a_number_that_comes_again_writes_over_nothing_that_was_archived(
    revocations: Revocations, tmp_path: Path
) -> None:
    for _ in range(3):
        (tmp_path / "web/1").mkdir(exist_ok=True)
        revocations.mark("web", revoked(1))
        revocations.archive("web", in_use=3)
    assert sorted(path.name for path in (tmp_path / "web/revoked").iterdir()) == ["1", "1.2", "1.3"]


def test_a_certificate_without_any_generation_has_none_that_was_revoked(revocations: Revocations) -> None:
    assert revocations.archive("mail", in_use=None) == ()
    assert revocations.archived("mail") == ()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"generation": 1}'])
def test_a_damaged_mark_is_an_error_and_never_taken_for_none(
    revocations: Revocations, tmp_path: Path, content: str
) -> None:
    (tmp_path / "web/1/revoked.json").write_text(content)
    with pytest.raises(StorageError, match=r"revoked.json` is damaged"):
        revocations.of("web", 1)
