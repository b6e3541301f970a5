"""`type: lexicon` on PowerDNS through its HTTP API: the main job, refusals, interruptions, and where secrets are not."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acmectl.errors import SolverError
from acmectl.model.names import Identifier
from acmectl.sandbox.server import Sandbox
from acmectl.solvers import registry
from acmectl.solvers.base import Failures, Response, Solver
from tests.integration.hosts import Family, Running, await_true, certificate, shakes_hands
from tests.integration.office import authorize, hosts
from tests.servers.name_server import Zone, free_port
from tests.servers.own_network import run_in_own_network
from tests.servers.powerdns import PowerDNS, running_powerdns
from tests.servers.powerdns_api import by_lexicon, set_txt
from tests.servers.powerdns_gate import Gate, running_gate
from tests.servers.sandbox import running_sandbox

ZONES = (
    Zone("office.test", ["_acme-challenge.away IN CNAME away.office.validation.test."]),
    Zone("validation.test"),
    Zone("branch.test"),
)
NAMES = ("office.test", "*.office.test", "away.office.test", "mail.branch.test")
RECORDS = ("_acme-challenge.office.test", "away.office.validation.test", "_acme-challenge.mail.branch.test")
EXIT_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
PROMPTLY = 20.0  # seconds, on a busy machine; what is interrupted would go on for minutes


@dataclass(frozen=True, slots=True)
class Place:
    """A hosted provider, a gate before it, and a CA that asks its name server."""

    powerdns: PowerDNS
    gate: Gate
    sandbox: Sandbox

    def published(self) -> set[str]:
        return {value for record in RECORDS for value in self.powerdns.txt(record)}

    def solver(self, **changes: Any) -> dict[str, Any]:
        return by_lexicon(self.powerdns, options={"pdns_server": self.gate.url}, **changes)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        powerdns = stack.enter_context(running_powerdns(tmp_path_factory.mktemp("powerdns"), zones=ZONES))
        gate = stack.enter_context(running_gate(powerdns))
        ca = running_sandbox(tmp_path_factory.mktemp("ca"), resolver=(powerdns.address, powerdns.port))
        yield Place(powerdns, gate, stack.enter_context(ca))


@pytest.fixture
def place(servers: Place) -> Iterator[Place]:
    """In order: nothing is published, and every change is answered."""
    assert servers.published() == set()
    yield servers
    servers.gate.open()


def make(place: Place, **changes: Any) -> Solver:
    options = {"timeout": "5s", **place.solver(), **changes}
    del options["type"]
    model = registry.options_model("lexicon")
    assert model
    return registry.build("lexicon", model.model_validate(options))


def response(name: str) -> Response:
    return Response(Identifier(name), "dns-01", "T0ken", f"T0ken.{name.replace('*', 'wildcard')}")


def only(failures: Failures) -> SolverError:
    (error,) = failures.values()
    return error


def where_a_secret_is(secret: str) -> list[str]:
    """The files of processes that anybody on the host (arguments) or the same user (environment) can read, and that hold it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                if secret.encode() in (process / name).read_bytes():
                    found.append(f"{process / name}")
            except OSError:  # it ended meanwhile
                continue
    return found


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(stat.parent.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_master_proves_at_a_hosted_provider_and_a_follower_issues(tmp_path: Path, place: Place) -> None:
    set_txt(place.powerdns, "office.test", RECORDS[0], "a neighbour", "and another")
    follower = {"certificates": {"office": certificate("office.test", "*.office.test", "mail.branch.test")}}
    try:
        with hosts(
            tmp_path, place.sandbox, {"hosted": place.solver()}, [authorize("hosted", *NAMES)], follower
        ) as made:
            tried = made.master.run("-vv", "master", "try")
            assert tried.out.endswith("4 of 4 names can be proven\n")
            ran = made.master.run("-vv", "master", "run")
            assert len(made.master.names("authorized")) == 4
            issued = made.followers[0].run("-vv", "follower", "run")
            tls = made.followers[0].directory / "tls"
            assert shakes_hands(tls, "www.office.test", Path(place.sandbox.ca_bundle).read_bytes())
            assert place.powerdns.api_key not in tried.said + ran.said + issued.said
            kept = [path for path in made.master.state.rglob("*") if path.is_file()]
            assert kept
            assert not [path for path in kept if place.powerdns.api_key.encode() in path.read_bytes()]
        assert place.published() == {"a neighbour", "and another"}
    finally:
        set_txt(place.powerdns, "office.test", RECORDS[0])


def test_many_names_of_several_zones_are_published_seen_and_removed(place: Place) -> None:
    ours = [response(f"n{n}.{zone}") for n in range(4) for zone in ("office.test", "branch.test", "validation.test")]
    solver = make(place)
    try:
        assert solver.publish(ours) == {}
        assert solver.seen(ours) == {}
    finally:
        assert solver.remove(ours) == {}
    assert not any(place.powerdns.txt(one.identifier.challenge_record) for one in ours)


@contextmanager
def held(directory: Path, place: Place) -> Iterator[tuple[Family, Running]]:
    """A master whose provider changes a record, and does not say so."""
    solvers = {"hosted": place.solver(timeout="10m")}
    with hosts(directory, place.sandbox, solvers, [authorize("hosted", *NAMES)]) as made:
        place.gate.close()
        running = made.master.start("-vv", "master", "run")
        assert place.gate.kept.wait(60), "no change was asked for"
        await_true(place.published, what="a record")
        yield made, running


@pytest.mark.parametrize("number", EXIT_STATUS)
def test_an_interrupted_master_takes_away_what_it_published_and_says_no_secret(
    tmp_path: Path, place: Place, number: signal.Signals
) -> None:
    with held(tmp_path, place) as (made, running):
        (worker,) = children(running.process.pid)
        assert b"lexicon_worker" in Path(f"/proc/{worker}/cmdline").read_bytes()
        assert where_a_secret_is(place.powerdns.api_key) == []
        place.gate.open()  # for what comes next: the answer that was kept back stays so
        running.signal(number)
        done = running.finish(expect=EXIT_STATUS[number], seconds=PROMPTLY)
        assert place.powerdns.api_key not in done.said
        assert place.published() == set()
        assert not is_alive(worker)
        place.sandbox.authority.forget(accounts=False)
        made.master.run("master", "run")
        assert len(made.master.names("authorized")) == 4


def test_a_secret_in_the_environment_would_be_found() -> None:
    """The counterpart of the search above."""
    import subprocess

    with subprocess.Popen(["sleep", "60"], env={"TOKEN": "a secret that is not one"}) as process:
        try:
            await_true(lambda: where_a_secret_is("a secret that is not one"), what="the environment")
            assert f"/proc/{process.pid}/environ" in where_a_secret_is("a secret that is not one")
        finally:
            process.kill()


def test_the_run_after_a_killed_one_removes_what_that_one_left_and_its_process_is_gone(
    tmp_path: Path, place: Place
) -> None:
    with held(tmp_path, place) as (made, running):
        (worker,) = children(running.process.pid)
        running.signal(signal.SIGKILL)
        running.finish(expect=-signal.SIGKILL)
        await_true(lambda: not is_alive(worker), what="the end of the process for the provider")
        assert place.published()
        place.gate.open()
        place.sandbox.authority.forget(accounts=False)
        made.master.run("master", "run")
        assert place.published() == set()
        assert len(made.master.names("authorized")) == 4


def test_a_process_that_is_killed_fails_the_records_that_it_did_not_do(place: Place) -> None:
    from concurrent.futures import ThreadPoolExecutor

    place.gate.close()
    ours = [response("office.test")]
    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(make(place, timeout="10m").publish, ours)
        assert place.gate.kept.wait(60)
        for worker in children(os.getpid()):
            if b"lexicon_worker" in Path(f"/proc/{worker}/cmdline").read_bytes():
                os.kill(worker, signal.SIGKILL)
        assert "was ended by signal 9" in only(publishing.result(60)).message
    place.gate.open()
    assert make(place).remove(ours) == {}


def test_a_wrong_key_is_told_once_and_without_the_key(tmp_path: Path, place: Place) -> None:
    wrong = tmp_path / "wrong.key"
    wrong.touch(mode=0o600)
    wrong.write_text("a-wrong-key\n")
    before = len(place.gate.asked)
    failures = make(place, credentials={"auth_token": str(wrong)}).publish(
        [response("a.office.test"), response("b.office.test")]
    )
    assert len(failures) == 2
    error = failures[response("a.office.test")]
    assert error.message.startswith(
        "provider `powerdns` did not publish `_acme-challenge.a.office.test`, by the credentials or the zone `office.test`: "
        "HTTPError: 401"
    )
    assert error.hint == "check `credentials`, and that the account has zone `office.test`"
    assert "a-wrong-key" not in error.message
    assert len(place.gate.asked) == before + 1


def test_a_zone_that_the_provider_does_not_have_is_told(place: Place) -> None:
    error = only(make(place, zone="test").publish([response("office.test")]))
    assert error.message.startswith(
        "provider `powerdns` did not publish `_acme-challenge.office.test`, by the credentials or the zone `test`: HTTPError: "
    )
    assert error.message.endswith("/zones/test.")


def test_a_record_whose_zone_cannot_be_found_leaves_the_others_alone(place: Place) -> None:
    stranger, ours = response("www.elsewhere.test"), response("office.test")
    solver = make(place)
    try:
        failures = solver.publish([stranger, ours])
        assert set(failures) == {stranger}
        assert failures[stranger].message.startswith("cannot look up CNAME of `_acme-challenge.www.elsewhere.test`")
        assert ours.txt_value in place.published()
    finally:
        assert solver.remove([stranger, ours]) == {}, "what was never asked for is not there"


def test_a_provider_that_cannot_be_reached_is_told_and_nothing_is_left(place: Place) -> None:
    solver, ours = make(place, options={"pdns_server": f"http://127.0.0.1:{free_port()}"}), [response("office.test")]
    error = only(solver.publish(ours))
    assert solver.remove(ours) == {}
    assert error.message.startswith(
        "provider `powerdns` could not be reached to publish `_acme-challenge.office.test`: ConnectionError: "
    )


def test_what_an_earlier_run_left_is_not_taken_for_gone_as_the_provider_cannot_be_reached(place: Place) -> None:
    solver, ours = make(place, options={"pdns_server": f"http://127.0.0.1:{free_port()}"}), [response("office.test")]
    for act in (solver.remove, solver.publish, solver.remove):
        assert set(act(ours)) == set(ours)


def test_a_provider_that_does_not_answer_is_left_after_the_time_limit(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = f"http://127.0.0.1:{silent.getsockname()[1]}"
        error = only(make(place, options={"pdns_server": api}, timeout="1s").publish([response("office.test")]))
    assert error.message == "provider `powerdns` did not publish `_acme-challenge.office.test` within 1s"


LEXICON = {"LEXICON_POWERDNS_AUTH_TOKEN": "wrong", "LEXICON_POWERDNS_TOKEN": "wrong", "LEXICON_TTL": "1"}


def test_nothing_is_taken_from_the_environment_or_the_working_directory(tmp_path: Path, place: Place) -> None:
    solvers = {"hosted": place.solver(credentials={})}
    with hosts(tmp_path, place.sandbox, solvers, [authorize("hosted", "office.test")]) as made:
        (made.master.directory / "lexicon.yml").write_text(f"powerdns: {{auth_token: {place.powerdns.api_key}}}\n")
        token = {"LEXICON_POWERDNS_AUTH_TOKEN": place.powerdns.api_key}
        tried = made.master.run("master", "try", expect=1, environment=token)
        assert "PowerDNSProviderError: PowerDNS API key not defined (auth_token)" in tried.err
        made.master.configure(solvers={"hosted": place.solver()})
        made.master.run("master", "try", environment=LEXICON)


def test_a_credential_of_systemd_is_a_secret_file(tmp_path: Path, place: Place) -> None:
    given = tmp_path / "credentials"
    given.mkdir()
    (given / "token").touch(mode=0o400)
    (given / "token").write_text(place.powerdns.api_key)
    solvers = {"hosted": place.solver(credentials={"auth_token": "credential:token"})}
    with hosts(tmp_path, place.sandbox, {"hosted": place.solver()}, [authorize("hosted", "office.test")]) as made:
        made.master.configure(solvers=solvers)
        made.master.run("master", "try", environment={"CREDENTIALS_DIRECTORY": str(given)})


DDNS = """
import sys
from pathlib import Path
from acmectl.solvers import registry
from tests.integration.test_solvers_lexicon import response
from tests.servers.bind import running_bind
from tests.servers.name_server import Key, Zone

keys = [Key("acmectl"), Key("stranger")]
zone = Zone("example.test", ['_acme-challenge TXT "a neighbour"'], update="grant acmectl zonesub TXT;")
with running_bind(Path(sys.argv[1]), zones=[zone], keys=keys, port=53) as bind:
    for key in keys:
        token = Path(sys.argv[1], key.name)
        token.touch(mode=0o600)
        token.write_text(f"{key.algorithm}:{key.name}:{key.secret}")
        options = {
            "provider": "ddns", "options": {"ddns_server": "127.0.0.1"}, "credentials": {"auth_token": str(token)},
            "resolvers": ["127.0.0.1"], "propagation": {"timeout": "1s", "interval": "1s"},
        }
        solver = registry.build("lexicon", registry.options_model("lexicon").model_validate(options))
        ours = [response("example.test"), response("*.example.test")]
        print(len(solver.publish(ours)), len(bind.txt("_acme-challenge.example.test")), len(solver.seen(ours)))
        print(len(solver.remove(ours)), *bind.txt("_acme-challenge.example.test"))
"""


def test_another_provider_with_a_defect_changes_a_real_name_server(tmp_path: Path) -> None:
    """Lexicon's `ddns`, which cannot list what it finds, and hears no refusal: what it did not publish is not seen."""
    assert run_in_own_network(DDNS, str(tmp_path)) == ["0 3 0", "0 a neighbour", "0 1 2", "0 a neighbour"]
