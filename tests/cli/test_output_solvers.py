"""What `solvers list` and `solvers show` say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from acmectl.solvers import describing, registry
from tests.cli.hosts import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


def plug_in(directory: Path, source: str, entry_points: str) -> dict[str, str]:
    """The environment in which a plug-in is installed."""
    site = directory / "site"
    metadata = site / "bird-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "bird.py").write_text(source)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bird\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[acmectl.solvers]\n{entry_points}")
    return {"PYTHONPATH": str(site)}


PIGEON = """
from pydantic import Field
from acmectl.options import Duration, Options
from acmectl.solvers.base import Capabilities, Probe
from acmectl.solvers.registry import SolverType

class Coop(Options):
    roof: str
    \"\"\"Which roof.\"\"\"

class PigeonOptions(Options):
    coop: Coop
    speed: float = Field(default=1.5, description="How fast.")

class Pigeon:
    def __init__(self, options): self.capabilities = ABLE

ABLE = Capabilities(("http-01", "tls-alpn-01"), wildcard=False, ip=True, probe=Probe.NONE)
PIGEON = SolverType(PigeonOptions, Pigeon, contract=1, summary="http-01 by carrier pigeon", capabilities=ABLE)
"""


def test_every_built_in_type_is_listed_with_what_it_proves(host: Host) -> None:
    lines = host.good("solvers", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == list(registry.known_types())
    assert lines[0].split()[1] == "dns-01"


def test_plug_ins_are_listed_and_shown_as_built_in_types_are(host: Host, tmp_path: Path) -> None:
    installed = plug_in(tmp_path, PIGEON, "pigeon = bird:PIGEON\n")
    last = host.good("solvers", "list", env=installed).out.splitlines()[-1]
    assert last.split(None, 3)[::3] == ["pigeon", "http-01 by carrier pigeon (bird 1.0, `bird:PIGEON`)"]
    assert (
        host.good("solvers", "show", "pigeon", env=installed).out
        == """\
pigeon: http-01 by carrier pigeon
  from:              bird 1.0, `bird:PIGEON`
  challenges:        http-01, tls-alpn-01
  proves:            names, IP addresses
  before a refresh:  never tried: on trust

  coop  mapping, required

  coop.roof  text, required
      Which roof.

  speed  number, default 1.5
      How fast.
"""
    )
    document = json.loads(host.good("solvers", "show", "pigeon", "--json", env=installed).out)
    assert document["solver"]["probe"] == "none"
    assert document["solver"]["options"][1] == {
        "key": "coop.roof",
        "type": "text",
        "required": True,
        "default": None,
        "meaning": "Which roof.",
    }


def test_plug_ins_that_cannot_be_used_are_told_beside_those_that_can(host: Host, tmp_path: Path) -> None:
    installed = plug_in(tmp_path, PIGEON, "pigeon = bird:PIGEON\nwebroot = bird:PIGEON\nowl = bird:OWL\n")
    ran = host.acmectl("solvers", "list", env=installed)
    assert ran.status == 1
    assert "pigeon" in ran.out
    assert ran.err == (
        "error: the plug-in for solver type `owl` (bird 1.0, `bird:OWL`) cannot be imported: "
        "AttributeError: module 'bird' has no attribute 'OWL'\n"
        "hint: a defect of the plug-in: tell its authors, with the output of `acmectl -vv`\n"
        "error: the plug-in for solver type `webroot` (bird 1.0, `bird:PIGEON`) takes the name of a built-in type, "
        "and is not used\nhint: its package has to give it another name\n"
    )
    types = json.loads(host.acmectl("solvers", "list", "--json", env=installed).out)["solvers"]
    assert [one["name"] for one in types if one["error"]] == ["owl", "webroot"]


def test_a_plug_in_in_a_configuration_has_its_errors_placed_at_its_line(host: Host, tmp_path: Path) -> None:
    source = PIGEON + (
        "class BlindOptions(Options):\n    from pydantic import model_validator\n"
        "    @model_validator(mode='after')\n    def _look(self): raise KeyError('eye')\n"
        "BLIND = SolverType(BlindOptions, Pigeon, contract=1, summary='-', capabilities=ABLE)\n"
        "def lame(options): raise ZeroDivisionError\n"
        "LAME = SolverType(Options, lame, contract=1, summary='-', capabilities=ABLE)\n"
    )
    listed = "pigeon = bird:PIGEON\nblind = bird:BLIND\nlame = bird:LAME\n"
    host.configure(
        "authority: letsencrypt\nsolvers:\n  a:\n    type: pigeon\n    coop: {rof: x}\n  b: {type: blind}\n"
        "  c: {type: lame}\n  d: {type: pigoen}\n"
        "master: {authorize: [{names: [a.acme.test], solver: [a, b]}]}\n"
    )
    ran = host.acmectl("check", env=plug_in(tmp_path, source, listed))
    assert ran.status == 2
    tell = "a defect of the plug-in: tell its authors, with the output of `acmectl -vv`"
    assert host.normal(ran.err).replace("TMP/host/", "").splitlines()[:-1] == [
        "config.yaml:5: `solvers.a.coop`: the key `roof` is missing",
        "config.yaml:5: `solvers.a.coop.rof`: unknown key `rof` (did you mean `roof`?)",
        f"config.yaml:6: `solvers.b.type`: the plug-in for solver type `blind` failed: KeyError: 'eye' ({tell})",
        f"config.yaml:7: `solvers.c`: the plug-in for solver type `lame` failed: ZeroDivisionError ({tell})",
        "config.yaml:8: `solvers.d.type`: unknown type `pigoen` (did you mean `pigeon`?)",
    ]


@pytest.mark.parametrize("name", registry.known_types())
def test_every_option_of_a_built_in_type_has_a_type_and_a_meaning(name: str) -> None:
    _, options = describing.described(name)
    assert options
    for option in options:
        assert option.kind != "value", option.key
        assert option.meaning.endswith("."), option.key


def test_defaults_are_shown_as_a_configuration_writes_them(host: Host) -> None:
    said = host.good("solvers", "show", "webroot").out
    assert '  mode  file mode, default "0644"\n' in said
    assert "  check_timeout  duration, default 10s\n" in said
    assert "  check  yes or no, default yes\n" in said


def test_an_unknown_type_is_refused_with_a_near_one(host: Host) -> None:
    ran = host.acmectl("solvers", "show", "comand")
    assert (ran.status, ran.err) == (
        2,
        "error: there is no solver type `comand`\nhint: did you mean `command`?\n",
    )


def test_a_provider_of_hosted_dns_is_shown_with_what_goes_where(host: Host) -> None:
    said = host.good("solvers", "show", "namecheap").out
    assert re.sub(r"dns-lexicon [0-9.]+", "dns-lexicon VERSION", said) == (
        """\
namecheap: a provider for solvers of type `lexicon`
  from:  dns-lexicon VERSION

  credentials.auth_token  secret file
      specify api token for authentication

  options.auth_username  text
      specify username for authentication

  options.auth_client_ip  text, default 127.0.0.1
      Client IP address to send to Namecheap API calls

  options.auth_sandbox  yes or no
      Whether to use the sandbox server
"""
    )
    document = json.loads(host.good("solvers", "show", "namecheap", "--json").out)
    assert (document["provider"]["name"], document["provider"]["type"]) == ("namecheap", "lexicon")
    assert document["provider"]["options"][0]["key"] == "credentials.auth_token"


def test_the_providers_of_hosted_dns_are_listed_with_their_type(host: Host) -> None:
    said = host.good("solvers", "show", "lexicon").out
    listed = said.partition("providers; `acmectl solvers show PROVIDER` says what each takes\n")[2]
    names = json.loads(host.good("solvers", "show", "lexicon", "--json").out)["solver"]["providers"]
    assert [name for line in listed.splitlines() for name in line.strip().removesuffix(",").split(", ")] == names
    assert {"cloudflare", "ovh", "powerdns"} <= set(names)
    assert host.acmectl("solvers", "show", "cloudfare").err.endswith("hint: did you mean `cloudflare`?\n")


def test_without_dns_lexicon_its_type_is_shown_all_the_same(host: Host, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "lexicon.py").write_text("")  # in its place: a module that is no package
    without = {"PYTHONPATH": str(tmp_path / "site")}
    shown = host.good("solvers", "show", "lexicon", env=without)
    assert "  credentials  mapping\n" in shown.out
    assert shown.err == "hint: providers of hosted DNS need dns-lexicon: `pip install 'acmectl[lexicon]'`\n"
    refused = host.acmectl("solvers", "show", "cloudflare", env=without)
    assert refused.status == 2
    assert refused.err.endswith("; providers of hosted DNS need dns-lexicon: `pip install 'acmectl[lexicon]'`\n")
