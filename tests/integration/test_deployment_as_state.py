"""Real processes: a service that is slow or deaf, hooks of other clients, and nothing to do when all is done."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.hosts import await_true
from tests.integration.services import ECDSA, LABEL, NAME, RSA, Desk, desk, served
from tests.servers.daemon import is_listening, unused_ports

# As in certbot's documentation ("Renewing certificates"), with the names of an admin.
HOOK = """\
#!/bin/sh

set -e

for domain in $RENEWED_DOMAINS; do
        case $domain in
        www.service.test)
                daemon_cert_root={root}

                # Make sure the certificate and private key files are
                # never world readable, even just for an instant while
                # we're copying them into daemon_cert_root.
                umask 077

                cp "$RENEWED_LINEAGE/fullchain.pem" "$daemon_cert_root/$domain.cert"
                cp "$RENEWED_LINEAGE/privkey.pem" "$daemon_cert_root/$domain.key"

                # Apply the proper file ownership and permissions for
                # the daemon to read its certificate and key.
                chown nobody "$daemon_cert_root/$domain.cert" \\
                        "$daemon_cert_root/$domain.key"
                chmod 400 "$daemon_cert_root/$domain.cert" \\
                        "$daemon_cert_root/$domain.key"

                service some-daemon restart >/dev/null
                ;;
        esac
done
"""


@pytest.fixture
def office(tmp_path: Path) -> Desk:
    made = desk(tmp_path, kinds=[ECDSA])
    made.issue()
    return made


def log(office: Desk) -> list[str]:
    path = office.host.directory / "log"
    return path.read_text().splitlines() if path.exists() else []


def logging(office: Desk, word: str, then: str = "") -> list[str]:
    return ["sh", "-c", f"echo {word} >>{office.host.directory}/log{then and f' && {then}'}"]


@contextmanager
def running(directory: Path, port: int) -> Iterator[None]:
    """A TLS server that reads its files when it is started, and never again."""
    options = {"-cert": "cert.pem", "-cert_chain": "chain.pem", "-key": "privkey.pem"}
    files = [word for option, name in options.items() for word in (option, str(directory / name))]
    process = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", *files, "-quiet"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await_true(lambda: is_listening(port), what="the server")
        yield
    finally:
        process.kill()
        process.communicate()


def test_a_service_that_goes_on_serving_the_old_one_is_named_tried_again_and_left_in_peace_once_it_serves_the_new(
    office: Desk,
) -> None:
    (port,), tls = unused_ports(1), office.host.directory / "tls"
    office.deploy(
        {
            "type": "files",
            "directory": "tls",
            "reload": logging(office, "reload"),
            "verify": [{"port": port}],
            "patience": "0.2s",
        }
    )
    said = office.run("run", expect=1).err
    assert f"port {port} on 127.0.0.1" in said
    assert (tls / "privkey.pem").exists(), "a service that is down keeps its new files"
    with running(tls, port):
        office.run("run")
        assert log(office) == ["reload"], "it had been told already, and was only to be seen"
        office.run("status")
        before = served(port)
        assert before is not None
        office.issue()
        said = office.run("run", expect=1).err
        assert re.search(rf"port {port} on 127\.0\.0\.1 still serves serial {before:x}", said, re.IGNORECASE), said
        assert "verify" in office.run("status", expect=1).out
        assert f"{before:x}" in office.run("status", expect=1).out
    with running(tls, port):
        office.run("run")
        assert log(office) == ["reload"] * 2
        assert served(port) != before
    office.run("run")  # where nothing is to be done nobody is connected to: it does not run any more


def test_a_service_that_is_never_seen_to_have_it_is_reloaded_three_times_and_then_only_looked_at(office: Desk) -> None:
    (port, other), tls = unused_ports(2), office.host.directory / "tls"
    target = {"type": "files", "directory": "tls", "reload": logging(office, "reload"), "patience": "0.1s"}
    office.deploy({**target, "verify": [{"port": port}]})
    for _ in range(4):
        said = office.run("run", expect=1).err
    assert log(office) == ["reload"] * 3
    assert "next attempt after" in said
    office.deploy({**target, "verify": [{"port": port}], "patience": "0.2s", "reload_timeout": "59s"})
    office.run("run", expect=1)
    assert log(office) == ["reload"] * 3
    office.run("follower", "run", LABEL, expect=1)
    assert log(office) == ["reload"] * 4, "a person asked, who may have mended what a reload did not reach"
    office.deploy({**target, "verify": [{"port": other}]})
    with running(tls, other):
        office.run("run")
        office.run("status")
    office.deploy(target)
    office.run("run")
    assert log(office) == ["reload"] * 4, "it is looked at elsewhere, or nowhere, and has what it had"


def test_a_service_that_has_what_it_was_given_is_not_reloaded_again_for_a_name_that_the_certificate_lacks(
    office: Desk,
) -> None:
    (port,), tls = unused_ports(1), office.host.directory / "tls"
    target = {"type": "files", "directory": "tls", "reload": logging(office, "reload"), "patience": "0.1s"}
    office.deploy(target)
    office.run("run")
    office.deploy({**target, "verify": [{"port": port, "name": "other.test"}]})
    assert "`other.test`, which is no name of the certificate" in office.run("check").err
    with running(tls, port):
        for command in (["run"], ["run"], ["follower", "run", LABEL]):
            assert "is not for `other.test`" in office.run(*command, expect=1).err
        assert log(office) == ["reload"]
        office.run("cert", "deploy", LABEL, expect=1)
        assert log(office) == ["reload"] * 2, "a person asked for all of it"


def test_a_deploy_hook_of_certbot_works_unchanged(office: Desk, tmp_path: Path) -> None:
    root, programs = tmp_path / "daemon", tmp_path / "bin"
    for folder in (root, programs):
        folder.mkdir()
    hook = programs / "hook.sh"
    hook.write_text(HOOK.replace("{root}", str(root)))
    (programs / "service").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/restarts\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    office.host.configure(certificates={LABEL: {"names": [NAME], "onchange": [[str(hook)]]}})
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    for restarts in (1, 2):
        office.host.run("run", environment=environment)
        office.host.run("run", environment=environment)
        assert (tmp_path / "restarts").read_text().splitlines() == ["some-daemon restart"] * restarts
        current = office.host.current(LABEL)
        assert (root / f"{NAME}.cert").read_bytes() == (current / "fullchain.pem").read_bytes()
        assert (root / f"{NAME}.key").read_bytes() == (current / "privkey.pem").read_bytes()
        assert (root / f"{NAME}.key").stat().st_mode & 0o777 == 0o400
        office.issue()


def test_a_hook_that_takes_the_last_part_of_the_lineage_for_the_name_finds_each_certificate(tmp_path: Path) -> None:
    office = desk(tmp_path, kinds=[ECDSA, RSA])
    office.issue()
    hook = tmp_path / "copy.sh"
    hook.write_text(f"""#!/bin/sh
set -e
name=$(basename "$RENEWED_LINEAGE")
cat "$RENEWED_LINEAGE/privkey.pem" "$RENEWED_LINEAGE/fullchain.pem" >{tmp_path}/$name.combined
""")
    hook.chmod(0o755)
    office.deploy({"type": "command", "run": [str(hook)]})
    for _ in ("first", "second"):
        office.run("run")
        for label in (LABEL, f"{LABEL}+rsa-2048"):
            current = office.host.current(label)
            expected = (current / "privkey.pem").read_bytes() + (current / "fullchain.pem").read_bytes()
            assert (tmp_path / f"{label}.combined").read_bytes() == expected
            assert str((office.host.state / "live" / label).readlink()) == f"../certificates/{label}/current"
        office.issue()


def test_a_service_is_told_once_for_two_kinds_of_keys_and_two_certificates(tmp_path: Path) -> None:
    office = desk(tmp_path, kinds=[ECDSA, RSA])
    office.issue()
    target = {
        "type": "files",
        "directory": "tls",
        "reload": logging(office, "reload"),
        "check": logging(office, "check"),
    }
    office.deploy(target)
    office.run("run")
    assert log(office) == ["check", "reload"]
    office.issue()
    office.run("run")
    assert log(office) == ["check", "reload"] * 2
    office.run("cert", "rollback", f"{LABEL}+rsa-2048")
    assert log(office) == ["check", "reload"] * 3


@pytest.mark.parametrize("step", ["check", "reload", "onchange"])
def test_a_command_that_hangs_is_ended_and_the_certificate_stays(office: Desk, step: str) -> None:
    target: dict[str, Any] = {"type": "files", "directory": "tls"}
    hang = ["sh", "-c", "sleep 60 & wait"]
    if step == "onchange":
        certificate = {"names": [NAME], "deploy": [target], "onchange": [hang]}
        office.host.configure(certificates={LABEL: certificate}, onchange_timeout="0.3s")
    else:
        office.deploy({**target, step: hang, f"{step}_timeout": "0.3s"})
    said = office.run("run", expect=1).err
    assert f"did not finish within 0.3 s (`{step}_timeout`) and was stopped" in said
    assert (office.host.current(LABEL) / "fullchain.pem").exists()
    assert (office.host.directory / "tls" / "privkey.pem").exists() is (step != "check")


def test_a_run_with_nothing_to_deploy_changes_nothing_and_imports_nothing_heavy(office: Desk) -> None:
    office.deploy(
        {"type": "files", "directory": "tls", "check": logging(office, "check"), "reload": logging(office, "reload")}
    )
    office.host.configure(onchange=[logging(office, "once")])
    office.run("run")
    assert log(office) == ["check", "reload", "once"]
    before = {path: path.stat().st_ino for path in (office.host.directory / "tls").iterdir()}
    loaded = office.host.modules_after("run")
    assert not {"acme", "requests", "dns", "cryptography", "acmectl.deploy.wire.verifying"} & loaded
    assert {path: path.stat().st_ino for path in (office.host.directory / "tls").iterdir()} == before
    assert log(office) == ["check", "reload", "once"]


def test_losing_the_state_database_costs_one_more_deployment_and_nothing_else(office: Desk) -> None:
    office.deploy({"type": "files", "directory": "tls", "reload": logging(office, "reload")})
    office.run("run")
    (office.host.state / "state.db").unlink()
    office.run("run")
    assert log(office) == ["reload"] * 2
    shutil.rmtree(office.host.directory / "tls")
    office.run("run")
    assert (office.host.directory / "tls" / "privkey.pem").exists()
