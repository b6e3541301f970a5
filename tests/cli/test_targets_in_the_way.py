"""Deploy targets that would overwrite each other, or what acmectl keeps for itself, are a mistake in the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from acmectl import app
from acmectl.errors import ConfigurationError

TOP = "authority: letsencrypt\nstate_directory: state\ncertificates:\n"


def problems(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "config.yaml").write_text(TOP + text)
    with pytest.raises(ConfigurationError) as raised:
        app.load(tmp_path / "config.yaml")
    return [str(problem).replace(str(tmp_path), "TMP") for problem in raised.value.problems]


def certificate(label: str, *directories: str, more: str = "") -> str:
    listed = "".join(f"      - {{type: files, directory: {directory}{more}}}\n" for directory in directories)
    return f"  {label}:\n    names: [{label}.example.com]\n    deploy:\n{listed}"


@pytest.mark.parametrize("second", ["tls", "./other/../tls", "link"])
def test_two_certificates_at_one_place_are_refused(tmp_path: Path, second: str) -> None:
    (tmp_path / "tls").mkdir()
    (tmp_path / "link").symlink_to("tls")
    (said,) = problems(tmp_path, certificate("a", "tls") + certificate("b", second))
    assert said == (
        "TMP/config.yaml:11: `certificates.b.deploy[0].directory`: `TMP/tls/privkey.pem` is written by"
        " `certificates.a.deploy[0]` too"
        " (give each a directory of its own, or other names: `files: {privkey: ..., fullchain: ...}`)"
    )


def test_two_targets_of_one_certificate_at_one_place_are_refused(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, certificate("a", "tls", "tls"))
    assert "`certificates.a.deploy[1].directory`" in said


def test_other_names_in_one_directory_are_fine(tmp_path: Path) -> None:
    names = ", files: {privkey: b.key, fullchain: b.crt}"
    (tmp_path / "config.yaml").write_text(TOP + certificate("a", "tls") + certificate("b", "tls", more=names))
    assert set(app.load(tmp_path / "config.yaml").parts.targets) == {"a", "b"}


@pytest.mark.parametrize("directory", ["state", "state/certificates/a/current"])
def test_a_target_inside_the_state_directory_is_refused(tmp_path: Path, directory: str) -> None:
    (said,) = problems(tmp_path, certificate("a", directory))
    assert said == (
        "TMP/config.yaml:7: `certificates.a.deploy[0].directory`: is inside the state directory"
        " (use another directory; a service can also read `TMP/state/certificates/LABEL/current/` directly)"
    )
