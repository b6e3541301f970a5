"""The hooks of certbot, dehydrated and lego, called by those programs and by us: arguments and environment are the same.

Each program gets a certificate from Pebble with a hook that writes down how it is called. The value that a hook has to publish follows from
the account's key, so it is compared to the letter where the program tells the token.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acmectl import keys
from acmectl.model.names import Identifier
from acmectl.solvers import hook_styles, registry
from acmectl.solvers.base import Response
from tests.servers.pebble import Pebble, running_challenge_dns, running_pebble

NAMES = {"dns-01": ("example.test", "*.example.test", "www.example.test"), "http-01": ("a.test", "b.test")}
DIGEST = re.compile(r"[\w-]{43}\Z")


@dataclass(frozen=True)
class Called:
    """One call of a hook."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


def recorder(directory: Path) -> Path:
    """A hook that writes down how it is called, and prints something."""
    path = directory / "hook"
    path.write_text(f"""#!/usr/bin/python3 -I
import json, os, sys
with open({str(directory / "calls")!r}, "a") as calls:
    print(json.dumps([sys.argv[1:], dict(os.environ)]), file=calls)
print("  what the hook says ")
""")
    path.chmod(0o755)
    return path


def calls(directory: Path, *words: str) -> list[Called]:
    """The calls whose first argument is one of `words` (dehydrated has many others); all, where none is given."""
    lines = [json.loads(line) for line in (directory / "calls").read_text().splitlines()]
    return [Called(tuple(argv), env) for argv, env in lines if not words or (argv[:1] and argv[0] in words)]


def run(*command: str, **environment: str) -> None:
    assert shutil.which(command[0]), f"{command[0]} is missing: `apt-get install {command[0]}`"
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with running_pebble(tmp_path_factory.mktemp("pebble"), always_valid=True, authz_reuse=0) as server:
        yield server


def ours(directory: Path, responses: Sequence[Response], **options: Any) -> tuple[list[Called], list[Called]]:
    """How our solver calls the same hook for these responses: to publish, and to remove."""
    directory.mkdir()
    hook = [str(recorder(directory))]
    if options["style"] == "certbot":
        options |= {"publish": [*hook, "auth"], "remove": [*hook, "cleanup"]}
    else:
        options |= {"hook": hook}
    model = registry.options_model("command")
    assert model
    solver = registry.build("command", model.model_validate({"challenge": responses[0].type, **options}))
    assert solver.publish(responses) == {}
    published = len(calls(directory))
    assert solver.remove(responses) == {}
    called = calls(directory)
    return called[:published], called[published:]


def domains(kind: str) -> list[str]:
    return [word for name in NAMES[kind] for word in ("-d", name)]


@pytest.mark.parametrize("kind", ["dns-01", "http-01"])
def test_certbot_calls_a_hook_as_we_do(tmp_path: Path, pebble: Pebble, kind: str) -> None:
    theirs, hook = tmp_path / "theirs", tmp_path / "theirs" / "hook"
    theirs.mkdir()
    recorder(theirs)
    folders = [word for folder in ("config", "work", "logs") for word in (f"--{folder}-dir", str(theirs / folder))]
    hooks = ["--manual-auth-hook", f"{hook} auth", "--manual-cleanup-hook", f"{hook} cleanup"]
    run(
        *(
            "certbot",
            "certonly",
            "-n",
            "--agree-tos",
            "--register-unsafely-without-email",
            "--manual",
            *hooks,
            *folders,
        ),
        *("--preferred-challenges", kind.removesuffix("-01"), "--server", pebble.directory_url, *domains(kind)),
        REQUESTS_CA_BUNDLE=str(pebble.ca_bundle),
    )
    auth, cleanup = calls(theirs, "auth"), calls(theirs, "cleanup")
    responses = [_of_certbot(called.environment, kind) for called in auth]
    published, removed = ours(tmp_path / "ours", responses, style="certbot")
    for real, made in zip([*auth, *cleanup], [*published, *removed], strict=True):
        assert made.argv == real.argv
        expected = {name: text for name, text in real.environment.items() if name.startswith("CERTBOT_")}
        found = {name: text for name, text in made.environment.items() if name.startswith("CERTBOT_")}
        if kind == "dns-01":  # certbot tells no token, so the value cannot be known
            assert DIGEST.match(expected.pop("CERTBOT_VALIDATION"))
            assert DIGEST.match(found.pop("CERTBOT_VALIDATION"))
        assert found == expected
    assert removed[0].environment["CERTBOT_AUTH_OUTPUT"] == "what the hook says"


def _of_certbot(environment: Mapping[str, str], kind: str) -> Response:
    token = environment.get("CERTBOT_TOKEN", "token")
    validation = environment["CERTBOT_VALIDATION"]
    return Response(Identifier(environment["CERTBOT_DOMAIN"]), kind, token, validation)


@pytest.mark.parametrize(("kind", "chain"), [("dns-01", True), ("http-01", False)])
def test_dehydrated_calls_a_hook_as_we_do(tmp_path: Path, pebble: Pebble, kind: str, *, chain: bool) -> None:
    theirs, config = tmp_path / "theirs", tmp_path / "theirs" / "config"
    (theirs / "wellknown").mkdir(parents=True)
    recorder(theirs)
    config.write_text(
        f'CA="{pebble.directory_url}"\nBASEDIR="{theirs}"\nHOOK="{theirs}/hook"\nHOOK_CHAIN={"yes" if chain else "no"}\n'
        f'CHALLENGETYPE={kind}\nWELLKNOWN="{theirs}/wellknown"\nCURL_OPTS="--cacert {pebble.ca_bundle}"\nKEYSIZE=2048\nACCOUNT_KEYSIZE=2048\n'
    )
    (theirs / "domains.txt").write_text(f"{' '.join(NAMES[kind])} > certificate\n")
    run("dehydrated", "--config", str(config), "--register", "--accept-terms")
    run("dehydrated", "--config", str(config), "--cron")
    deployed, cleaned = calls(theirs, "deploy_challenge"), calls(theirs, "clean_challenge")
    (key,) = theirs.glob("accounts/*/account_key.pem")
    triples = [called.argv[at : at + 3] for called in deployed for at in range(1, len(called.argv), 3)]
    responses = [Response(Identifier(d), kind, token, f"{token}.{_thumbprint(key)}") for d, token, _ in triples]
    published, removed = ours(tmp_path / "ours", responses, style="dehydrated", chain=chain)
    for real, made in zip([*deployed, *cleaned], [*published, *removed], strict=True):
        assert made.argv == real.argv
        assert made.environment["CHALLENGETYPE"] == real.environment["CHALLENGETYPE"]
        bases = {name.removeprefix("*.") for name in real.environment["altnames"].split()}
        assert set(made.environment["altnames"].split()) == bases
    assert len(published) == (1 if chain else len(NAMES[kind]))


def _thumbprint(key: Path) -> str:
    return keys.thumbprint(keys.from_pem(key.read_bytes(), what="dehydrated's key"))


@pytest.mark.parametrize("raw", [False, True])
def test_lego_calls_a_hook_as_we_do(tmp_path: Path, pebble: Pebble, *, raw: bool) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    with running_challenge_dns(tmp_path) as resolver:
        run(
            *(
                "lego",
                "--path",
                str(theirs),
                "--server",
                pebble.directory_url,
                "--accept-tos",
                "--email",
                "a@acme.test",
            ),
            *("--dns", "exec", "--dns.disable-cp", "--dns.resolvers", resolver.resolver, *domains("dns-01"), "run"),
            LEGO_CA_CERTIFICATES=str(pebble.ca_bundle),
            EXEC_PATH=str(recorder(theirs)),
            EXEC_MODE="RAW" if raw else "",
            EXEC_SEQUENCE_INTERVAL="1",
            EXEC_POLLING_INTERVAL="1",
        )
    presented, cleaned = calls(theirs, "present"), calls(theirs, "cleanup")
    responses = [_of_lego(called.argv, raw=raw) for called in presented]
    published, removed = ours(tmp_path / "ours", responses, style="lego", raw=raw)
    for real, made in zip([*presented, *cleaned], [*published, *removed], strict=True):
        assert made.environment["EXEC_MODE"] == real.environment["EXEC_MODE"]
        if raw:
            assert made.argv == real.argv
        else:  # lego tells the digest of a token that is not known
            assert made.argv[:-1] == real.argv[:-1]
            assert DIGEST.match(made.argv[-1])
            assert DIGEST.match(real.argv[-1])


def _of_lego(argv: Sequence[str], *, raw: bool) -> Response:
    if raw:
        _, _, domain, token, key_authorization = argv
        return Response(Identifier(domain), "dns-01", token, key_authorization)
    domain = argv[1].removeprefix("_acme-challenge.").removesuffix(".")
    return Response(Identifier(domain), "dns-01", "token", "token.thumbprint")


def test_a_wildcard_is_called_by_its_base_name() -> None:
    batch = [Response(Identifier("*.example.com"), "dns-01", "token", "token.thumbprint")]
    (by_certbot,) = hook_styles.certbot("publish", ["hook"], batch, lambda _: "")
    (by_dehydrated,) = hook_styles.dehydrated("publish", ["hook"], batch, chain=True)
    (by_lego,) = hook_styles.lego("publish", ["hook"], batch, raw=False)
    assert by_certbot.environment["CERTBOT_DOMAIN"] == "example.com"
    assert by_dehydrated.argv[2] == "example.com"
    assert by_lego.argv[2] == "_acme-challenge.example.com."
