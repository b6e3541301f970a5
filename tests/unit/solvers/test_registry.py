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
    assert {"rfc2136", "lexicon", "webroot", "standalone", "command", "tls-alpn"} <= set(registry.known_types())
    for name in registry.known_types():
        model = registry.options_model(name)
        assert model
        assert issubclass(model, Options)


def test_an_unknown_type_has_no_options_and_cannot_be_built(tmp_path: Path) -> None:
    assert registry.options_model("carrier-pigeon") is None
    assert registry.options_model("base") is None  # a module beside the solvers is no type
    with pytest.raises(SolverError, match="there is no solver type `carrier-pigeon`") as caught:
        registry.build("carrier-pigeon", WebrootOptions(path=(tmp_path,)))
    assert caught.value.hint == (
        f"the types are {', '.join(registry.known_types())}; others are plug-ins that have to be installed"
    )


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
    "lexicon": {{"provider": "powerdns", "credentials": {{"auth_token": {str(key)!r}}}}},
    "webroot": {{"path": {str(tmp_path)!r}}},
    "standalone": {{"listen": "127.0.0.1:8080"}},
    "command": {{"challenge": "dns-01", "publish": ["true"], "remove": ["true"]}},
    "tls-alpn": {{"listen": "systemd"}},
}}
for name in registry.known_types():
    registry.build(name, registry.options_model(name).model_validate(options[name])).capabilities
print(*sorted(set({HEAVY!r}) & sys.modules.keys()))
"""
    assert python(code) == "\n"


PLUG_IN = """
import sys
from acmectl.errors import SolverError
from acmectl.options import Options
from acmectl.solvers.base import Capabilities
from acmectl.solvers.registry import SolverType

class PigeonOptions(Options):
    coop: str
    mood: str = "tame"

class PigeonSolver:
    capabilities = Capabilities(("http-01",), wildcard=False)

    def __init__(self, options):
        if options.mood == "lame":
            raise KeyError("wing")
        if options.mood == "comma":
            self.capabilities = Capabilities(("http-01"), wildcard=False)
        if options.mood == "blank":
            self.capabilities = None
        self.mood = options.mood

    def publish(self, responses):
        if self.mood == "wild":
            raise ZeroDivisionError("no\\x1b roof")
        if self.mood == "tired":
            sys.exit(0)
        return None if self.mood == "silent" else {}

    def seen(self, responses):
        if self.mood == "stray":
            return {"a response that nobody asked for": SolverError("lost")}
        return {"pigeon": "seen"} if self.mood == "silent" else {}

    remove = seen

def made(options=PigeonOptions, contract=1, capabilities=PigeonSolver.capabilities):
    return SolverType(options, PigeonSolver, contract=contract, summary="by pigeon", capabilities=capabilities)

PIGEON = made()
OLD, NEW = made(contract=0), made(contract=2)
ODD, UNABLE = made(options=dict), made(capabilities=("http-01",))
COMMA = made(capabilities=Capabilities(("dns-01"), wildcard=False))
NONE = made(capabilities=Capabilities((), wildcard=False))
LASTING = made(capabilities=Capabilities(("dns-persist-01", "dns-01"), wildcard=False))
NOTHING = None
"""

ENTRY_POINTS = """[acmectl.solvers]
pigeon = pigeon:PIGEON
webroot = pigeon:PIGEON
broken = no_such_module:PIGEON
empty = pigeon:NOTHING
missing = pigeon:NO_SUCH_NAME
old = pigeon:OLD
new = pigeon:NEW
odd = pigeon:ODD
unable = pigeon:UNABLE
comma = pigeon:COMMA
none = pigeon:NONE
lasting = pigeon:LASTING
leaving = leaving:PIGEON
defective = defective:PIGEON
twice = pigeon:PIGEON
"""


def distribution(directory: Path, name: str, entry_points: str) -> None:
    """As pip would lay it out."""
    metadata = directory / f"{name}-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(entry_points)


@pytest.fixture
def plug_in(tmp_path: Path) -> Path:
    """Two distributions with entry points, and a module that cannot be imported for a reason of its own."""
    (tmp_path / "pigeon.py").write_text(PLUG_IN)
    (tmp_path / "defective.py").write_text("raise RuntimeError('moulting')\n")
    (tmp_path / "leaving.py").write_text("import sys\nsys.exit(0)\n")
    distribution(tmp_path, "pigeon", ENTRY_POINTS)
    distribution(tmp_path, "loft", "[acmectl.solvers]\ntwice = pigeon:PIGEON\n")
    return tmp_path


def test_a_plug_in_is_found_by_its_entry_point_and_never_in_place_of_a_built_in_type(plug_in: Path) -> None:
    code = """
from acmectl.solvers import registry
print(*registry.known_types())
print(registry.build("pigeon", registry.options_model("pigeon")(coop="roof")).publish([]))
print(registry.options_model("webroot").__name__)
"""
    assert python(code, plug_in).splitlines() == [
        f"{' '.join(registry.known_types())} broken comma defective empty lasting leaving missing new none odd old pigeon twice unable",
        "{}",
        "WebrootOptions",
    ]


UNUSABLE = {
    "broken": "(pigeon 1, `no_such_module:PIGEON`) cannot be imported: ModuleNotFoundError: No module named",
    "missing": "(pigeon 1, `pigeon:NO_SUCH_NAME`) cannot be imported: AttributeError: module 'pigeon'",
    "defective": "(pigeon 1, `defective:PIGEON`) cannot be imported: RuntimeError: moulting",
    "empty": "(pigeon 1, `pigeon:NOTHING`) is no `SolverType`",
    "old": "(pigeon 1, `pigeon:OLD`) was written for version 0 of the contract, and this acmectl has version 1",
    "new": "(pigeon 1, `pigeon:NEW`) was written for version 2 of the contract, and this acmectl has version 1",
    "odd": "(pigeon 1, `pigeon:ODD`) has options that are no subclass of `acmectl.options.Options`",
    "unable": "(pigeon 1, `pigeon:UNABLE`) is a type without capabilities",
    "leaving": "(pigeon 1, `leaving:PIGEON`) cannot be imported: SystemExit: 0",
    "comma": "(pigeon 1, `pigeon:COMMA`) is a type whose `challenge_types` are no tuple of challenge types: 'dns-01'",
    "none": "(pigeon 1, `pigeon:NONE`) is a type whose `challenge_types` are no tuple of challenge types: ()",
    "lasting": "(pigeon 1, `pigeon:LASTING`) is a type with the challenge type 'dns-persist-01', and a solver is for dns-01, ",
}


def test_a_plug_in_that_cannot_be_used_is_an_error_that_names_it(plug_in: Path) -> None:
    code = f"""
from acmectl.errors import SolverError
from acmectl.solvers import registry
for name in {[*UNUSABLE, "twice"]!r}:
    try:
        registry.options_model(name)
    except SolverError as error:
        print(error)
"""
    *told, twice = python(code, plug_in).splitlines()
    for line, (name, words) in zip(told, UNUSABLE.items(), strict=True):
        assert line.startswith(f"the plug-in for solver type `{name}` {words}")
    assert twice == (
        "several plug-ins offer solver type `twice`: loft 1, `pigeon:PIGEON` and pigeon 1, `pigeon:PIGEON`"
    )


def test_what_a_plug_in_does_against_the_contract_is_told_as_its_defect(plug_in: Path) -> None:
    code = """
from acmectl.errors import SolverError
from acmectl.solvers import registry
def attempt(mood, call):
    try:
        solver = registry.build("pigeon", registry.options_model("pigeon")(coop="roof", mood=mood))
        getattr(solver, call)([])
    except SolverError as error:
        print(error)
        print(error.hint)
attempt("lame", "publish")
attempt("blank", "publish")
attempt("comma", "publish")
attempt("wild", "publish")
attempt("tired", "publish")
attempt("silent", "publish")
attempt("silent", "seen")
attempt("stray", "remove")
"""
    lines = python(code, plug_in).splitlines()
    assert lines[::2] == [
        "the plug-in for solver type `pigeon` failed: KeyError: 'wing'",
        "the plug-in for solver type `pigeon` made a solver without capabilities",
        "the plug-in for solver type `pigeon` made a solver whose `challenge_types` are no tuple of challenge types: 'http-01'",
        "the plug-in for solver type `pigeon` failed in `publish`: ZeroDivisionError: no  roof",
        "the plug-in for solver type `pigeon` failed in `publish`: SystemExit: 0",
        "the plug-in for solver type `pigeon` returned from `publish` what is no mapping of failures",
        "the plug-in for solver type `pigeon` returned from `seen` what is no mapping of failures",
        "the plug-in for solver type `pigeon` returned from `remove` what is no mapping of failures",
    ]
    assert set(lines[1::2]) == {"a defect of the plug-in: tell its authors, with the output of `acmectl -vv`"}
