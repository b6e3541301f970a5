"""The examples of services and README's table say what the presets do: nobody should have to guess which file a service is to read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from acmectl import app
from acmectl.cli.render import targets as render
from acmectl.deploy import describing, registry
from acmectl.deploy.presets import PRESETS

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples" / "services"
README = (ROOT / "README.md").read_text("utf-8")
SERVICES = [name for name in PRESETS if name != "files"]


def loaded(tmp_path: Path, text: str) -> app.Host:
    (tmp_path / "config.yaml").write_text(f"authority: letsencrypt\nstate_directory: state\n{text}")
    return app.load(tmp_path / "config.yaml")


def test_every_preset_has_an_example_and_every_example_a_preset() -> None:
    assert sorted(path.stem for path in EXAMPLES.iterdir()) == sorted(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_an_example_shows_the_service_just_the_files_that_the_preset_writes(service: str, tmp_path: Path) -> None:
    text = (EXAMPLES / f"{service}.yaml").read_text("utf-8")
    comment = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    ((label, certificate),) = yaml.safe_load(text)["certificates"].items()
    assert certificate["deploy"] == [{"type": service}]
    found, _ = describing.described(service)
    assert found.target is not None
    written = {str(path).replace("LABEL", label) for path in (*found.target.copies, *found.kinds)}
    shown = set(re.findall(r"/etc/\S+\.pem[a-z.]*", comment))
    assert shown == written
    host = loaded(tmp_path, text)
    (wish,) = host.wishes()
    assert [str(path) for path in wish.targets[0].target.copies] == [
        str(path).replace("LABEL", label) for path in found.target.copies
    ]


@pytest.mark.parametrize("service", [name for name in SERVICES if not PRESETS[name].serves_one_kind])
def test_an_example_of_a_service_that_has_both_kinds_says_how(service: str, tmp_path: Path) -> None:
    text = (EXAMPLES / f"{service}.yaml").read_text("utf-8")
    assert "`key: [ecdsa-p256, rsa-2048]`" in text
    loaded(tmp_path, text.replace("    deploy:\n", "    key: [ecdsa-p256, rsa-2048]\n    deploy:\n"))


def test_readmes_table_is_that_of_the_presets() -> None:
    table = re.findall(r"^\| `(\w+)` \| `(/\S+)` \| (\S+ \d+) \| (.*) \| `(.*)` \| (.*) \|$", README, re.MULTILINE)
    expected = [_row(one) for one in describing.described_types() if one.name in SERVICES]
    assert table == expected


def _row(one: describing.Described) -> tuple[str, ...]:
    target = one.target
    assert target is not None
    assert target.verify is not None
    (copy,) = target.wanted
    seen = ", ".join(f"{endpoint.port} {endpoint.protocol}" for endpoint in target.verify.endpoints)
    check = f"`{render.command(target.check)}`" if target.check else "none"
    reload = render.command(target.reload_command)
    return one.name, str(copy.path), render.rights(copy), check, reload, seen


def test_readme_names_every_type_and_content() -> None:
    section = README.partition("### Deployment")[2].partition("\n## ")[0]
    for type_ in registry.known_types():
        assert f"`{type_}`" in section or f"type: {type_}" in section, type_
    options, _ = describing.described("files")[1], None
    contents = [option.key.removeprefix("files.") for option in options if option.key.startswith("files.")]
    assert len(contents) == 9
    assert [content for content in contents if f"`{content}`" not in section] == []


def test_the_overriding_example_of_readme_loads(tmp_path: Path) -> None:
    section = README.partition("### Deployment")[2].partition("\n## ")[0]
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    (tmp_path / "service.passphrase").touch(mode=0o600)
    document: dict[str, Any] = yaml.safe_load(text)
    (wish,) = loaded(tmp_path, text).wishes()
    assert len(wish.targets) == len(document["certificates"]["mail"]["deploy"])
    dovecot, postfix, other, told = (placed.target for placed in wish.targets)
    assert dovecot.verify is not None
    assert [str(endpoint) for endpoint in dovecot.verify.endpoints] == [
        "port 143 on 127.0.0.1 (imap)",
        "port 993 on 127.0.0.1",
        "port 993 on 192.0.2.1",
    ]
    assert (postfix.check, postfix.verify) == (None, None)
    assert other.passphrase_file == tmp_path / "service.passphrase"
    assert told.run == ("/usr/local/bin/tell-somebody",)
