"""What `solvers/base.py` promises, held by every solver of ours: the suite for plug-ins, run on all of them against real servers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acmectl.sandbox.tls_alpn import validate
from acmectl.sandbox.validation import Attempt
from acmectl.solvers import registry
from acmectl.solvers.base import Response, Solver
from acmectl.solvers.testing import SolverContract, World
from tests.servers.bind import Bind, Key, Zone, free_port, running_bind
from tests.servers.static_web import files_below, running_web

HOOKS = Path(__file__).parents[2] / "examples" / "hooks"
CHALLENGES = Path(".well-known", "acme-challenge")


def build(name: str, **options: Any) -> Callable[[], Solver]:
    model = registry.options_model(name)
    assert model
    return lambda: registry.build(name, model.model_validate(options))


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    zones = [Zone("example.test", ["_acme-challenge.two IN CNAME two.acme.test."]), Zone("acme.test")]
    with running_bind(tmp_path_factory.mktemp("bind"), zones=zones, keys=[Key("acmectl")], resolve=True) as server:
        yield server


def dns_world(bind: Bind, make: Callable[[], Solver]) -> World:
    def plant(response: Response) -> None:
        nsupdate(bind, f'update add {owner(response)} 60 TXT "stranger"')

    return World(
        make,
        "dns-01",
        is_visible=lambda response: response.txt_value in bind.txt(response.identifier.challenge_record),
        plant=plant,
        is_planted=lambda response: "stranger" in bind.txt(response.identifier.challenge_record),
    )


def owner(response: Response) -> str:
    record = response.identifier.challenge_record
    return "two.acme.test" if record == "_acme-challenge.two.example.test" else record


def nsupdate(bind: Bind, line: str) -> None:
    script = f"server {bind.address} {bind.port}\n{line}\nsend\n"
    key = bind.key_file("acmectl")
    subprocess.run(["nsupdate", "-k", str(key)], input=script.encode("ascii"), check=True, capture_output=True)


def dns_check(bind: Bind) -> dict[str, Any]:
    return {
        "resolvers": [bind.endpoint],
        "propagation": {"servers": [bind.endpoint], "timeout": "1s", "interval": "1s"},
    }


@pytest.fixture
def rfc2136(bind: Bind) -> World:
    key = str(bind.key_file("acmectl"))
    return dns_world(bind, build("rfc2136", server=bind.address, port=bind.port, tsig_key_file=key, **dns_check(bind)))


@pytest.fixture
def command_dns(bind: Bind, tmp_path: Path) -> World:
    """A hook as people write them, with nsupdate; like most it knows nothing of CNAMEs, which it is told in its script."""
    hook = tmp_path / "hook"
    hook.write_text(f"""#!/bin/sh -e
name=$ACMECTL_RECORD_NAME
[ "$name" != _acme-challenge.two.example.test ] || name=two.acme.test
[ "$ACMECTL_ACTION" = publish ] && change="add $name 60" || change="delete $name"
printf 'server {bind.address} {bind.port}\\nupdate %s TXT "%s"\\nsend\\n' "$change" "$ACMECTL_RECORD_VALUE" |
    nsupdate -k {bind.key_file("acmectl")}
""")
    hook.chmod(0o755)
    argv = [str(hook)]
    return dns_world(bind, build("command", challenge="dns-01", publish=argv, remove=argv, **dns_check(bind)))


def http_world(root: Path, make: Callable[[], Solver]) -> World:
    def place(response: Response) -> Path:
        return root / CHALLENGES / response.token

    def plant(response: Response) -> None:
        place(response).parent.mkdir(parents=True, exist_ok=True)
        place(response).with_name("stranger").write_text("stranger")

    return World(
        make,
        "http-01",
        is_visible=lambda r: place(r).is_file() and place(r).read_text() == r.key_authorization,
        plant=plant,
        is_planted=lambda r: place(r).with_name("stranger").read_text() == "stranger",
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "html"
    path.mkdir()
    return path


@pytest.fixture
def webroot(root: Path) -> Iterator[World]:
    with running_web(files_below(root)) as web:
        yield http_world(root, build("webroot", path=str(root), check_address=web.endpoint, check_timeout="1s"))


@pytest.fixture
def command_http(root: Path, tmp_path: Path) -> Iterator[World]:
    hook = tmp_path / "hook"
    hook.write_text(f"""#!/bin/sh -e
file={root}$ACMECTL_URL_PATH
case $ACMECTL_ACTION in
    publish) mkdir -p "$(dirname "$file")"; printf %s "$ACMECTL_KEY_AUTHORIZATION" > "$file" ;;
    remove) rm -f "$file" ;;
esac
""")
    hook.chmod(0o755)
    argv = [str(hook)]
    with running_web(files_below(root)) as web:
        check = {"check_address": web.endpoint, "check_timeout": "1s"}
        yield http_world(root, build("command", challenge="http-01", publish=argv, remove=argv, **check))


@pytest.fixture
def certbot_hook(root: Path, tmp_path: Path) -> Iterator[World]:
    """A pair of hooks as for certbot; the second one knows only from the first one's output what to remove."""
    auth, cleanup = tmp_path / "auth", tmp_path / "cleanup"
    auth.write_text(f"""#!/bin/sh -e
file={root}/.well-known/acme-challenge/$CERTBOT_TOKEN
mkdir -p "${{file%/*}}"; printf %s "$CERTBOT_VALIDATION" >"$file"; echo "$file"
""")
    cleanup.write_text('#!/bin/sh -e\n[ -z "$CERTBOT_AUTH_OUTPUT" ] || rm -f "$CERTBOT_AUTH_OUTPUT"\n')
    auth.chmod(0o755)
    cleanup.chmod(0o755)
    with running_web(files_below(root)) as web:
        check = {"check_address": web.endpoint, "check_timeout": "1s", "challenge": "http-01", "style": "certbot"}
        yield http_world(root, build("command", publish=[str(auth)], remove=[str(cleanup)], **check))


@pytest.fixture
def dehydrated_hook(root: Path, tmp_path: Path) -> Iterator[World]:
    """A chained hook as for dehydrated."""
    hook = tmp_path / "hook"
    hook.write_text(f"""#!/bin/sh -e
action=$1; shift
while [ $# -gt 0 ]; do
    file={root}/.well-known/acme-challenge/$2
    case $action in
        deploy_challenge) mkdir -p "${{file%/*}}"; printf %s "$3" >"$file" ;;
        clean_challenge) rm -f "$file" ;;
    esac
    shift 3
done
""")
    hook.chmod(0o755)
    with running_web(files_below(root)) as web:
        check = {"check_address": web.endpoint, "check_timeout": "1s", "challenge": "http-01", "style": "dehydrated"}
        yield http_world(root, build("command", hook=[str(hook)], chain=True, **check))


@pytest.fixture
def lego_hook(bind: Bind, tmp_path: Path) -> World:
    """A hook as for lego's provider `exec`, with nsupdate."""
    hook = tmp_path / "hook"
    hook.write_text(f"""#!/bin/sh -e
name=$2
[ "$name" != _acme-challenge.two.example.test. ] || name=two.acme.test.
[ "$1" = present ] && change="add $name 60" || change="delete $name"
printf 'server {bind.address} {bind.port}\\nupdate %s TXT "%s"\\nsend\\n' "$change" "$3" |
    nsupdate -k {bind.key_file("acmectl")}
""")
    hook.chmod(0o755)
    return dns_world(bind, build("command", challenge="dns-01", style="lego", hook=[str(hook)], **dns_check(bind)))


@pytest.fixture
def standalone() -> World:
    """Its server is its own, and no stranger can publish there."""
    import http.client

    port = free_port()

    def is_visible(response: Response) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", response.url_path)
            return connection.getresponse().read() == response.key_authorization.encode()
        except ConnectionRefusedError:
            return False
        finally:
            connection.close()

    return World(
        build("standalone", listen=f"127.0.0.1:{port}", check_address=f"127.0.0.1:{port}", check_timeout="1s"),
        "http-01",
        is_visible=is_visible,
        lasts=False,
    )


@pytest.fixture(params=["names", "addresses"])
def tls_alpn(request: pytest.FixtureRequest) -> World:
    """Judged as the sandbox judges it, whose code is not the solver's."""
    port = free_port()

    def is_visible(response: Response) -> bool:
        attempt = Attempt("tls-alpn-01", response.identifier, response.token, response.key_authorization)
        return validate(attempt, "127.0.0.1", port, seconds=5) is None

    world = World(
        build("tls-alpn", listen=f"127.0.0.1:{port}", check_address=f"127.0.0.1:{port}", check_timeout="1s"),
        "tls-alpn-01",
        is_visible=is_visible,
        lasts=False,
    )
    return world if request.param == "names" else replace(world, names=("192.0.2.1", "2001:db8::1", "192.0.2.2"))


@pytest.fixture
def example_nsupdate(bind: Bind) -> World:
    """`examples/hooks/nsupdate`, which knows nothing of CNAMEs: no name of its world has one."""
    argv = [str(HOOKS / "nsupdate")]
    told = {
        "NSUPDATE_SERVER": bind.address,
        "NSUPDATE_PORT": str(bind.port),
        "NSUPDATE_KEY": str(bind.key_file("acmectl")),
    }
    make = build("command", challenge="dns-01", publish=argv, remove=argv, environment=told, **dns_check(bind))
    return replace(dns_world(bind, make), names=("a.example.test", "b.example.test", "c.example.test"))


@pytest.fixture
def example_ssh_webroot(root: Path, tmp_path: Path) -> Iterator[World]:
    """`examples/hooks/ssh-webroot`; for `ssh` stands in a program that lets a shell of this host do what it is told."""
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin" / "ssh"
    stand_in.write_text('#!/bin/sh\n[ "$5" = "acme@web.test" ] && exec sh -c "$6"\n')
    stand_in.chmod(0o755)
    argv = [str(HOOKS / "ssh-webroot")]
    told = {"SSH_TARGET": "acme@web.test", "WEBROOT": str(root), "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    with running_web(files_below(root)) as web:
        check = {"check_address": web.endpoint, "check_timeout": "1s", "challenge": "http-01"}
        yield http_world(root, build("command", publish=argv, remove=argv, environment=told, **check))


WORLDS = (
    "rfc2136",
    "webroot",
    "standalone",
    "command_dns",
    "command_http",
    "certbot_hook",
    "dehydrated_hook",
    "lego_hook",
    "example_nsupdate",
    "example_ssh_webroot",
)


class TestTlsAlpn(SolverContract):
    @pytest.fixture
    def world(self, tls_alpn: World) -> World:
        return tls_alpn


class TestOurSolvers(SolverContract):
    @pytest.fixture(params=WORLDS)
    def world(self, request: pytest.FixtureRequest) -> World:
        found = request.getfixturevalue(request.param)
        assert isinstance(found, World)
        return found
