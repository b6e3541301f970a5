"""dns-01 by dynamic update, on a real BIND."""

from __future__ import annotations

import base64
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import pytest
from dns.message import Message

from acmectl.dns.zones import Location
from acmectl.model.names import Identifier
from acmectl.solvers import registry
from acmectl.solvers.base import Response, Solver
from acmectl.solvers.dns_check import zone_key
from tests.servers.bind import Bind, Key, Zone, free_port, running_bind
from tests.servers.odd_dns import running_odd_dns
from tests.servers.own_network import run_in_own_network
from tests.servers.solvers import only

GOOD = Key("acmectl")
NARROW = Key("narrow")
ZONES = (
    Zone(
        "example.test",
        [
            "www IN A 127.0.0.1",
            "_acme-challenge.mail IN CNAME mail.acme.test.",
            "_acme-challenge.loud IN CNAME loud.ACME.test.",
            "_acme-challenge.static IN CNAME host.static.test.",
        ],
    ),
    Zone("acme.test"),
    Zone("static.test", update=""),
    Zone("picky.test", update="grant narrow name _acme-challenge.a.picky.test TXT; grant acmectl zonesub TXT;"),
)


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    with running_bind(tmp_path_factory.mktemp("bind"), zones=ZONES, keys=[GOOD, NARROW]) as server:
        yield server


def make(bind: Bind, **changes: Any) -> Solver:
    options = {
        "server": bind.address,
        "port": bind.port,
        "tsig_key_file": str(bind.key_file("acmectl")),
        "resolvers": [bind.endpoint],
        "propagation": {"servers": [bind.endpoint], "timeout": "5s", "interval": "1s"},
        "timeout": "5s",
    }
    model = registry.options_model("rfc2136")
    assert model
    kept = {key: value for key, value in (options | changes).items() if value is not None}
    return registry.build("rfc2136", model.model_validate(kept))


def response(name: str, token: str = "token") -> Response:
    return Response(Identifier.parse(name), "dns-01", token, f"{token}.{name}.thumbprint")


def update(bind: Bind, *lines: str) -> None:
    """What another client of the same server does, with its own tool."""
    script = "\n".join([f"server {bind.address} {bind.port}", *lines, "send", ""])
    key = bind.key_file("acmectl")
    subprocess.run(["nsupdate", "-v", "-k", str(key)], input=script.encode("ascii"), check=True, capture_output=True)


def test_a_base_name_and_its_wildcard_share_a_record_set_with_two_values(bind: Bind) -> None:
    solver = make(bind)
    both = [response("pair.example.test", "t1"), response("*.pair.example.test", "t2")]
    assert solver.publish(both) == {}
    assert bind.txt("_acme-challenge.pair.example.test") == {one.txt_value for one in both}
    assert solver.seen(both) == {}
    assert solver.remove(both[:1]) == {}
    assert bind.txt("_acme-challenge.pair.example.test") == {both[1].txt_value}
    assert solver.remove(both) == {}
    assert bind.txt("_acme-challenge.pair.example.test") == set()


def test_the_value_of_a_stranger_is_left_alone(bind: Bind) -> None:
    owner = "_acme-challenge.shared.example.test"
    update(bind, f'update add {owner} 300 TXT "a stranger"')
    solver, ours = make(bind), [response("shared.example.test")]
    assert solver.publish(ours) == {}
    assert bind.txt(owner) == {"a stranger", ours[0].txt_value}
    assert solver.remove(ours) == {}
    assert bind.txt(owner) == {"a stranger"}


def test_a_name_delegated_by_cname_is_written_in_the_other_zone(bind: Bind) -> None:
    solver, ours = make(bind), [response("mail.example.test"), response("*.mail.example.test", "t2")]
    assert solver.publish(ours) == {}
    assert solver.seen(ours) == {}
    assert bind.txt("mail.acme.test") == {one.txt_value for one in ours}
    assert solver.remove(ours) == {}
    assert bind.txt("mail.acme.test") == set()


def test_fifty_names_of_a_zone_travel_in_one_message(bind: Bind) -> None:
    solver = make(bind)
    many = [response(f"n{number}.example.test") for number in range(50)]
    before = bind.log().count("updating zone 'example.test/IN': adding an RR")
    begin = updates(bind)
    assert solver.publish(many) == {}
    assert solver.seen(many) == {}
    assert updates(bind) - begin == 1
    assert bind.log().count("updating zone 'example.test/IN': adding an RR") - before == 50
    assert solver.remove(many) == {}
    assert updates(bind) - begin == 2
    assert bind.txt("_acme-challenge.n49.example.test") == set()


def updates(bind: Bind, zone: str = "example.test") -> int:
    """How many messages changed a zone: each makes the serial one higher."""
    query = dns.message.make_query(zone, dns.rdatatype.SOA, flags=dns.flags.Flag(0))
    return int(dns.query.udp(query, bind.address, timeout=5, port=bind.port).answer[0][0].serial)


def test_twelve_hundred_names_travel_in_three_messages(bind: Bind) -> None:
    solver = make(bind)
    many = [response(f"m{number}.example.test") for number in range(1200)]
    begin = updates(bind)
    assert solver.publish(many) == {}
    assert updates(bind) - begin == 3
    assert solver.remove(many) == {}
    assert updates(bind) - begin == 6


def test_long_names_never_make_a_message_too_long(bind: Bind) -> None:
    label = "x" * 60
    many = [response(f"{label}.{label}.{n:03}{label[3:]}.example.test") for n in range(450)]
    solver = make(bind)
    assert solver.publish(many) == {}
    assert bind.txt(many[-1].identifier.challenge_record) == {many[-1].txt_value}
    assert solver.remove(many) == {}


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (Key("acmectl"), "its TSIG key `acmectl` has another secret (BADSIG)"),
        (Key("stranger"), "it has no TSIG key `stranger` with algorithm `hmac-sha256` (BADKEY)"),
        (
            Key("acmectl", "hmac-sha512", GOOD.secret),
            "it has no TSIG key `acmectl` with algorithm `hmac-sha512` (BADKEY)",
        ),
    ],
    ids=["wrong secret", "unknown name", "wrong algorithm"],
)
def test_a_wrong_key_is_explained_and_never_shown(bind: Bind, tmp_path: Path, key: Key, reason: str) -> None:
    solver = make(bind, tsig_key_file=str(key.write(tmp_path / "tsig.key")))
    ours = [response("www.example.test")]
    error = only(solver.publish(ours))
    assert error.message == f"name server `{bind.endpoint}` refuses the update of zone `example.test`: {reason}"
    assert error.hint
    assert key.secret not in error.message + error.hint
    assert solver.remove(ours) == {}  # what was refused is not there, and asking again would only repeat the words


def test_a_key_in_parts_works_as_one_in_a_file(bind: Bind, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(GOOD.secret + "\n")
    parts = {"name": "acmectl", "algorithm": "hmac-sha256", "secret_file": str(secret)}
    solver, ours = make(bind, tsig_key_file=None, tsig_key=parts), [response("parts.example.test")]
    assert solver.publish(ours) == {}
    assert solver.remove(ours) == {}


def test_a_key_file_that_is_gone_when_it_is_needed_is_a_failure_of_every_response(bind: Bind, tmp_path: Path) -> None:
    path = GOOD.write(tmp_path / "tsig.key")
    solver = make(bind, tsig_key_file=str(path))
    path.unlink()
    ours = [response("www.example.test"), response("mail.example.test")]
    failures = solver.publish(ours)
    assert failures.keys() == set(ours)
    assert "cannot read the TSIG key file" in only(failures).message


def test_a_name_that_the_policy_refuses_leaves_its_neighbours_alone(bind: Bind) -> None:
    solver = make(bind, tsig_key_file=str(bind.key_file("narrow")))
    allowed, refused = response("a.picky.test"), [response(f"{letter}.picky.test") for letter in "bcdef"]
    failures = solver.publish([*refused[:3], allowed, *refused[3:]])
    assert failures.keys() == set(refused)
    assert all("the TSIG key `narrow` may not change these records (REFUSED)" in e.message for e in failures.values())
    assert bind.txt("_acme-challenge.a.picky.test") == {allowed.txt_value}
    assert solver.remove([*refused, allowed]) == {}
    assert bind.txt("_acme-challenge.a.picky.test") == set()


def test_a_zone_without_updates_leaves_the_other_zones_alone(bind: Bind) -> None:
    solver = make(bind)
    ours = [response("static.example.test"), response("www.example.test")]
    failures = solver.publish(ours)
    assert failures.keys() == {ours[0]}
    error = only(failures)
    assert "refuses the update of zone `static.test`: the TSIG key `acmectl` may not" in error.message
    assert error.message.endswith("(`_acme-challenge.static.example.test` is a CNAME into `static.test`)")
    assert error.hint
    assert error.hint.endswith("give it a solver of its own, with `zone: static.test`")
    assert solver.remove(ours) == {}


def test_a_zone_that_the_server_does_not_have_is_notauth(bind: Bind) -> None:
    error = only(make(bind, zone="test").publish([response("www.example.test")]))
    assert error.message == (
        f"name server `{bind.endpoint}` refuses the update of zone `test`: "
        "it does not serve zone `test` as primary (NOTAUTH)"
    )


def test_a_name_without_a_zone_is_a_failure_of_its_own(bind: Bind) -> None:
    ours = [response("www.nowhere.test"), response("www.example.test")]
    solver = make(bind)
    failures = solver.publish(ours)
    assert failures.keys() == {ours[0]}
    assert only(failures).message == (
        f"cannot look up CNAME of `_acme-challenge.www.nowhere.test`: resolver `{bind.endpoint}` answers REFUSED"
    )
    assert solver.seen(ours).keys() == {ours[0]}
    assert solver.remove(ours) == {}


def test_a_server_that_does_not_run_is_named_at_once(bind: Bind) -> None:
    port, begin = free_port(), time.monotonic()
    error = only(make(bind, port=port).publish([response("www.example.test")]))
    assert error.message == f"no name server listens at `127.0.0.1:{port}`"
    assert time.monotonic() - begin < 3


def test_what_could_not_even_be_sent_is_not_there_and_needs_no_removing(bind: Bind) -> None:
    solver, ours = make(bind, port=free_port()), [response("www.example.test")]
    assert solver.publish(ours).keys() == set(ours)
    assert solver.remove(ours) == {}


def test_what_an_earlier_run_left_is_not_taken_for_gone_as_nothing_can_be_sent(bind: Bind) -> None:
    """The CA gives the same token again while an authorization is pending."""
    solver, ours = make(bind, port=free_port()), [response("www.example.test")]
    assert solver.remove(ours).keys() == set(ours)
    assert solver.publish(ours).keys() == set(ours)
    assert solver.remove(ours).keys() == set(ours)


def test_a_zone_that_cnames_spell_in_two_ways_takes_one_message(bind: Bind) -> None:
    solver, ours = make(bind), [response("mail.example.test"), response("loud.example.test")]
    before = updates(bind, "acme.test")
    assert solver.publish(ours) == {}
    assert updates(bind, "acme.test") - before == 1
    assert solver.seen(ours) == {}
    assert solver.remove(ours) == {}


def test_a_zone_is_the_same_in_upper_case() -> None:
    """BIND answers with the case of its configuration; other resolvers with that of the question."""
    loud, quiet = (dns.name.from_text(name) for name in ("ACME.test.", "acme.test."))
    assert zone_key(Location(loud, loud, loud)) == zone_key(Location(quiet, quiet, quiet)) == "acme.test."


def test_the_server_may_be_a_name(bind: Bind) -> None:
    solver, ours = make(bind, server="localhost"), [response("www.example.test")]
    assert solver.publish(ours) == {}
    assert solver.remove(ours) == {}


def test_without_a_server_the_primary_of_the_soa_record_is_taken(bind: Bind) -> None:
    solver, ours = make(bind, server=None), [response("www.example.test")]
    assert solver.publish(ours) == {}
    assert bind.txt("_acme-challenge.www.example.test") == {ours[0].txt_value}
    assert solver.remove(ours) == {}


def test_an_interrupted_run_is_cleaned_up_by_the_next_and_twice_does_no_harm(bind: Bind) -> None:
    ours = [response("mail.example.test")]
    assert make(bind).publish(ours) == {}
    assert make(bind).publish(ours) == {}
    assert make(bind).remove(ours) == {}
    assert bind.txt("mail.acme.test") == set()
    assert make(bind).remove(ours) == {}


def test_the_time_to_live_is_the_one_of_the_options(bind: Bind) -> None:
    solver, ours = make(bind, ttl="2m"), [response("ttl.example.test")]
    assert solver.publish(ours) == {}
    query = dns.message.make_query(ours[0].identifier.challenge_record, "TXT", flags=dns.flags.Flag(0))
    assert dns.query.udp(query, bind.address, timeout=5, port=bind.port).answer[0].ttl == 120
    assert solver.remove(ours) == {}


def refusing(rcode: dns.rcode.Rcode) -> Any:
    """A server that answers updates without a signature, as one does that knows none."""

    def answering(query: Message, tcp: bool) -> Message:  # noqa: ARG001, FBT001  # the type of an answering function
        answer = dns.message.Message(id=query.id)
        answer.flags = dns.flags.QR | dns.flags.Flag(query.flags & 0x7800)
        answer.set_rcode(rcode)
        return answer

    return answering


@pytest.mark.parametrize("rcode", [dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.SERVFAIL, dns.rcode.NOERROR])
def test_an_answer_without_a_signature_is_never_believed_and_its_rcode_is_told(
    bind: Bind, rcode: dns.rcode.Rcode
) -> None:
    with running_odd_dns(refusing(rcode)) as odd:
        error = only(make(bind, port=odd.endpoint.port).publish([response("www.example.test")]))
    assert error.message == (
        f"name server `{odd.endpoint}` refuses the update of zone `example.test`: "
        f"it answers {dns.rcode.to_text(rcode)}, not signed"
    )


@pytest.mark.parametrize("answer", [b"", b"\x00", b"nonsense and more of it", struct.pack("!12H", *range(12))])
def test_nonsense_in_answer_to_an_update_is_an_error_of_ours(bind: Bind, answer: bytes) -> None:
    with running_odd_dns(lambda _, __: answer) as odd:
        error = only(make(bind, port=odd.endpoint.port).publish([response("www.example.test")]))
    assert "not signed" in error.message


def test_a_server_that_accepts_and_is_silent_is_left_after_the_time_limit(bind: Bind) -> None:
    with running_odd_dns(lambda _, __: None) as odd:
        begin = time.monotonic()
        error = only(make(bind, port=odd.endpoint.port, timeout="1s").publish([response("www.example.test")]))
        assert time.monotonic() - begin < 4
    assert f"name server `{odd.endpoint}` does not answer within" in error.message


def test_what_was_not_answered_may_have_been_done_and_is_removed_all_the_same(bind: Bind) -> None:
    """The answer to the update is lost, the update is not: remove must still send its own."""
    forwarded: list[Message] = []

    def deaf(query: Message, _: bool) -> None:  # noqa: FBT001  # the type of an answering function
        forwarded.append(query)

    with running_odd_dns(deaf) as odd:
        solver = make(bind, port=odd.endpoint.port, timeout="1s")
        ours = [response("www.example.test")]
        assert solver.publish(ours).keys() == set(ours)
        assert solver.remove(ours).keys() == set(ours)
    assert len(forwarded) == 2


def signing(secret: str, *, error: int = 0) -> Any:
    """A server that signs its refusals of updates, with a secret of its own or with a TSIG error."""

    def answering(query: Message, tcp: bool) -> Message:  # noqa: ARG001, FBT001  # the type of an answering function
        assert query.tsig
        answer = dns.message.Message(id=query.id)
        answer.flags = dns.flags.QR | dns.flags.Flag(query.flags & 0x7800)
        answer.use_tsig(dns.tsig.Key("acmectl", secret, "hmac-sha256"), tsig_error=error)
        answer.request_mac = query.tsig[0].mac
        return answer

    return answering


@pytest.mark.parametrize(
    ("answering", "message"),
    [
        (signing(Key("acmectl").secret), "is not signed with the TSIG key `acmectl` as it should be"),
        (signing(GOOD.secret, error=dns.rcode.BADTIME), "the clocks differ by more than 5 minutes (BADTIME)"),
        (signing(GOOD.secret, error=dns.rcode.BADTRUNC), "TSIG error PeerBadTruncation"),
    ],
    ids=["another secret", "BADTIME", "BADTRUNC"],
)
def test_an_answer_with_an_error_in_its_signature_is_explained(bind: Bind, answering: Any, message: str) -> None:
    with running_odd_dns(answering) as odd:
        error = only(make(bind, port=odd.endpoint.port).publish([response("www.example.test")]))
    assert message in error.message


def test_a_correctly_signed_answer_is_believed(bind: Bind) -> None:
    """The counterpart of the test above: it fails for the signature alone."""
    with running_odd_dns(signing(GOOD.secret)) as odd:
        assert make(bind, port=odd.endpoint.port).publish([response("www.example.test")]) == {}


ALONE = """
import sys
from pathlib import Path
from acmectl.solvers import registry
from tests.integration.test_solvers_rfc2136 import response
from tests.servers.bind import Key, Zone, running_bind

zones = [Zone("example.test", ["_acme-challenge.mail IN CNAME mail.acme.test."]), Zone("acme.test")]
zones.append(Zone("void.test", nameservers=("void.example.test.",), records=["ns IN A 127.0.0.1"]))
with running_bind(Path(sys.argv[1]), zones=zones, keys=[Key("acmectl")], port=53) as bind:
    model = registry.options_model("rfc2136")
    short = {"timeout": "1s", "interval": "1s"}
    options = {"tsig_key_file": str(bind.key_file("acmectl")), "resolvers": ["127.0.0.1"], "propagation": short}
    solver = registry.build("rfc2136", model.model_validate(options))
    ours = [response("mail.example.test"), response("*.example.test"), response("www.void.test")]
    print(solver.publish(ours))
    for error in solver.seen(ours).values():
        print(error)
    print(solver.remove(ours))
"""


def test_with_nothing_but_a_key_zone_primary_and_servers_are_found(tmp_path: Path) -> None:
    """On the real port: everything comes from the zones' own SOA and NS records."""
    assert run_in_own_network(ALONE, str(tmp_path)) == [
        "{}",
        "zone `void.test` cannot be asked: its name servers `void.example.test` have no address",
        "{}",
    ]


INTERRUPTED = """
import sys
from acmectl.solvers import registry
from tests.integration.test_solvers_rfc2136 import response
model = registry.options_model("rfc2136")
options = {
    "server": "127.0.0.1", "tsig_key_file": sys.argv[1], "resolvers": [sys.argv[2]],
    "propagation": {"servers": [sys.argv[2], sys.argv[3]], "timeout": "1m"},
}
print("waiting", flush=True)
registry.build("rfc2136", model.model_validate(options)).seen([response(f"n{n}.example.test") for n in range(100)])
"""


def test_an_interruption_ends_the_waiting_and_leaves_no_thread_that_keeps_the_process(bind: Bind) -> None:
    with running_odd_dns(lambda _, __: None) as silent:
        arguments = [str(bind.key_file("acmectl")), bind.endpoint, str(silent.endpoint)]
        with subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, *arguments],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout
            assert process.stderr
            assert process.stdout.readline() == b"waiting\n"
            end = time.monotonic() + 20
            while not silent.queries and time.monotonic() < end:
                time.sleep(0.05)
            begin = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.wait(20)
            assert time.monotonic() - begin < 6
            assert process.stderr.read().endswith(b"KeyboardInterrupt\n")


def test_the_secret_is_in_no_repr_of_options_or_errors(bind: Bind) -> None:
    model = registry.options_model("rfc2136")
    assert model
    options = model.model_validate({"server": bind.address, "tsig_key_file": str(bind.key_file("acmectl"))})
    assert GOOD.secret not in repr(options) + str(options.model_dump())
    assert repr(base64.b64decode(GOOD.secret)) not in repr(options)
