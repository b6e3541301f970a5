from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from acmectl.errors import SolverError
from acmectl.options import Options
from acmectl.solvers import registry
from acmectl.solvers.webroot import WebrootOptions, WebrootSolver

HEAVY = ("dns", "cryptography", "requests", "acme", "josepy", "http.client", "ssl", "click", "rich")


def python(code: str, *paths: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"PYTHONPATH": ":".join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_built_in_type_has_options_and_is_known() -> None:
    assert registry.known_types()[:4] == ("rfc2136", "webroot", "standalone", "command")
    for name in registry.known_types():
        model = registry.options_model(name)
        assert model
        assert issubclass(model, Options)


def test_an_unknown_type_has_no_options_and_cannot_be_built(tmp_path: Path) -> None:
    assert registry.options_model("carrier-pigeon") is None
    assert registry.options_model("base") is None  # a module beside the solvers is no type
    with pytest.raises(SolverError, match="there is no solver type `carrier-pigeon`") as caught:
        registry.build("carrier-pigeon", WebrootOptions(path=(tmp_path,)))
    assert caught.value.hint == "the types are rfc2136, webroot, standalone, command"


def test_a_solver_is_built_from_its_options(tmp_path: Path) -> None:
    assert isinstance(registry.build("webroot", WebrootOptions(path=(tmp_path,))), WebrootSolver)


def test_reading_options_and_building_solvers_imports_nothing_heavy(tmp_path: Path) -> None:
    key = tmp_path / "tsig.key"
    key.touch(mode=0o600)
    key.write_text('key "k" { algorithm hmac-sha256; secret "MDEyMzQ1Njc4OWFiY2RlZg=="; };')
    code = f"""
import sys
from acmectl.solvers import registry
options = {{
    "rfc2136": {{"server": "192.0.2.53", "tsig_key_file": {str(key)!r}, "resolvers": ["192.0.2.53"]}},
    "webroot": {{"path": {str(tmp_path)!r}}},
    "standalone": {{"listen": "127.0.0.1:8080"}},
    "command": {{"challenge": "dns-01", "publish": ["true"], "remove": ["true"]}},
}}
for name in registry.known_types():
    registry.build(name, registry.options_model(name).model_validate(options[name])).capabilities
print(*sorted(set({HEAVY!r}) & sys.modules.keys()))
"""
    assert python(code) == "\n"


PLUG_IN = """
from acmectl.options import Options
from acmectl.solvers.base import Capabilities
from acmectl.solvers.registry import SolverType

class PigeonOptions(Options):
    coop: str

class PigeonSolver:
    capabilities = Capabilities(("http-01",), wildcard=False)
    def __init__(self, options):
        self.coop = options.coop

PIGEON = SolverType(PigeonOptions, PigeonSolver)
NOTHING = None
"""


@pytest.fixture
def plug_in(tmp_path: Path) -> Path:
    """A distribution with entry points, as pip would lay it out."""
    (tmp_path / "pigeon.py").write_text(PLUG_IN)
    metadata = tmp_path / "pigeon-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeon\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[acmectl.solvers]\npigeon = pigeon:PIGEON\nwebroot = pigeon:PIGEON\n"
        "broken = no_such_module:PIGEON\nempty = pigeon:NOTHING\nmissing = pigeon:NO_SUCH_NAME\n"
    )
    return tmp_path


def test_a_plug_in_is_found_by_its_entry_point(plug_in: Path) -> None:
    code = """
from acmectl.solvers import registry
print(*registry.known_types())
print(registry.build("pigeon", registry.options_model("pigeon")(coop="roof")).coop)
print(registry.options_model("webroot").__name__)
"""
    assert python(code, plug_in).splitlines() == [
        "rfc2136 webroot standalone command broken empty missing pigeon",
        "roof",
        "WebrootOptions",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "broken",
            "the plug-in for solver type `broken` (`no_such_module:PIGEON`) cannot be imported: No module named",
        ),
        (
            "missing",
            "the plug-in for solver type `missing` (`pigeon:NO_SUCH_NAME`) cannot be imported: module 'pigeon'",
        ),
        ("empty", "the plug-in for solver type `empty` (`pigeon:NOTHING`) is no `SolverType`"),
    ],
)
def test_a_plug_in_that_cannot_be_imported_is_an_error_that_names_it(plug_in: Path, name: str, message: str) -> None:
    code = f"""
from acmectl.errors import SolverError
from acmectl.solvers import registry
try:
    registry.options_model({name!r})
except SolverError as error:
    print(error)
"""
    assert python(code, plug_in).startswith(message)
