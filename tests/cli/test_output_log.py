"""`acmectl log`, `master run --verify` and `master forget`: whole outputs."""

from __future__ import annotations

import json

from tests.cli.hosts import Host


def test_the_log_of_a_name_tells_its_story(master: Host) -> None:
    master.good("master", "run")
    kinds = [line.split()[4] for line in master.good("log", "xmpp.acme.test").out.splitlines()]
    assert kinds == ["authorization", "challenge", "proven"]
    assert master.good("log", "XMPP.acme.test.").out  # as people write it


def test_the_log_for_programs_has_every_event(master: Host) -> None:
    master.good("master", "run")
    document = json.loads(master.good("log", "--json", "-n", "2").out)
    assert document["schema_version"] == 1
    assert len(document["events"]) == 2
    assert set(document["events"][0]) == {"at", "subject", "kind", "text"}


def test_a_subject_that_never_was_is_a_mistake_with_a_hint(master: Host) -> None:
    ran = master.acmectl("log", "nobody.acme.test")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == (
        "error: nothing is remembered of `nobody.acme.test`\nhint: `acmectl log` shows the latest events of all\n"
    )


def test_an_empty_log_is_no_mistake(new_master: Host) -> None:
    assert new_master.good("log").said == ""


def test_verify_says_nothing_under_cron_when_all_is_well_and_counts_when_asked(master: Host) -> None:
    master.good("master", "run")
    assert master.good("master", "run", "--verify").said == ""
    first = master.good("-v", "master", "run", "--verify").out.splitlines()[0]
    count = len(json.loads(master.good("master", "status", "--json").out)["master"]["names"])
    assert first == f"verified {count} authorizations: {count} valid, 0 lost"


def test_a_name_is_forgotten_at_the_ca_and_here(master: Host) -> None:
    master.good("master", "run")
    assert master.good("master", "forget", "xmpp.acme.test").out.startswith("xmpp.acme.test  forgotten  https://")
    states = {
        n["name"]: n["authorized"]
        for n in json.loads(master.acmectl("master", "status", "--json").out)["master"]["names"]
    }
    assert states["xmpp.acme.test"] is False
    ran = master.acmectl("master", "forget", "xmpp.acme.test")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == (
        "error: no authorization of `xmpp.acme.test` is remembered here\nhint: `acmectl master status` lists them\n"
    )
