"""Deploying again on demand, commands that are run after it, and what stays when the configuration names a certificate no more."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from contextlib import closing
from typing import Any

import pytest

from acmectl.files import Standing
from acmectl.sandbox.server import Sandbox
from acmectl.storage.previous_files import Remembered, digest_of
from acmectl.storage.state import StateDirectory
from tests.cli.hosts import Host, follower_of

NAMES = "names: [xmpp.acme.test, mail.acme.test]"
LOG = "reload: [sh, -c, 'echo reload >>\"$ACMECTL_DIRECTORY/../../../../log\"']"
ONE = f"{{type: files, directory: tls, {LOG}}}"
OTHER = "{type: files, directory: other}"


def with_targets(ca: Sandbox, *targets: str, more: str = "", **top: str) -> str:
    return follower_of(ca, f"  xmpp: {{{NAMES}, deploy: [{', '.join(targets)}]{more}}}\n", **top)


def log(host: Host) -> list[str]:
    path = host.directory / "log"
    return path.read_text().splitlines() if path.exists() else []


def status(host: Host) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(host.acmectl("status", "--json").out)
    return document


@pytest.fixture
def deployed(ca: Sandbox, issued: Host) -> Host:
    """A follower whose certificate is deployed to `tls` and `other`."""
    issued.configure(with_targets(ca, ONE, OTHER))
    issued.good("run")
    return issued


def test_a_certificate_is_deployed_again_on_demand_everywhere_or_to_one_target(deployed: Host) -> None:
    assert log(deployed) == ["reload"]
    assert deployed.block(deployed.acmectl("cert", "deploy", "xmpp")) == (
        "xmpp: deployed to files[0]\nxmpp: deployed to files[1]\n-> 0\n"
    )
    (deployed.directory / "tls" / "privkey.pem").unlink()
    assert deployed.block(deployed.acmectl("cert", "deploy", "xmpp", "--target", "1")) == (
        "xmpp: deployed to files[1]\n-> 0\n"
    )
    said = "not deployed to files[0]: its files were changed or removed by somebody since\n"
    assert said in deployed.acmectl("status").out
    assert deployed.block(deployed.acmectl("cert", "deploy", "xmpp", "--target", "files[0]")) == (
        "xmpp: deployed to files[0] again: its files were changed or removed by somebody since\n-> 0\n"
    )
    assert "files[0]: its files were changed or removed by somebody since" in deployed.good("log", "xmpp").out
    assert log(deployed) == ["reload"] * 3
    assert (deployed.directory / "tls" / "privkey.pem").exists()


def test_what_cannot_be_deployed_is_refused_in_words(ca: Sandbox, follower: Host) -> None:
    refused = follower.acmectl("cert", "deploy", "xmpp")
    assert follower.block(refused) == (
        "! error: the certificate `xmpp` has no targets\n"
        "! hint: `certificates.xmpp.deploy` in the configuration lists them\n-> 2\n"
    )
    follower.configure(with_targets(ca, ONE, more=", onchange: [['true']]"))
    assert follower.block(follower.acmectl("cert", "deploy", "xmpp")) == (
        "! error: there is no certificate `xmpp` to deploy yet\n"
        "! hint: `acmectl cert renew xmpp` issues it, once its names are authorized\n-> 2\n"
    )
    assert follower.block(follower.acmectl("cert", "deploy", "xmpp", "--target", "1")) == (
        "! error: the certificate `xmpp` has no target `1`\n! hint: it has `files[0]`, `onchange[0]`\n-> 2\n"
    )


def test_a_damaged_certificate_is_not_deployed_and_the_reason_is_told(deployed: Host) -> None:
    current = deployed.state / "certificates" / "xmpp" / "current"
    (current / "fullchain.pem").write_bytes((current / "cert.pem").read_bytes())
    assert deployed.block(deployed.acmectl("cert", "deploy", "xmpp")) == (
        "! error: the certificate `xmpp` cannot be deployed: `TMP/follower/state/certificates/xmpp/1/fullchain.pem`"
        " is not `cert.pem` and `chain.pem` together: one of them is damaged\n"
        "! hint: `acmectl cert renew xmpp` issues another, once its names are authorized\n-> 1\n"
    )
    verified = deployed.acmectl("cert", "verify", "xmpp")
    assert (verified.status, "one of them is damaged" in verified.said) == (1, True), "it is no measure either"
    deployed.good("run")
    assert (deployed.directory / "tls" / "fullchain.pem").read_bytes() == (current / "fullchain.pem").read_bytes()
    assert current.readlink().name == "2"


def test_what_a_copy_that_followed_links_left_is_told_with_a_way_out(deployed: Host) -> None:
    current = deployed.state / "certificates" / "xmpp" / "current"
    generation = current.resolve()
    current.unlink()
    shutil.copytree(generation, current)
    assert deployed.block(deployed.acmectl("run")) == (
        "! error: certificate `xmpp` was not issued: `TMP/follower/state/certificates/xmpp/current` is a directory,"
        " where the link to the generation in use belongs\n"
        "! hint: a copy that followed links leaves it so: `mv TMP/follower/state/certificates/xmpp/current"
        " TMP/follower/state/certificates/xmpp/current.away`, and then `acmectl run`\n-> 1\n"
    )
    current.rename(current.with_name("current.away"))
    deployed.good("run")
    assert current.readlink().name == "2", "what was issued meanwhile"


def test_status_and_show_say_how_far_each_target_is(ca: Sandbox, deployed: Host) -> None:
    deployed.configure(with_targets(ca, ONE.replace("echo reload", "echo no socket >&2; false"), OTHER))
    ran = deployed.acmectl("run")
    assert "failed with exit status 1: no socket; the next run tries again" in ran.err
    shown = deployed.normal(deployed.acmectl("status").out)
    assert "  not deployed to files[0]: `sh -c" in shown
    assert "    failed 1 time to reload since TIME; the next run tries again\n" in shown
    assert "files[1]" not in shown
    shown = deployed.normal(deployed.good("cert", "show", "xmpp").out)
    assert "  files[0]: generation 1 installed TIME, reloaded TIME\n" in shown
    assert "  files[1]: generation 1 installed TIME\n" in shown
    first, second = status(deployed)["certificates"][0]["deployments"]
    assert (first["failed_step"], first["attempts"], first["installed"]["generation"]) == ("reload", 1, 1)
    assert (second["error"], second["wanted"]) == (None, second["installed"])
    assert second["files"] == sorted(
        str(deployed.directory / "other" / f"{part}.pem") for part in ("cert", "chain", "fullchain", "privkey")
    )


def test_a_reload_that_rewrites_the_files_has_words_of_its_own(ca: Sandbox, deployed: Host) -> None:
    deployed.configure(with_targets(ca, ONE.replace("echo reload", "chmod 644 tls/privkey.pem; echo reload"), OTHER))
    ran = [deployed.acmectl("run").err for _ in range(3)]
    assert "; the next run tries again" in ran[0]
    assert "; next attempt after" in ran[2], "a day later"
    shown = deployed.normal(deployed.acmectl("status").out)
    assert "    changed 3 times after the reload since TIME; next attempt after TIME\n" in shown


def test_what_replaces_a_revoked_certificate_or_is_rolled_back_to_is_deployed_like_any_other(deployed: Host) -> None:
    deployed.good("cert", "revoke", "xmpp", "--yes")
    deployed.good("run")
    deployed.good("cert", "renew", "xmpp", "--force")
    deployed.good("cert", "rollback", "xmpp")
    assert log(deployed) == ["reload"] * 4
    current = deployed.state / "certificates" / "xmpp" / "current"
    assert current.readlink().name == "2"
    for name in ("tls", "other"):
        assert (deployed.directory / name / "privkey.pem").read_bytes() == (current / "privkey.pem").read_bytes()
    (deployed.directory / "tls" / "chain.pem").unlink()
    (deployed.directory / "tls" / "chain.pem").mkdir()
    ran = deployed.acmectl("cert", "rollback", "xmpp", "--to", "3")
    assert ran.status == 1
    assert "not deployed to files[0]: cannot write `" in ran.err
    (deployed.directory / "tls" / "chain.pem").rmdir()
    deployed.good("run")
    assert log(deployed) == ["reload"] * 5


class TestOnChange:
    RUN = '[sh, -c, \'cd "$ACMECTL_DIRECTORY/../../../.." && echo "$ACMECTL_LABEL: $RENEWED_DOMAINS" >>log && test -e ok\']'

    def test_commands_of_a_certificate_are_run_once_it_is_deployed_and_until_they_work(
        self, ca: Sandbox, issued: Host
    ) -> None:
        (issued.directory / "tls").touch()  # in the way
        issued.configure(with_targets(ca, "{type: files, directory: tls}", more=f", onchange: [{self.RUN}]"))
        assert issued.acmectl("run").status == 1
        assert log(issued) == [], "they wait until all targets have it"
        (issued.directory / "tls").unlink()
        ran = issued.acmectl("run")
        assert ran.status == 1
        assert "certificate `xmpp`: onchange[0] failed: `sh -c" in ran.err
        assert issued.acmectl("status").status == 1
        (issued.directory / "ok").touch()
        issued.good("run")
        issued.good("run")
        line = "xmpp: xmpp.acme.test mail.acme.test"
        assert log(issued) == [line] * 2
        (issued.directory / "tls" / "cert.pem").unlink()
        issued.good("run")
        assert log(issued) == [line] * 3, "it was deployed once more"
        assert issued.good("cert", "deploy", "xmpp").out == "xmpp: deployed to files[0]\nxmpp: ran onchange[0]\n"
        issued.good("cert", "deploy", "xmpp", "--target", "onchange[0]")
        assert log(issued) == [line] * 5
        assert issued.good("status").out.count("not run") == 0

    def test_a_deployment_to_one_target_alone_is_followed_by_the_commands_for_it_too(
        self, ca: Sandbox, issued: Host
    ) -> None:
        def command(word: str) -> str:
            return f"[[sh, -c, 'echo {word} >>{issued.directory}/log']]"

        more = f", onchange: {command('one')}"
        issued.configure(with_targets(ca, OTHER, "{type: files, directory: third}", more=more, onchange=command("all")))
        issued.good("run")
        assert log(issued) == ["one", "all"]
        issued.good("cert", "deploy", "xmpp", "--target", "0")
        assert log(issued) == ["one", "all"] * 2
        issued.good("run")
        assert log(issued) == ["one", "all"] * 2

    def test_what_is_run_once_is_not_run_because_it_is_new_or_changed(self, ca: Sandbox, issued: Host) -> None:
        issued.configure(with_targets(ca, OTHER))
        issued.good("run")
        for word in ("first", "second"):
            once = f"[[sh, -c, 'echo {word} >>{issued.directory}/log']]"
            issued.configure(with_targets(ca, OTHER, onchange=once))
            issued.good("run")
            assert log(issued) == []
        issued.good("cert", "renew", "xmpp", "--force")
        assert log(issued) == ["second"]
        issued.good("run")
        assert log(issued) == ["second"]

    def test_what_is_run_once_after_all_is_told_what_changed_and_run_until_it_works(
        self, ca: Sandbox, issued: Host
    ) -> None:
        certificates = f"  xmpp: {{{NAMES}, deploy: [{OTHER}]}}\n  mail: {{names: [mail.acme.test]}}\n"
        script = f'cd {issued.directory} && echo "$ACMECTL_LABELS" >>log && test -e ok'
        issued.configure(follower_of(ca, certificates, onchange=f"[[sh, -c, '{script}']]"))
        ran = issued.acmectl("run")
        assert ran.status == 1
        assert "error: this host: onchange[0] failed: `sh -c" in ran.err
        assert issued.acmectl("status").status == 1
        assert "onchange[0] failed: `sh -c" in issued.acmectl("status").out
        once = status(issued)["onchange"][0]
        assert (once["target"], once["attempts"], once["behind"]) == ("onchange[0]", 1, True)
        for _ in range(4):
            paused = issued.acmectl("run").err
        assert "; next attempt after " in paused
        assert log(issued) == ["xmpp mail"] * 4
        (issued.directory / "ok").touch()
        at_once = re.search("hint: once it is mended, `acmectl (.*)` tries again at once\n", paused)
        assert at_once
        issued.good(*at_once[1].split())
        issued.good("run")
        assert log(issued) == ["xmpp mail"] * 5
        issued.good("cert", "renew", "mail", "--force")
        issued.good("cert", "deploy", "xmpp")
        assert log(issued)[5:] == ["mail", "xmpp"]
        assert issued.good("status").status == 0

    def test_what_is_run_once_and_failed_for_a_certificate_that_is_configured_no_more_is_no_failure_any_more(
        self, ca: Sandbox, issued: Host
    ) -> None:
        bad, mail = "[['false']]", "  mail: {names: [mail.acme.test]}\n"
        issued.configure(follower_of(ca, mail, onchange="[['true']]"))
        issued.good("run")
        issued.configure(follower_of(ca, f"  xmpp: {{{NAMES}, deploy: [{OTHER}]}}\n{mail}", onchange=bad))
        assert issued.acmectl("run").status == 1
        assert issued.acmectl("status").status == 1
        issued.configure(follower_of(ca, mail, onchange=bad))
        assert issued.good("status").out.count("not run") == 0
        assert [(one["error"], one["behind"]) for one in status(issued)["onchange"]] == [(None, False)]
        assert issued.good("run").out == ""


class TestRemove:
    def test_a_certificate_of_the_configuration_is_not_removed(self, deployed: Host) -> None:
        before = deployed.tree()
        assert deployed.block(deployed.acmectl("cert", "remove", "xmpp", "--yes")) == (
            "! error: the certificate `xmpp` is in the configuration\n! hint: remove it there first\n-> 2\n"
        )
        assert deployed.acmectl("cert", "remove", "unknown", "--yes").status == 2
        assert deployed.tree() == before

    def test_deployed_files_of_a_certificate_that_was_taken_out_stay_and_are_named(
        self, ca: Sandbox, deployed: Host
    ) -> None:
        deployed.configure(follower_of(ca, "  mail: {names: [mail.acme.test]}\n"))
        deployed.good("run")
        for command in ("status", "check"):
            said = deployed.normal(deployed.good(command).err)
            assert "certificate `xmpp` is not in the configuration any more; its deployed files stay" in said
            assert "`TMP/follower/tls/privkey.pem`" in said
            assert "hint: `acmectl cert remove xmpp` removes what this host keeps of it, and no deployed file" in said
            document = json.loads(deployed.good(command, "--json").out)
            assert [w["certificate"] for w in document["warnings"]] == ["xmpp"]
        assert deployed.block(deployed.acmectl("cert", "remove", "xmpp")) == deployed.block(
            deployed.acmectl("cert", "remove", "xmpp")
        )
        asked = deployed.on_terminal("cert", "remove", "xmpp", answer="n")
        assert "nothing was removed" in asked.out
        assert (deployed.state / "certificates" / "xmpp").exists()
        ran = deployed.acmectl("cert", "remove", "xmpp", "--yes")
        files = [
            f"{name}/{part}.pem" for name in ("other", "tls") for part in ("cert", "chain", "fullchain", "privkey")
        ]
        stays = "".join(f"  stays: TMP/follower/{name}\n" for name in files)
        warned = "! warning: certificate `xmpp` is valid until TIME (DAYS left), and is not revoked by this\n"
        told = "".join(f"! {line}\n" for line in stays.splitlines())
        assert deployed.block(ran) == (f"xmpp: removed\n{stays}! xmpp: 1 generation with keys\n{told}{warned}-> 0\n")
        assert all((deployed.directory / name).exists() for name in files)
        assert not (deployed.state / "certificates" / "xmpp").exists()
        assert deployed.good("status").err == ""
        assert "removed" in deployed.good("log").out
        assert deployed.acmectl("cert", "remove", "xmpp", "--yes").status == 2

    def test_what_a_killed_run_remembered_goes_over_no_file_that_is_somebody_elses_by_now(
        self, ca: Sandbox, deployed: Host
    ) -> None:
        """Another client took over the files of one target; the other has another label now, which was never deployed there."""
        begun = {name: (deployed.directory / name / "privkey.pem").read_bytes() for name in ("tls", "other")}
        with closing(StateDirectory(deployed.state)) as state:
            for number, name in enumerate(begun):
                place = deployed.directory / name / "privkey.pem"
                old, digest = Standing(place, b"an old key", None, 0o600), digest_of(begun[name])
                state.previous_files.remember(Remembered("xmpp", f"files[{number}]", "d", (old,), (digest,)))
        (deployed.directory / "other" / "privkey.pem").write_bytes(b"of another client")
        deployed.configure(follower_of(ca, f"  chat: {{{NAMES}, deploy: [{ONE}]}}\n"))
        deployed.good("cert", "remove", "xmpp", "--yes")
        assert (deployed.directory / "tls" / "privkey.pem").read_bytes() == b"an old key"
        assert (deployed.directory / "other" / "privkey.pem").read_bytes() == b"of another client"
        assert not (deployed.state / "deployed").exists()

    @pytest.mark.parametrize("none", ["", "certificates: {}\n"], ids=["no key", "an empty one"])
    def test_what_a_killed_run_left_half_done_is_undone_by_a_master_without_certificates_too(
        self, authorized: Host, none: str
    ) -> None:
        alone = authorized.config.read_text()
        authorized.configure(f"{alone}certificates:\n  xmpp: {{{NAMES}, deploy: [{OTHER}]}}\n")
        authorized.good("run")
        place = authorized.directory / "other" / "privkey.pem"
        begun = digest_of(place.read_bytes())
        with closing(StateDirectory(authorized.state)) as state:
            old = Standing(place, b"an old key", None, 0o600)
            state.previous_files.remember(Remembered("xmpp", "files[0]", "d", (old,), (begun,)))
        authorized.configure(alone + none)
        place.rename(place.with_name("aside"))
        place.mkdir()
        ran = authorized.acmectl("run")
        assert ran.status == 1
        assert "the files from before a run that did not finish could not be put back" in ran.err
        place.rmdir()
        place.with_name("aside").rename(place)
        assert authorized.good("run").said == ""
        assert place.read_bytes() == b"an old key"
        assert not (authorized.state / "deployed").exists()

    def test_a_kind_that_was_given_up_is_removed_by_its_name_alone(self, ca: Sandbox, issued: Host) -> None:
        issued.configure(follower_of(ca, f"  xmpp: {{{NAMES}, key: [ecdsa-p256, rsa-2048], deploy: [{OTHER}]}}\n"))
        issued.good("run")
        issued.configure(with_targets(ca, OTHER))
        issued.good("run")
        assert "its former kinds are `xmpp+rsa-2048`" in issued.acmectl("cert", "remove", "xmpp", "--yes").err
        issued.good("cert", "remove", "xmpp+rsa-2048", "--yes")
        assert (issued.state / "certificates" / "xmpp" / "current").exists()
        assert not (issued.state / "certificates" / "xmpp+rsa-2048").exists()
        assert issued.good("status").err == ""

    def test_files_of_a_target_that_was_taken_out_are_named_until_a_person_removes_them(
        self, ca: Sandbox, deployed: Host
    ) -> None:
        deployed.configure(with_targets(ca, OTHER))
        deployed.good("run")
        said = deployed.normal(deployed.good("status").err)
        assert "certificate `xmpp`: files of a former target stay, and nobody renews them: `TMP/follower/tls/" in said
        assert "follower/other" not in said
        (certificate,) = status(deployed)["certificates"]
        assert [d["target"] for d in certificate["deployments"]] == ["files[0]"]
        for path in (deployed.directory / "tls").iterdir():
            path.unlink()
        assert deployed.good("status").err == ""

    def test_a_file_that_is_kept_up_to_date_is_not_named_because_its_directory_had_another_name(
        self, ca: Sandbox, deployed: Host
    ) -> None:
        (deployed.directory / "link").symlink_to("tls")
        for directory in ("link", "tls"):
            deployed.configure(with_targets(ca, ONE.replace("directory: tls", f"directory: {directory}"), OTHER))
            deployed.good("run")
            for command in ("status", "check"):
                assert deployed.good(command).err == ""
        deployed.configure(with_targets(ca, OTHER))
        deployed.good("run")
        assert deployed.good("status").err.count("fullchain.pem") == 1, "it is one file"
        for path in (deployed.directory / "tls").iterdir():
            path.unlink()
        assert deployed.good("status").err == ""

    def test_a_file_that_became_a_persons_own_key_is_not_named(self, ca: Sandbox, deployed: Host) -> None:
        chain = ONE.replace("tls,", "tls, files: {fullchain: fullchain.pem},")
        deployed.configure(with_targets(ca, chain, more=", key_file: tls/privkey.pem"))
        deployed.acmectl("run")
        said = deployed.good("status").err
        assert "tls/chain.pem" in said
        assert "tls/privkey.pem" not in said

    def test_a_persons_own_key_beside_the_files_of_a_csr_is_not_named(self, ca: Sandbox, deployed: Host) -> None:
        (deployed.directory / "own").mkdir()
        words = "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout own/privkey.pem -subj / -out own.csr -addext"
        sans = "subjectAltName=DNS:xmpp.acme.test,DNS:mail.acme.test"
        subprocess.run(["openssl", *words.split(), sans], cwd=deployed.directory, check=True, capture_output=True)
        own = "{type: files, directory: own}"
        deployed.configure(with_targets(ca, ONE, OTHER, own, more=", csr_file: own.csr"))
        deployed.good("run")
        deployed.configure(with_targets(ca, ONE, OTHER, more=", csr_file: own.csr"))
        deployed.good("run")
        said = deployed.good("status").err
        assert "own/fullchain.pem" in said
        assert "own/privkey.pem" not in said
