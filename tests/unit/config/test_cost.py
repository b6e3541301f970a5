"""A run with nothing to do still reads its configuration: what that costs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from acmectl.config import Loaded, json_schema

ENTRY = """\
  c{0}:
    names: [a{0}.example.com, b{0}.example.com]
    deploy: [{{type: files, directory: /etc/ssl/c{0}, reload: [systemctl, reload, postfix]}}]
"""


def test_loading_imports_nothing_that_a_run_with_nothing_to_do_does_not_need(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("authority: letsencrypt\ncertificates: {a: {names: [a.example.com]}}\n")
    program = (
        "import sys, pathlib\nfrom acmectl.config import load\nassert load(pathlib.Path(sys.argv[1])).config\n"
        "print([m for m in ('acme', 'josepy', 'requests', 'dns', 'cryptography', 'rich', 'idna') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_thousand_certificates_load_in_a_moment(loaded: Callable[[dict[str, str]], Loaded]) -> None:
    text = "authority: letsencrypt\ncertificates:\n" + "".join(ENTRY.format(number) for number in range(1000))
    before = time.process_time()
    assert len(loaded({"config.yaml": text}).require().certificates) == 1000
    assert time.process_time() - before < 3, "a quarter of a second is usual; ten times that is a loop in a loop"


def test_editors_get_a_schema_of_every_key() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == {
        *("authority", "profile", "contact", "state_directory", "accounts", "solvers", "master", "certificates"),
        "follower",
        "onchange",
        "onchange_timeout",
    }
    assert schema["required"] == ["authority"]
    assert schema["additionalProperties"] is False
    follower = schema["$defs"]["FollowerSchema"]["properties"]
    assert follower["grace"]["default"] == "15m"
    assert schema["properties"]["follower"]["default"]["grace"] == "15m"
    assert schema["$defs"]["CertificateSchema"]["required"] == ["names"]
