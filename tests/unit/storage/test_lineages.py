"""The links under which hooks of certbot find certificates."""

from __future__ import annotations

from pathlib import Path

import pytest

from acmectl.errors import StorageError
from acmectl.storage.certificates import Certificates
from acmectl.storage.lineages import Lineages
from acmectl.storage.memory import Memory


@pytest.fixture
def lineages(tmp_path: Path) -> Lineages:
    (tmp_path / "certificates" / "mail" / "current").mkdir(parents=True)
    return Lineages(tmp_path / "live", tmp_path / "certificates")


def test_a_lineage_is_called_as_the_certificate_and_leads_to_what_is_in_use(lineages: Lineages, tmp_path: Path) -> None:
    link = lineages.made("mail")
    assert link == tmp_path / "live" / "mail"
    assert str(link.readlink()) == "../certificates/mail/current"
    assert link.samefile(tmp_path / "certificates" / "mail" / "current")
    assert link.parent.stat().st_mode & 0o777 == 0o700


def test_a_lineage_that_is_right_is_left_alone(lineages: Lineages) -> None:
    before = lineages.made("mail").lstat()
    assert lineages.made("mail").lstat() == before


def test_a_wrong_lineage_is_put_right_and_what_a_killed_run_left_goes(lineages: Lineages, tmp_path: Path) -> None:
    live = tmp_path / "live"
    live.mkdir()
    (live / "mail").symlink_to("/elsewhere")
    (live / ".mail.0123abcd.tmp").symlink_to("/elsewhere")
    lineages.made("mail")
    assert [(path.name, str(path.readlink())) for path in live.iterdir()] == [("mail", "../certificates/mail/current")]


def test_a_folder_in_the_place_of_a_lineage_is_told_and_left(lineages: Lineages, tmp_path: Path) -> None:
    (tmp_path / "live" / "mail").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"cannot write `.*/live/mail`: is a directory"):
        lineages.made("mail")


@pytest.mark.parametrize("label", ["../mail", "", ".mail", "a/b"])
def test_a_label_that_leads_elsewhere_is_refused(lineages: Lineages, label: str) -> None:
    with pytest.raises(StorageError, match="cannot be the name of a certificate"):
        lineages.made(label)


def test_a_removed_certificate_takes_its_lineage_along(lineages: Lineages, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "certificates", Memory(tmp_path / "state.db"))
    certificates.remove("web")
    assert not (tmp_path / "live").exists(), "nothing there is no error, and nothing is made"
    lineages.made("mail")
    web = lineages.made("web")
    certificates.remove("mail")
    assert list((tmp_path / "live").iterdir()) == [web]
    certificates.remove("mail")
