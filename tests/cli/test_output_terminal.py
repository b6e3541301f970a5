"""What a person sees at a terminal: progress and colour, and the question about the terms of service."""

from __future__ import annotations

import re

from tests.cli.hosts import Host, Ran

BOLD_RED = "\x1b[31m\x1b[1m"
ESCAPE = re.compile(r"\x1b\[\d+m")
QUESTION = "Do you agree to the CA's terms of service at https://ca.test/terms? [y/N]: "


def plain(ran: Ran) -> str:
    return ESCAPE.sub("", ran.out)


def test_a_run_on_a_terminal_talks_and_is_coloured(authorized: Host) -> None:
    ran = authorized.on_terminal("master", "run")
    assert "\x1b[32mkept\x1b[0m" in ran.out
    assert (
        authorized.normal(plain(ran))
        == """\
xmpp.acme.test  kept  until TIME
mail.acme.test  kept  until TIME
asked nothing of the CA
"""
    )


def test_an_error_on_a_terminal_is_red_and_reads_the_same_without_colour(master: Host) -> None:
    coloured = master.on_terminal("master", "run", "nail.acme.test")
    assert coloured.status == 2
    assert coloured.out.startswith(f"{BOLD_RED}error:\x1b[0m ")
    assert plain(coloured) == master.acmectl("master", "run", "nail.acme.test").err


def test_no_color_is_honoured_however_it_is_asked_for(authorized: Host) -> None:
    for arguments, env in (
        (("status",), {"NO_COLOR": "1"}),
        (("--no-color", "status"), {}),
        (("status",), {"ACMECTL_COLOR": "0"}),
    ):
        ran = authorized.on_terminal(*arguments, env=env)
        assert "\x1b" not in ran.out
        assert "xmpp.acme.test  authorized  until " in ran.out


def test_colour_can_be_asked_for_where_there_is_no_terminal(authorized: Host) -> None:
    assert "\x1b[32mauthorized\x1b[0m" in authorized.good("--color", "status", env={"NO_COLOR": "1"}).out
    assert "\x1b" not in authorized.good("status").out


def test_errors_are_coloured_or_not_as_the_rest(master: Host) -> None:
    assert BOLD_RED in master.acmectl("--color", "master", "run", "nail.acme.test").err
    assert "\x1b" not in master.on_terminal("--no-color", "master", "run", "nail.acme.test").out
    assert "\x1b" not in master.on_terminal("master", "run", "nail.acme.test", env={"NO_COLOR": "1"}).out


def test_the_terms_of_service_are_asked_about_on_a_terminal(new_master: Host) -> None:
    ran = new_master.on_terminal("account", "register", answer="y", env={"NO_COLOR": "1"})
    assert ran.status == 0
    assert new_master.normal(ran.out).startswith(f"{QUESTION}y\naccount default: registered\n  directory:  https")


def test_other_runs_go_on_while_a_person_reads_the_terms(new_master: Host) -> None:
    statuses: list[int] = []

    def run() -> None:
        statuses.append(new_master.acmectl("master", "run").status)

    new_master.on_terminal("account", "register", answer="y", meanwhile=run)
    assert statuses == [1], "no account yet; 3 would be a lock that is held"
    new_master.good("account", "show")


def test_declined_terms_leave_nothing_behind(new_master: Host) -> None:
    before = new_master.tree()
    ran = new_master.on_terminal("account", "register", answer="n", env={"NO_COLOR": "1"})
    assert ran.status == 2
    assert new_master.normal(ran.out) == (
        f"{QUESTION}n\nerror: without agreeing to the terms of service there is no account\n"
    )
    assert new_master.tree() == before


def test_terms_that_nobody_can_be_asked_about_leave_nothing_behind(new_master: Host) -> None:
    before = new_master.tree()
    assert (
        new_master.block(new_master.acmectl("account", "register"))
        == """\
! error: the CA asks to agree to its terms of service: https://ca.test/terms
! hint: read them, and add `--agree-tos`
-> 2
"""
    )
    assert new_master.tree() == before
