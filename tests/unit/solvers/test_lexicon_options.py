"""What `type: lexicon` accepts: providers and their options as lexicon itself declares them, and secrets in files only."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl import config
from acmectl.errors import ConfigurationError, SolverError
from acmectl.solvers import describing, registry
from acmectl.solvers.lexicon import LexiconSolver, handed_over
from acmectl.solvers.lexicon_options import LexiconOptions
from acmectl.solvers.lexicon_providers import is_secret, provider_names, provider_options

SECRET = "correct-horse-battery-staple"  # made up

PARSERS = """
import importlib, json, sys
from argparse import ArgumentParser
found = {}
for name in sys.argv[1:]:
    parser = ArgumentParser(add_help=False)
    importlib.import_module(f"lexicon._private.providers.{name}").Provider.configure_parser(parser)
    found[name] = [
        [a.dest, " ".join((a.help or "").split()), a.nargs == 0, list(a.choices or ()), a.default]
        for a in parser._actions
    ]
print(json.dumps(found))
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, content in {
        "token": f"{SECRET}\n",
        "empty": "\n",
        "many": f"# for ovh\nauth_application_key: a\nauth_application_secret = '{SECRET}'\nauth_consumer_key: c\n",
        "garbage": f"auth_token: x\n{SECRET}\n",
        "foreign": "auth_tokn: x\n",
        "open": SECRET,
    }.items():
        (tmp_path / name).touch(mode=0o644 if name == "open" else 0o600)
        (tmp_path / name).write_text(content)
    (tmp_path / "binary").touch(mode=0o600)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    return tmp_path


def checked(directory: Path, section: str) -> LexiconOptions:
    """The options of a configuration's only solver, of type `lexicon`; its lines begin with the fifth."""
    text = "authority: letsencrypt\nsolvers:\n  hosted:\n    type: lexicon\n" + "".join(
        f"    {line}\n" for line in section.splitlines()
    )
    (directory / "config.yaml").write_text(text + "master: {authorize: [{names: [a.example.test], solver: hosted}]}\n")
    options = config.load(directory / "config.yaml").sections.solvers["hosted"].check(LexiconOptions)
    assert SECRET not in repr(options)
    return options


def refusal(directory: Path, section: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        checked(directory, section)
    (problem,) = caught.value.problems
    assert SECRET not in f"{problem}"
    words = f"{problem.place.line}: `{problem.path}`: {problem.message}"
    return (f"{words} ({problem.hint})" if problem.hint else words).replace(str(directory), "DIR")


def test_every_provider_is_read_as_lexicons_own_parser_has_it() -> None:
    names = provider_names()
    assert len(names) >= 90
    assert "auto" not in names
    program = [sys.executable, "-W", "ignore", "-c", PARSERS, *names]
    said = json.loads(subprocess.run(program, check=True, capture_output=True, timeout=100).stdout)
    for name in names:
        ours = [[o.name, o.meaning, o.is_flag, list(o.choices), o.default] for o in provider_options(name)]
        theirs = [[*most, None if default in {None, False} else str(default)] for *most, default in said[name]]
        assert ours == theirs, name
        assert ours, name


def test_options_of_providers_are_secret_unless_they_are_known_not_to_be() -> None:
    kinds: Mapping[bool, set[str]] = {True: set(), False: set()}
    for name in provider_names():
        for option in provider_options(name):
            kinds[option.is_secret].add(option.name)
    assert {"auth_token", "auth_password", "auth_psw", "auth_2fa", "auth_key", "api_key", "secret_id"} <= kinds[True]
    assert {"auth_username", "auth_entrypoint", "pdns_server", "zone_id", "auth_key_file"} <= kinds[False]
    assert is_secret("auth_something_that_a_newer_lexicon_has")


def test_reading_a_configuration_imports_no_lexicon(directory: Path) -> None:
    code = f"""
import sys
from acmectl.solvers import registry
told = {{"provider": "ovh", "options": {{"auth_entrypoint": "ovh-eu"}}, "credentials_file": {str(directory / "many")!r}}}
registry.build("lexicon", registry.options_model("lexicon").model_validate(told))
print(sorted({{"lexicon", "requests", "dns", "cryptography", "http.client"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_a_provider_with_a_file_for_each_secret(directory: Path) -> None:
    options = checked(
        directory,
        "provider: powerdns\noptions: {pdns_server: http://127.0.0.1:8081}\ncredentials: {auth_token: token}",
    )
    assert options.options == {"pdns_server": "http://127.0.0.1:8081"}
    assert options.credentials == {"auth_token": directory / "token"}
    assert options.load_credentials() == {"auth_token": SECRET}
    assert (options.ttl, options.timeout) == (timedelta(minutes=10), timedelta(minutes=1))
    assert isinstance(registry.build("lexicon", options), LexiconSolver)


def test_one_file_with_several_secrets(directory: Path) -> None:
    options = checked(directory, "provider: ovh\noptions: {auth_entrypoint: ovh-eu}\ncredentials_file: many")
    assert options.load_credentials() == {
        "auth_application_key": "a",
        "auth_application_secret": SECRET,
        "auth_consumer_key": "c",
    }


def test_flags_and_numbers(directory: Path) -> None:
    section = "provider: namecheap\noptions: {auth_sandbox: true, auth_username: 17}\ncredentials: {auth_token: token}"
    assert checked(directory, section).options == {"auth_sandbox": True, "auth_username": 17}


TO_A_FILE = "write it to a file of mode 0600, and name that file here: `credentials: {auth_token: FILE}`"


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            "provider: cloudfare\ncredentials: {auth_token: token}",
            (
                "5: `solvers.hosted.provider`: not a provider that the installed dns-lexicon knows "
                "(did you mean `cloudflare`?)"
            ),
        ),
        (
            "provider: 0x0",
            (
                "5: `solvers.hosted.provider`: not a provider that the installed dns-lexicon knows "
                "(`acmectl solvers show lexicon` lists them)"
            ),
        ),
        (
            f"provider: cloudflare\noptions:\n  zone_id: x\n  auth_token: {SECRET}",
            f"8: `solvers.hosted.options.auth_token`: a secret does not belong into the configuration ({TO_A_FILE})",
        ),
        (
            "provider: cloudflare\noptions: {zoneid: x}",
            "6: `solvers.hosted.options.zoneid`: not an option of provider `cloudflare` (did you mean `zone_id`?)",
        ),
        (
            "provider: gandi\ncredentials: {pass: token}",
            (
                "6: `solvers.hosted.credentials.pass`: not an option of provider `gandi` "
                "(it takes `auth_token`, `api_protocol`)"
            ),
        ),
        (
            f"provider: gandi\ncredentials:\n  auth_token: {SECRET}",
            (
                "7: `solvers.hosted.credentials.auth_token`: there is no file of that name "
                "(if this is the secret itself, write it to a file of mode 0600, and name that file here)"
            ),
        ),
        (
            "provider: gandi\ncredentials: {auth_token: open}",
            (
                "6: `solvers.hosted.credentials.auth_token`: the secret file `DIR/open` can be read or written by others "
                "(mode 0644) (`chmod 600 DIR/open`, and consider it known to others)"
            ),
        ),
        (
            "provider: gandi\ncredentials: {auth_token: empty}",
            "6: `solvers.hosted.credentials.auth_token`: `DIR/empty` is empty: it has to hold the secret, and nothing else",
        ),
        (
            "provider: gandi\ncredentials: {auth_token: binary}",
            "6: `solvers.hosted.credentials.auth_token`: cannot read `DIR/binary`: it is no text",
        ),
        (
            "provider: gandi\ncredentials_file: garbage",
            (
                "6: `solvers.hosted.credentials_file`: `DIR/garbage`: line 2 cannot be read "
                "(one credential a line: `auth_token: ...`)"
            ),
        ),
        (
            "provider: gandi\ncredentials_file: foreign",
            (
                "6: `solvers.hosted.credentials_file`: `DIR/foreign`: line 1: not an option of provider `gandi` "
                "(did you mean `auth_token`?)"
            ),
        ),
        (
            "provider: ovh\noptions: {auth_entrypoint: ovh-mars}\ncredentials_file: many",
            (
                "6: `solvers.hosted.options`: `auth_entrypoint` is one of "
                "ovh-eu, ovh-ca, soyoustart-eu, soyoustart-ca, kimsufi-eu, kimsufi-ca"
            ),
        ),
        (
            "provider: namecheap\noptions: {auth_sandbox: please}",
            "6: `solvers.hosted.options`: `auth_sandbox` takes `true` or `false`",
        ),
        (
            "provider: transip\ncredentials: {auth_key_is_global: token}",
            (
                "6: `solvers.hosted.credentials.auth_key_is_global`: not a credential: true or false "
                "(`options: {auth_key_is_global: true}`)"
            ),
        ),
        (
            "provider: gandi\noptions: {api_protocol: true}",
            "6: `solvers.hosted.options`: `api_protocol` takes a text or a number: write it in quotes",
        ),
        (
            "provider: ovh\ncredentials: {auth_consumer_key: token}\ncredentials_file: many",
            "3: `solvers.hosted`: `auth_consumer_key` of provider `ovh` is given twice",
        ),
        (
            "provider: localzone\noptions: {filename: /etc/bind/zone}",
            (
                "5: `solvers.hosted.provider`: provider `localzone` needs localzone, not installed here "
                "(`pip install 'dns-lexicon[localzone]'`)"
            ),
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_line_and_without_the_secret(directory: Path, section: str, words: str) -> None:
    assert refusal(directory, section) == words


def test_a_file_that_went_wrong_since_is_an_error_of_the_run(directory: Path) -> None:
    options = checked(directory, "provider: gandi\ncredentials: {auth_token: token}")
    (directory / "token").write_text("")
    with pytest.raises(SolverError, match="is empty: it has to hold the secret"):
        options.load_credentials()


def test_without_lexicon_the_extra_is_named(directory: Path) -> None:
    (directory / "config.yaml").write_text(
        "authority: letsencrypt\nsolvers:\n  hosted:\n    type: lexicon\n    provider: gandi\n"
        "    credentials: {auth_token: token}\n"
        "master: {authorize: [{names: [a.example.test], solver: hosted}]}\n"
    )
    code = """
import sys
sys.modules["lexicon"] = None
from acmectl.cli import main
main()
"""
    program = [sys.executable, "-c", code, "-c", str(directory / "config.yaml"), "check"]
    done = subprocess.run(program, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "config.yaml:5: `solvers.hosted.provider`: dns-lexicon is not installed" in done.stderr
    assert "(`pip install 'acmectl[lexicon]'`)" in done.stderr


def test_a_provider_is_described_by_what_goes_where() -> None:
    found, options = describing.described_provider("powerdns")
    assert found.origin.startswith("dns-lexicon ")
    assert [(o.key, o.kind) for o in options][:2] == [
        ("credentials.auth_token", "secret file"),
        ("options.pdns_server", "text"),
    ]
    assert "pip install 'dns-lexicon[route53]'" in describing.described_provider("route53")[0].origin


@pytest.mark.parametrize(
    ("provider", "name"), [("transip", "auth_api_key"), ("googleclouddns", "auth_service_account_info")]
)
def test_providers_that_want_a_path_get_the_content_of_ours(provider: str, name: str) -> None:
    (option,) = (option for option in provider_options(provider) if option.name == name)
    key = "-----BEGIN PRIVATE KEY-----\nMIGH\n"
    assert base64.b64decode(handed_over(option, key).removeprefix("base64::")).decode() == key
    for already in ("base64::eyJhIjogMX0=", "file::/etc/key.json", "/etc/key.pem"):
        assert handed_over(option, already) == already
    (other,) = provider_options("digitalocean")
    assert handed_over(other, SECRET) == SECRET
