from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from acmectl.solvers.dns_check import PropagationOptions

ACMECTL = str(Path(sys.executable).with_name("acmectl"))


@pytest.mark.parametrize("require", ["all", "primary", 1, 13])
def test_who_must_answer_is_all_the_primary_or_a_number(require: str | int) -> None:
    assert PropagationOptions.model_validate({"require": require}).require == require


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"require": 0}, "who must answer is `all`, `primary`, or how many name servers, such as `2`"),
        ({"require": True}, "who must answer is `all`, `primary`, or how many name servers, such as `2`"),
        ({"require": "2"}, "who must answer is `all`, `primary`, or how many name servers, such as `2`"),
        ({"require": "primary", "servers": ["192.0.2.1"]}, "`require: primary` asks the primary server alone"),
        ({"require": 2, "servers": ["192.0.2.1"]}, "`require: 2` is more than there are `servers`"),
        (
            {"resolvers": ["192.0.2.2"], "servers": ["192.0.2.1"]},
            "`resolvers` finds the servers that `servers` lists already",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PropagationOptions.model_validate(values)
    (detail,) = caught.value.errors()
    assert str(detail["ctx"]["error"]) == message


def test_the_place_of_a_mistake_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "contact: [admin@example.com]\n"
        "solvers:\n"
        "  dns:\n"
        "    type: command\n"
        "    challenge: dns-01\n"
        "    publish: [hook]\n"
        "    remove: [hook]\n"
        "    propagation:\n"
        "      require: everybody\n"
        "master: {authorize: [{names: [example.com], solver: dns}]}\n"
    )
    done = subprocess.run(
        [ACMECTL, "--config", "config.yaml", "check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "config.yaml:9" in done.stderr
    assert "who must answer is `all`, `primary`, or how many name servers, such as `2`" in done.stderr
