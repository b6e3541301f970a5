"""TLSA records at real name servers: seen at all of them, added and removed one by one."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path

import dns.rdatatype
import pytest

from acmectl.deploy.tlsa.options import TlsaOptions
from acmectl.deploy.tlsa.publisher import Publisher
from acmectl.dns.endpoints import Endpoint
from acmectl.dns.record_sets import answers
from acmectl.dns.records import parse_name
from acmectl.dns.resolver import Resolver
from acmectl.dns.zones import Nameserver
from acmectl.errors import DNSError
from acmectl.model.tlsa import RecordSet, TlsaRecord
from tests.servers.bind import Bind, Key, Zone, free_port, running_bind

OWNER = "_25._tcp.mail.tlsa.test"
SUBMISSIONS = "_465._tcp.mail.tlsa.test"
OURS, OTHERS, OF_A_CA = f"3 1 1 {'0a' * 32}", f"3 1 1 {'0b' * 32}", f"2 0 1 {'0c' * 32}"
LONG = f"3 1 2 {'0d' * 64}"
KEY = Key("acmectl")


def publisher(
    bind: Bind,
    *,
    servers: tuple[str, ...] = (),
    update: bool = True,
    port: int = 0,
    zone: str | None = None,
    resolver: Bind | None = None,
) -> Publisher:
    where = {"server": "127.0.0.1", "port": port or bind.port, "tsig_key_file": str(bind.key_file("acmectl"))}
    where |= {"zone": zone} if zone else {}
    options = {
        "records": ["mail.tlsa.test:25"],
        "ttl": "5m",
        "resolvers": [(resolver or bind).endpoint],
        "servers": [bind.endpoint, *servers],
        **({"update": where} if update else {}),
    }
    return Publisher(TlsaOptions.model_validate(options))


def await_signatures(bind: Bind, *names: str) -> None:
    """Of the addresses at these names: `named` signs a zone little by little."""
    server = Nameserver(bind.address, Endpoint(bind.address, bind.port))
    asked = [(parse_name(name), (server,)) for name in names]
    end, waiting = time.monotonic() + 60, threading.Event()
    while not all(not isinstance(one, DNSError) and one[server].is_signed for one in answers(asked, "A").values()):
        assert time.monotonic() < end, bind.log()
        waiting.wait(0.05)


def test_records_come_and_go_one_by_one_and_others_stay(tmp_path: Path) -> None:
    there = [f"_25._tcp.mail 3600 IN TLSA {text}" for text in (OTHERS, OF_A_CA, LONG)]
    with running_bind(tmp_path, zones=[Zone("tlsa.test", there)], keys=[KEY], resolve=True) as bind:
        ours = publisher(bind)
        before, failed = ours.look([OWNER])
        assert failed == {}
        assert before[OWNER].everywhere == {OTHERS, OF_A_CA, LONG}
        assert before[OWNER].ttl == timedelta(hours=1)
        assert ours.add([TlsaRecord(OWNER, OURS), TlsaRecord(OWNER, OURS)]) == {}
        assert ours.add([TlsaRecord(OWNER, OURS)]) == {}
        assert ours.look([OWNER])[0][OWNER].everywhere == {OURS, OTHERS, OF_A_CA, LONG}
        for _ in range(2):
            assert ours.remove([TlsaRecord(OWNER, OURS)]) == {}
            assert ours.look([OWNER])[0][OWNER].everywhere == {OTHERS, OF_A_CA, LONG}


def test_a_cname_leads_to_where_the_records_are(tmp_path: Path) -> None:
    zones = [Zone("tlsa.test", ["_25._tcp.mail IN CNAME keys.tlsa-of.test."]), Zone("tlsa-of.test")]
    with running_bind(tmp_path, zones=zones, keys=[KEY], resolve=True) as bind:
        ours = publisher(bind)
        assert ours.add([TlsaRecord(OWNER, OURS)]) == {}
        assert ours.look([OWNER])[0][OWNER].everywhere == {OURS}


def test_a_cname_that_a_wildcard_makes_leads_to_where_the_records_are_for_all_its_services(tmp_path: Path) -> None:
    """Clients follow it. A record at the name itself would hide from them what is there."""
    there = ["*._tcp.mail IN CNAME _dane.mail", f"_dane.mail 3600 IN TLSA {OTHERS}"]
    with running_bind(tmp_path, zones=[Zone("tlsa.test", there)], keys=[KEY], resolve=True) as bind:
        ours, shared = publisher(bind), "_dane.mail.tlsa.test"
        assert ours.look([OWNER])[0][OWNER].everywhere == {OTHERS}
        assert ours.add([TlsaRecord(OWNER, OURS)]) == {}
        one, other = ours.look([OWNER, shared])[0].values()
        assert one.everywhere == other.everywhere == {OURS, OTHERS}
        assert ours.same_places([TlsaRecord(OWNER, OURS)], [TlsaRecord(SUBMISSIONS, OURS)])
        assert ours.remove([TlsaRecord(OWNER, OURS)]) == {}
        assert ours.look([OWNER])[0][OWNER].everywhere == {OTHERS}


HOSTS_WILDCARD = ["mail IN A 192.0.2.1", "*.mail IN CNAME mail"]


@pytest.mark.parametrize("update", ["grant acmectl zonesub TLSA;", f"grant acmectl name {OWNER} TLSA;"])
def test_a_cname_that_a_wildcard_makes_for_hosts_takes_no_records_to_its_end(tmp_path: Path, update: str) -> None:
    """Else all services of all hosts that it leads there had the record of one."""
    zone = Zone("tlsa.test", HOSTS_WILDCARD, update=update)
    with running_bind(tmp_path, zones=[zone], keys=[KEY], resolve=True) as bind:
        assert publisher(bind).look([OWNER])[0][OWNER] == RecordSet()
        assert publisher(bind).places() == {OWNER: OWNER}
        ours = publisher(bind)
        assert ours.add([TlsaRecord(OWNER, OURS)]) == {}
        for one in (ours, publisher(bind)):
            sets, failed = one.look([OWNER, SUBMISSIONS, "mail.tlsa.test"])
            assert failed == {}
            assert [found.everywhere for found in sets.values()] == [{OURS}, frozenset(), frozenset()]
        assert ours.remove([TlsaRecord(OWNER, OURS)]) == {}
        assert publisher(bind).look([OWNER])[0][OWNER] == RecordSet()


def test_a_resolver_that_remembers_the_cname_of_a_wildcard_leads_no_record_to_its_end(tmp_path: Path) -> None:
    with (
        running_bind(tmp_path, zones=[Zone("tlsa.test", HOSTS_WILDCARD)], keys=[KEY]) as bind,
        running_bind(tmp_path, zones=[Zone("own.test")], forward_to=bind) as resolver,
    ):
        old, new = TlsaRecord(OWNER, OURS), TlsaRecord(OWNER, OTHERS)
        for record in (old, new):
            ours = publisher(bind, resolver=resolver)
            assert not ours.look([OWNER])[1]
            assert ours.add([record]) == {}
        remembered = Resolver((Endpoint(resolver.address, resolver.port),)).ask(parse_name(OWNER), dns.rdatatype.CNAME)
        assert remembered.answer
        sets, _ = publisher(bind, resolver=resolver).look([OWNER, "mail.tlsa.test"])
        assert [found.everywhere for found in sets.values()] == [{OURS, OTHERS}, frozenset()]


def test_records_that_clients_find_by_the_wildcard_of_hosts_are_seen_and_not_hidden(tmp_path: Path) -> None:
    zone = Zone("tlsa.test", [*HOSTS_WILDCARD, f"mail 3600 IN TLSA {OTHERS}"])
    with running_bind(tmp_path, zones=[zone], keys=[KEY], resolve=True) as bind:
        found = publisher(bind).look([OWNER])[0][OWNER]
        assert found == RecordSet(frozenset({OTHERS}), frozenset({OTHERS}), timedelta(hours=1))
        (refused,) = publisher(bind).add([TlsaRecord(OWNER, OURS)]).values()
        assert refused.message.startswith(f"a wildcard answers for `{OWNER}`")


def test_a_cname_of_its_own_leads_no_further_by_the_wildcard_of_hosts(tmp_path: Path) -> None:
    zone = Zone(
        "tlsa.test", [*HOSTS_WILDCARD, "_25._tcp.mail IN CNAME _dane.mail", "_465._tcp.mail IN CNAME keys.mail"]
    )
    with running_bind(tmp_path, zones=[zone], keys=[KEY], resolve=True) as bind:
        ours = publisher(bind)
        assert ours.add([TlsaRecord(OWNER, OURS), TlsaRecord(SUBMISSIONS, OTHERS)]) == {}
        sets, failed = publisher(bind).look(["_dane.mail.tlsa.test", "keys.mail.tlsa.test", "mail.tlsa.test"])
        assert failed == {}
        assert [found.everywhere for found in sets.values()] == [{OURS}, {OTHERS}, frozenset()]


def test_a_wildcard_of_hosts_that_leads_out_of_the_zone_of_updates_is_no_obstacle(tmp_path: Path) -> None:
    zone = Zone("tlsa.test", ["mail IN A 192.0.2.1", "*.mail IN CNAME www.hoster.test."])
    with running_bind(
        tmp_path, zones=[zone, Zone("hoster.test", ["www IN A 192.0.2.2"])], keys=[KEY], resolve=True
    ) as bind:
        ours = publisher(bind, zone="tlsa.test")
        assert ours.look([OWNER]) == ({OWNER: RecordSet()}, {})
        assert ours.add([TlsaRecord(OWNER, OURS)]) == {}
        assert ours.look([OWNER])[0][OWNER].everywhere == {OURS}


def test_nothing_is_added_below_a_host_that_would_lose_the_cname_of_a_wildcard_by_it(tmp_path: Path) -> None:
    zone = Zone("tlsa.test", ["host1 IN A 192.0.2.1", "* IN CNAME host1"])
    with running_bind(tmp_path, zones=[zone], keys=[KEY], resolve=True) as bind:
        (refused,) = publisher(bind).add([TlsaRecord(OWNER, OURS)]).values()
        assert "`mail.tlsa.test` has its addresses from a wildcard" in refused.message
        sets, failed = publisher(bind).look([OWNER, "host1.tlsa.test"])
        assert (list(sets.values()), failed) == ([RecordSet(), RecordSet()], {})


def test_a_cname_that_only_the_servers_of_the_zone_know_is_told(tmp_path: Path) -> None:
    """Whoever took the name for one without records would use a key that clients turn away from."""
    there = ["_25._tcp.mail IN CNAME _dane.mail", f"_dane.mail 3600 IN TLSA {OTHERS}"]
    with (
        running_bind(tmp_path, zones=[Zone("tlsa.test")], keys=[KEY], resolve=True) as resolver,
        running_bind(tmp_path, zones=[Zone("tlsa.test", there)]) as server,
    ):
        sets, failed = publisher(resolver, servers=(server.endpoint,)).look([OWNER])
        assert sets == {}
        assert (
            f"cannot see TLSA of `{OWNER}`: it has a CNAME at {server.endpoint}, which the resolver does not know"
            in str(failed[OWNER])
        )


def test_a_server_that_lags_is_seen_and_one_that_is_silent_told(tmp_path: Path) -> None:
    zone = Zone("tlsa.test")
    with (
        running_bind(tmp_path, zones=[zone], keys=[KEY], resolve=True) as bind,
        running_bind(tmp_path, zones=[zone]) as second,
    ):
        ours = publisher(bind, servers=(second.endpoint,))
        assert ours.add([TlsaRecord(OWNER, OURS)]) == {}
        sets, failed = ours.look([OWNER])
        assert failed == {}
        assert not sets[OWNER].everywhere
        assert sets[OWNER].anywhere == {OURS}
        nobody = f"127.0.0.1:{free_port()}"
        sets, failed = publisher(bind, servers=(nobody,)).look([OWNER])
        assert sets == {}
        assert f"cannot see TLSA of `{OWNER}` at all name servers: " in str(failed[OWNER])
        assert f"no name server listens at `{nobody}`" in str(failed[OWNER])


def test_what_the_server_does_not_allow_is_told_with_what_to_allow(tmp_path: Path) -> None:
    zone = Zone("tlsa.test", update="grant acmectl zonesub TXT;")
    with running_bind(tmp_path, zones=[zone], keys=[KEY], resolve=True) as bind:
        (error,) = publisher(bind).add([TlsaRecord(OWNER, OURS)]).values()
        assert error.message.endswith("the TSIG key `acmectl` may not change these records (REFUSED)")
        assert error.hint == "allow it on the server: `update-policy { grant KEY name NAME TLSA; };`"


def test_the_records_of_one_service_come_in_one_change_also_where_another_service_is_refused(tmp_path: Path) -> None:
    """A client that asked between two changes would turn away from the key that came last."""
    zone = Zone("tlsa.test", update=f"grant acmectl name {OWNER} TLSA;")
    with running_bind(tmp_path, zones=[zone], keys=[KEY], resolve=True) as bind:
        owners = [OWNER, "_465._tcp.mail.tlsa.test", "_587._tcp.mail.tlsa.test"]
        listed = [TlsaRecord(owner, text) for text in (OURS, OTHERS, LONG) for owner in owners]
        before = bind.serial(zone.name)
        refused = publisher(bind).add(listed)
        assert set(refused) == {record for record in listed if record.owner != OWNER}
        assert bind.serial(zone.name) == before + 1
        assert publisher(bind).look([OWNER])[0][OWNER].everywhere == {OURS, OTHERS, LONG}


def test_who_has_no_right_to_update_says_so(tmp_path: Path) -> None:
    with running_bind(tmp_path, zones=[Zone("tlsa.test")], keys=[KEY], resolve=True) as bind:
        ours = publisher(bind, update=False)
        assert not ours.may_update
        (error,) = ours.add([TlsaRecord(OWNER, OURS)]).values()
        assert error.message == "this host has no right to change TLSA records"
        (error,) = publisher(bind, port=free_port()).add([TlsaRecord(OWNER, OURS)]).values()
        assert "no name server listens at" in error.message


def test_nothing_is_added_where_a_wildcard_answers_which_it_would_hide(tmp_path: Path) -> None:
    there = [f"*._tcp.mail 3600 IN TLSA {text}" for text in (OURS, OF_A_CA)]
    with running_bind(tmp_path, zones=[Zone("tlsa.test", there)], keys=[KEY], resolve=True) as bind:
        ours, new = publisher(bind), TlsaRecord(OWNER, OTHERS)
        (error,) = ours.add([new]).values()
        assert error.message.startswith(f"a wildcard answers for `{OWNER}`")
        assert ours.look([OWNER])[0][OWNER].everywhere == {OURS, OF_A_CA}


@pytest.mark.parametrize(("kind", "address"), [("A", "192.0.2.1"), ("AAAA", "2001:db8::1")])
def test_nothing_is_added_below_a_host_that_would_lose_its_wildcard_addresses_by_it(
    tmp_path: Path, kind: str, address: str
) -> None:
    """A name below it makes it exist, and for names that exist no wildcard answers (RFC 4592 section 2.2.2)."""
    there = [f"* 3600 IN {kind} {address}"]
    with running_bind(tmp_path, zones=[Zone("tlsa.test", there)], keys=[KEY], resolve=True) as bind:
        (refused,) = publisher(bind).add([TlsaRecord(OWNER, OURS)]).values()
        assert refused.message.endswith(
            "`mail.tlsa.test` has its addresses from a wildcard, and would lose them with a record below it (NXDOMAIN)"
        )
        assert refused.hint == "give `mail.tlsa.test` address records of its own first"
        for host in ("tlsa.test", "www.mail.tlsa.test"):
            assert publisher(bind).add([TlsaRecord(f"_25._tcp.{host}", OURS)]).keys() == (
                set() if host == "tlsa.test" else {TlsaRecord(f"_25._tcp.{host}", OURS)}
            )


@pytest.mark.parametrize("wildcard", ["* A 192.0.2.1", "* CNAME other"])
def test_who_publishes_by_hand_hears_which_host_would_lose_its_wildcard_addresses(
    tmp_path: Path, wildcard: str
) -> None:
    """By the signatures, which tell a wildcard's addresses from the same ones of a host."""
    zone = Zone("tlsa.test", [wildcard, "other A 192.0.2.1", "*.other A 192.0.2.1"], signed=True)
    with running_bind(tmp_path, zones=[zone], keys=[KEY], resolve=True) as bind:
        await_signatures(bind, "mail.tlsa.test", "other.tlsa.test")
        ours = publisher(bind, update=False)
        (reason,) = ours.obstacles([OWNER, "_25._tcp.other.tlsa.test", "_25._tcp.tlsa.test"]).items()
        assert reason[0] == OWNER
        assert reason[1].message == (
            "`mail.tlsa.test` has its addresses from a wildcard, and would lose them with a record below it"
        )
        assert reason[1].hint == "give `mail.tlsa.test` address records of its own first"


def test_the_record_of_a_host_comes_also_where_another_would_lose_its_wildcard_addresses(tmp_path: Path) -> None:
    with running_bind(
        tmp_path, zones=[Zone("tlsa.test", ["* A 192.0.2.1", "mail A 192.0.2.1"])], keys=[KEY], resolve=True
    ) as bind:
        new, lost = TlsaRecord(OWNER, OURS), TlsaRecord("_25._tcp.www.tlsa.test", OURS)
        assert publisher(bind).add([lost, new]).keys() == {lost}
        assert publisher(bind).look([OWNER])[0][OWNER].everywhere == {OURS}


@pytest.mark.parametrize(
    "beside",
    [
        ["mail A 192.0.2.1"],
        ["mail A 192.0.2.1", "*.mail A 192.0.2.2"],
        ["mail A 192.0.2.1", "*.mail A 192.0.2.1"],
        ["mail CNAME tlsa.test."],
        ["mail MX 0 ."],
        ["_25._tcp.mail CNAME keys"],
        ["_25._tcp.mail CNAME _dane.keys"],
    ],
)
def test_a_host_with_records_of_its_own_loses_nothing_to_a_wildcard_beside_it(
    tmp_path: Path, beside: list[str]
) -> None:
    zone = Zone("tlsa.test", ["* A 192.0.2.1", *beside])
    with running_bind(tmp_path, zones=[zone], keys=[KEY], resolve=True) as bind:
        assert publisher(bind).add([TlsaRecord(OWNER, OURS)]) == {}


@pytest.mark.parametrize("wildcard", [f"3600 IN TLSA {OF_A_CA}", "IN CNAME _dane.mail"])
def test_a_name_with_records_of_its_own_is_added_to_whatever_a_wildcard_beside_it_says(
    tmp_path: Path, wildcard: str
) -> None:
    there = [f"*._tcp.mail {wildcard}", f"_25._tcp.mail 3600 IN TLSA {OURS}", f"_dane.mail 3600 IN TLSA {OF_A_CA}"]
    with running_bind(tmp_path, zones=[Zone("tlsa.test", there)], keys=[KEY], resolve=True) as bind:
        assert publisher(bind).add([TlsaRecord(OWNER, OTHERS)]) == {}


def test_records_whose_names_lead_to_one_place_are_one(tmp_path: Path) -> None:
    there = [
        "_25._tcp.mail IN CNAME _dane.mail",
        "_465._tcp.mail IN CNAME _DANE.mail",
        "_98._tcp.mail IN CNAME _99._tcp.mail",
    ]
    there += ["_99._tcp.mail IN CNAME _98._tcp.mail"]  # a loop
    with running_bind(tmp_path, zones=[Zone("tlsa.test", there)], keys=[KEY], resolve=True) as bind:
        ours = publisher(bind)
        one, other, alone = (TlsaRecord(f"_{port}._tcp.mail.tlsa.test", OURS) for port in (25, 465, 443))
        assert ours.same_places([one], [other]) == {one}
        assert ours.same_places([one], [one]) == {one}
        assert ours.same_places([one, alone], [TlsaRecord(other.owner, OTHERS)]) == frozenset()
        assert ours.same_places([alone], [other]) == frozenset()
        assert ours.same_places([one], [TlsaRecord("_99._tcp.mail.tlsa.test", OURS)]) == {one}


def test_the_longest_name_that_can_be_has_room_for_a_look_beside_it(tmp_path: Path) -> None:
    host = f"{'.'.join(['a' * 60] * 3)}.{'b' * 51}"
    owner = f"_25._tcp.{host}.tlsa.test"
    assert len(owner) == 253
    with running_bind(tmp_path, zones=[Zone("tlsa.test")], keys=[KEY], resolve=True) as bind:
        assert publisher(bind).add([TlsaRecord(owner, OURS)]) == {}
        assert publisher(bind).look([owner])[0][owner].everywhere == {OURS}
    there = [f"*._tcp.{host} 3600 IN TLSA {OTHERS}"]
    with running_bind(tmp_path, zones=[Zone("tlsa.test", there)], keys=[KEY], resolve=True) as bind:
        (refused,) = publisher(bind).add([TlsaRecord(owner, OURS)]).values()
        assert "a wildcard answers" in refused.message
