"""`cert verify`: a line for each place, and exit status 1 where a service serves anything else."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
from datetime import timedelta
from pathlib import Path

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, follower_of
from tests.servers.chains import Generation, issue
from tests.servers.wire import context, serving


def in_use(host: Host) -> Generation:
    return Generation((host.state / "certificates/xmpp/current").resolve())


def configure(host: Host, ca: Sandbox, *targets: str) -> None:
    """With targets that have been deployed to: looking changes nothing."""
    listed = "".join(f"      - {{type: files, directory: copies/{i}{more}}}\n" for i, more in enumerate(targets))
    host.configure(follower_of(ca, f"  xmpp:\n    names: [xmpp.acme.test, mail.acme.test]\n    deploy:\n{listed}"))


def at(*ports: int) -> str:
    return f", verify: [{', '.join(f'{{port: {port}}}' for port in ports)}]"


def put_into_use(host: Host, generation: int) -> None:
    """As a run does in one step."""
    folder = host.state / "certificates/xmpp"
    (folder / "new").symlink_to(str(generation))
    (folder / "new").replace(folder / "current")


def put_ended(host: Host) -> None:
    """A certificate that ended an hour ago is in use."""
    issue(host.state / "certificates/xmpp/7", "xmpp.acme.test", begins=-timedelta(days=9), ends=-timedelta(hours=1))
    put_into_use(host, 7)


def said(host: Host, *arguments: str) -> str:
    """What `cert verify` says, without the numbers of ports."""
    return re.sub(r"port \d+", "port N", host.block(host.acmectl("cert", "verify", *arguments)))


def test_what_is_served_is_a_line_for_each_place(ca: Sandbox, issued: Host) -> None:
    with serving(context(in_use(issued))) as one, serving(context(in_use(issued))) as other:
        configure(issued, ca, at(one.port, other.port), at(one.port), "")
        before = issued.tree()
        shown = said(issued)

    assert shown == (
        "xmpp  files[0]  port N on 127.0.0.1 for xmpp.acme.test  serves it until TIME (DAYS left), TLS 1.2 and TLS 1.3\n"
        * 2
        + "xmpp  files[1]  port N on 127.0.0.1 for xmpp.acme.test  serves it until TIME (DAYS left), TLS 1.2 and TLS 1.3\n-> 0\n"
    )
    assert one.asked == ["xmpp.acme.test"] * 4
    assert {path: what for path, what in issued.tree().items() if "state.db" not in path} == {
        path: what for path, what in before.items() if "state.db" not in path
    }


def test_what_serves_another_certificate_is_named_and_makes_exit_status_1(
    ca: Sandbox, issued: Host, tmp_path: Path
) -> None:
    shutil.copytree(in_use(issued).directory, tmp_path / "1")
    issued.good("cert", "renew", "xmpp", "--force")
    with serving(context(Generation(tmp_path / "1"))) as server:
        configure(issued, ca, at(server.port))
        shown = said(issued, "xmpp")
        document = json.loads(issued.acmectl("cert", "verify", "--json").out)

    assert shown == (
        "xmpp  files[0]  port N on 127.0.0.1 for xmpp.acme.test  still serves serial SERIAL, which ends on TIME\n"
        "! hint: xmpp files[0]: the service did not take the new files: does its configuration name them, and did the reload reach it?\n"
        "-> 1\n"
    )
    (certificate,) = document["certificates"]
    (place,) = certificate.pop("places")
    assert (certificate["label"], certificate["served"], certificate["error"]) == ("xmpp", False, None)
    assert place["error"].startswith("still serves serial ")
    del place["error"], place["hint"]
    assert place == {
        "target": "files[0]",
        "host": "127.0.0.1",
        "address": "127.0.0.1",
        "port": server.port,
        "protocol": "tls",
        "name": "xmpp.acme.test",
        "served": False,
        "versions": ["TLS 1.3", "TLS 1.2"],
        "notes": [],
    }


def test_what_to_do_is_said_once_and_names_the_targets_that_it_is_for(
    ca: Sandbox, issued: Host, tmp_path: Path
) -> None:
    shutil.copytree(in_use(issued).directory, tmp_path / "1")
    issued.good("cert", "renew", "xmpp", "--force")
    with serving(context(Generation(tmp_path / "1"))) as server, serving(context(in_use(issued))) as good:
        listed = [at(server.port, server.port), at(good.port), at(server.port)]
        configure(issued, ca, *listed)
        issued.configure(issued.config.read_text() + "  mail: {names: [mail.acme.test]}\n")
        shown = said(issued)

    assert shown.splitlines()[-3:] == [
        "! hint: xmpp files[0], xmpp files[2]: the service did not take the new files: does its configuration name them, and did the reload reach it?",
        "! error: mail: there is no certificate yet",
        "-> 1",
    ]


def test_waiting_ends_when_it_is_served(ca: Sandbox, issued: Host, tmp_path: Path) -> None:
    shutil.copytree(in_use(issued).directory, tmp_path / "1")
    issued.good("cert", "renew", "xmpp", "--force")
    old, new = context(Generation(tmp_path / "1")), context(in_use(issued))
    with serving(old) as server:
        server.context_for_each = lambda: old if server.connections < 5 else new
        configure(issued, ca, at(server.port))
        shown = said(issued, "--wait", "5m")

    assert shown.endswith("TLS 1.2 and TLS 1.3\n-> 0\n")


def test_a_certificate_that_is_renewed_meanwhile_is_the_one_that_is_looked_for(ca: Sandbox, issued: Host) -> None:
    issued.good("cert", "renew", "xmpp", "--force")
    new = context(in_use(issued))
    put_into_use(issued, 1)

    def renewed() -> ssl.SSLContext:
        if server.connections == 1:
            put_into_use(issued, 2)
        return new

    with serving(new) as server:
        server.context_for_each = renewed
        configure(issued, ca, at(server.port))
        shown = said(issued)

    assert shown.endswith("serves it until TIME (DAYS left), TLS 1.2 and TLS 1.3\n-> 0\n")
    assert server.connections == 4


def test_a_certificate_that_cannot_be_looked_for_is_an_error_and_not_taken_for_a_renewed_one(
    ca: Sandbox, issued: Host
) -> None:
    with serving(context(in_use(issued))) as server:
        configure(issued, ca, at(server.port))
        said(issued)  # what the certificate says is remembered
        chain = in_use(issued).fullchain
        times = chain.stat().st_atime_ns, chain.stat().st_mtime_ns
        chain.write_bytes(chain.read_bytes().replace(b"M", b"!"))  # nobody sees it by size and time
        os.utime(chain, ns=times)
        shown = said(issued)

    assert shown == "! error: xmpp: the certificate chain holds no certificate in PEM form, or is damaged\n-> 1\n"
    assert server.connections == 2, "nothing is looked at for it"


def test_a_certificate_that_nobody_can_be_asked_for_is_said(ca: Sandbox, issued: Host) -> None:
    configure(issued, ca, "")

    assert said(issued) == "! warning: xmpp: nothing to look at: no target of it has a `verify`\n-> 0\n"
    (certificate,) = json.loads(issued.good("cert", "verify", "--json").out)["certificates"]
    assert (certificate["served"], certificate["places"]) == (None, [])


def test_a_certificate_that_ended_is_a_failure_wherever_it_is_looked_at(ca: Sandbox, issued: Host) -> None:
    put_ended(issued)
    configure(issued, ca, "")

    assert said(issued) == (
        "! warning: xmpp: nothing to look at: no target of it has a `verify`\n"
        "! error: xmpp: ended TIME, and should have been renewed\n-> 1\n"
    )
    (certificate,) = json.loads(issued.acmectl("cert", "verify", "--json").out)["certificates"]
    assert (certificate["served"], certificate["has_ended"], certificate["places"]) == (False, True, [])


def test_a_certificate_that_ended_is_not_called_valid(issued: Host) -> None:
    put_ended(issued)

    for command in (["cert", "list"], ["cert", "show", "xmpp"], ["status"]):
        shown = issued.acmectl(*command).out
        assert "ended 20" in shown
        assert "valid ended" not in shown


def test_a_certificate_that_is_not_there_is_an_error(follower: Host) -> None:
    assert said(follower) == "! error: xmpp: there is no certificate yet\n-> 1\n"


def test_a_certificate_that_ends_soon_is_warned_of(ca: Sandbox, issued: Host) -> None:
    with serving(context(in_use(issued))) as server:
        configure(issued, ca, at(server.port))
        issued.configure(issued.config.read_text().replace("grace: 1s", "grace: 1s, alarm_at: 0.99999"))
        shown = said(issued)

    assert shown.splitlines()[0].endswith("TLS 1.2 and TLS 1.3")
    assert re.sub(r"in .*,", "in DAYS,", shown.splitlines()[1]) == (
        "! warning: xmpp: ends in DAYS, and should have been renewed"
    )
    assert shown.endswith("-> 0\n")


def test_an_unknown_label_is_refused(issued: Host) -> None:
    assert said(issued, "smtp").endswith("-> 2\n")
