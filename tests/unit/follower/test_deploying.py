"""Deployment as state, with real files, real commands and the real store."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.deploy import registry
from acmectl.follower.deploying import Placed
from acmectl.follower.settling import settle_all
from acmectl.model.memory import DeployStep
from tests.unit.deploy.generations import install
from tests.unit.follower.places import NOW, Place, errors


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_target_is_deployed_once_for_each_certificate_whatever_its_number(place: Place) -> None:
    target = place.target("tls")
    assert errors(place.deploy(target)) == [None]
    assert (place.root / "tls" / "privkey.pem").read_text() == "privkey 1"
    assert place.deploy(target) == ()
    assert errors(place.deploy(target, serial=2)) == [None]
    assert place.deploy(target, serial=2) == ()
    assert place.content("tls") == ["2"]
    assert not (place.root / "deployed").exists(), "nothing is left of the old key"


@pytest.mark.parametrize(
    "spoil",
    [Path.unlink, lambda copy: copy.write_text("garbage"), lambda copy: copy.chmod(0o666)],
    ids=["deleted", "overwritten", "opened to all"],
)
@pytest.mark.parametrize("name", ["privkey.pem", "fullchain.pem"])
def test_a_copy_that_somebody_spoiled_is_deployed_again_and_its_service_reloaded(
    place: Place, name: str, spoil: Callable[[Path], object]
) -> None:
    target = place.target("tls", reload=place.shell("echo reloaded >>log"))
    place.deploy(target)
    copy = place.root / "tls" / name
    content, mode = copy.read_text(), copy.stat().st_mode
    spoil(copy)
    assert place.behind(target) == ["tls"]
    (again,) = place.deploy(target)
    assert (again.error, again.changed) == (None, True)
    assert (copy.read_text(), copy.stat().st_mode) == (content, mode)
    assert place.lines("log") == ["reloaded"] * 2
    assert place.deploy(target) == ()


def test_a_copy_that_is_only_touched_is_not_deployed_again(place: Place) -> None:
    target = place.target("tls")
    place.deploy(target)
    os.utime(place.root / "tls" / "privkey.pem", ns=(1, 1))
    assert place.deploy(target) == ()


@pytest.mark.parametrize("spoil", ["echo appended >>tls/chain.pem", "rm tls/chain.pem", "chmod 666 tls/chain.pem"])
def test_a_reload_that_changes_the_copies_has_failed(place: Place, spoil: str) -> None:
    (failed,) = place.deploy(place.target("tls", reload=place.shell(spoil)))
    assert failed.step is DeployStep.KEEP
    assert place.record("tls").reloaded_at == place.now, "the reload worked"
    assert failed.error is not None
    assert failed.error.startswith(f"`{place.root}/tls/chain.pem` was changed or removed by the reload, or another")
    assert place.behind(place.target("tls")) == ["tls"]


def test_a_reload_that_changes_the_copies_each_time_is_done_three_times_and_then_once_a_day(place: Place) -> None:
    target = place.target("tls", reload=place.shell("echo reloaded >>log; chmod 666 tls/chain.pem"))
    for _ in range(3):
        place.deploy(target)
    for expected in (3, 3, 4, 4):
        place.deploy(target)
        assert len(place.lines("log")) == expected
        place.now += timedelta(hours=12)


def test_a_check_that_changes_the_copies_has_failed_and_the_old_ones_go_back(place: Place) -> None:
    check = place.shell("test $(cat tls/cert.pem | cut -c6-) = 1 || rm tls/privkey.pem")
    target = place.target("tls", check=check)
    assert errors(place.deploy(target)) == [None]
    (failed,) = place.deploy(target, serial=2)
    assert failed.step is DeployStep.CHECK
    assert (
        failed.error == f"`{place.root}/tls/privkey.pem` was changed or removed by the check after it was put in place"
    )
    assert place.content("tls") == ["1"]
    assert len(list((place.root / "tls").iterdir())) == 4
    assert not (place.root / "deployed").exists()


def test_two_targets_that_have_the_same_places_unknowingly_are_not_both_deployed(place: Place) -> None:
    """As where one directory is mounted on another; the configuration refuses what it can see."""
    one, two = place.target("tls"), Placed("two", place.target("tls").target)
    deployer = place.deployer()
    place.add(deployer, one)
    place.add(deployer, two, serial=2, label="web")
    overwritten, whole = deployer.run()
    assert "was changed or removed by" in (overwritten.error or "")
    assert whole.error is None


def test_who_changes_copies_again_and_again_is_answered_three_times_at_once_and_then_after_growing_pauses(
    place: Place,
) -> None:
    target = place.target("tls", reload=place.shell("echo reload >>log"))
    place.deploy(target)
    copy = place.root / "tls" / "chain.pem"
    for _ in range(4):
        copy.write_text("of somebody else")
        (again,) = place.deploy(target)
        assert (again.error, again.changed) == (None, True)
    assert place.deploy(target) == (), "deployed is deployed, while its pause lasts"
    copy.write_text("of somebody else")
    (left,) = place.deploy(target)
    assert (left.attempted, left.attempts) == (False, 4)
    assert left.error == "somebody changed its files again each time after they were deployed"
    assert len(place.lines("log")) == 5
    place.now += timedelta(minutes=1)
    assert errors(place.deploy(target)) == [None]
    assert place.record("tls").retry_at == place.now + timedelta(minutes=2)
    copy.write_text("of somebody else")
    assert [r.attempted for r in place.deploy(target)] == [False]
    assert errors(place.deploy(target, serial=2)) == [None], "another certificate does not wait for it"


def test_a_target_whose_options_changed_is_deployed_anew(place: Place) -> None:
    place.deploy(place.target("tls"))
    changed = place.target("tls", certificate_mode="0640")
    assert place.behind(changed) == ["tls"]
    place.deploy(changed)
    assert (place.root / "tls" / "cert.pem").stat().st_mode & 0o777 == 0o640


def test_a_person_can_have_a_target_deployed_that_is_not_behind(place: Place) -> None:
    one, two = place.target("one"), place.target("two")
    place.deploy(one, two)
    assert [r.target for r in place.deploy(one, two, again=["two"])] == ["two"]


def test_each_service_is_told_once_a_run_however_many_certificates_changed(place: Place) -> None:
    reload = place.shell('echo "$ACMECTL_LABELS|$ACMECTL_LABEL" >>log')
    deployer = place.deployer()
    place.add(deployer, place.target("one", reload=reload), place.target("two", reload=reload))
    place.add(deployer, place.target("three", reload=reload), label="mail+rsa-2048")
    place.add(deployer, place.target("four", reload=reload), label="web")
    assert errors(deployer.run()) == [None] * 4
    assert place.lines("log") == ["mail mail+rsa-2048 web|"]


@pytest.mark.parametrize("step", ["check", "reload"])
def test_a_command_that_targets_of_one_certificate_share_is_told_all_but_their_names(place: Place, step: str) -> None:
    """As a deploy hook of certbot needs it, however many of them are behind."""
    command = place.shell('echo "$ACMECTL_LABEL|$RENEWED_DOMAINS|$RENEWED_LINEAGE|$ACMECTL_TARGET" >>log')
    targets = [place.target(name, **{step: command}) for name in ("one", "two")]
    place.deploy(*targets)
    (place.root / "two" / "cert.pem").unlink()
    place.deploy(*targets)
    told = f"mail|b.example a.example|{place.root}/live/mail"
    assert place.lines("log") == [f"{told}|", f"{told}|two"]


def test_a_command_for_one_target_is_told_everything_of_its_certificate(place: Place) -> None:
    words = " ".join(f"${name}" for name in ("ACMECTL_LABEL", "ACMECTL_SERIAL", "ACMECTL_NOT_AFTER", "ACMECTL_TARGET"))
    check = place.shell(f'echo "{words}; $RENEWED_DOMAINS; $RENEWED_LINEAGE; $ACMECTL_DIRECTORY" >>log')
    place.deploy(place.target("tls", check=check), serial=26)
    folders = f"{place.root}/live/mail; {place.root}/generation-26"
    assert place.lines("log") == [f"mail 1a 2027-02-20T12:00:00+00:00 tls; b.example a.example; {folders}"]


def test_a_folder_for_hooks_that_cannot_be_made_is_the_failure_of_that_target_alone(place: Place) -> None:
    (place.root / "live" / "mail").mkdir(parents=True)
    check = place.shell("true")
    deployer = place.deployer()
    place.add(deployer, place.target("one", check=check))
    place.add(deployer, place.target("two", check=place.shell(":")), label="web")
    failed, deployed = deployer.run()
    assert failed.error == f"cannot write `{place.root}/live/mail`: is a directory"
    assert failed.step is DeployStep.CHECK
    assert deployed.error is None
    assert (place.root / "live" / "web").is_symlink()


def test_a_command_that_is_check_and_reload_runs_once_and_takes_back_what_it_refuses(place: Place) -> None:
    both = place.shell("echo $(cat tls/cert.pem) >>log && test ! -e broken")
    target = place.target("tls", check=both, reload=both)
    assert errors(place.deploy(target)) == [None]
    assert place.lines("log") == ["cert 1"]
    assert place.record("tls").reloaded_at == NOW
    place.now += timedelta(seconds=1)
    (place.root / "broken").touch()
    (failed,) = place.deploy(target, serial=2)
    assert failed.step is DeployStep.CHECK
    assert place.content("tls") == ["1"]
    assert place.lines("log")[1:] == ["cert 2", "cert 1"], "asked once more, with the old files"
    assert place.record("tls").reloaded_at == NOW
    (place.root / "broken").unlink()
    assert errors(place.deploy(target, serial=2)) == [None]
    assert place.lines("log")[3:] == ["cert 2"]
    assert place.record("tls").reloaded_at == place.now


def test_a_reload_that_fails_three_times_and_then_works_is_deployed_on_the_fourth_run(place: Place) -> None:
    reload = place.shell('echo run >>log && test "$(wc -l <log)" = 4 || { echo "no socket" >&2; exit 3; }')
    target = place.target("tls", reload=reload)
    for attempts in (1, 2, 3):
        (failed,) = place.deploy(target)
        assert failed.error is not None
        assert failed.error.endswith("failed with exit status 3: no socket")
        assert (failed.step, failed.attempts, failed.retry_at) == (DeployStep.RELOAD, attempts, place.now)
        assert place.content("tls") == ["1"], "the files passed the check, and stay"
        place.now += timedelta(seconds=1)
    assert errors(place.deploy(target)) == [None]
    record = place.record("tls")
    assert (record.installed_at, record.reloaded_at, record.deployed_at) == (place.now, place.now, place.now)
    assert place.deploy(target) == ()


def test_what_goes_on_failing_is_left_alone_for_growing_pauses(place: Place) -> None:
    target = place.target("tls", reload=("ls", str(place.root / "socket")))
    for _ in range(4):
        (failed,) = place.deploy(target)
    assert failed.retry_at == NOW + timedelta(minutes=1)
    place.now += timedelta(seconds=59)
    (left_alone,) = place.deploy(target)
    assert (left_alone.error, left_alone.attempted) == (failed.error, False)
    place.now += timedelta(seconds=1)
    (again,) = place.deploy(target)
    assert (again.retry_at, again.attempts) == (place.now + timedelta(minutes=2), 5)
    (place.root / "socket").touch()
    assert errors(place.deploy(target, at_once=True)) == [None]
    assert place.behind(target) == []


def test_a_pause_that_was_begun_by_a_clock_that_was_ahead_does_not_last(place: Place) -> None:
    target = place.target("tls", reload=("false",))
    place.now += timedelta(days=365)
    for _ in range(4):
        place.deploy(target)
    place.now -= timedelta(days=365)
    assert [r.attempted for r in place.deploy(target)] == [True]


def test_a_new_certificate_does_not_wait_for_the_pause_of_the_old_one(place: Place) -> None:
    target = place.target("tls", reload=("false",))
    for _ in range(4):
        place.deploy(target)
    (tried,) = place.deploy(target, serial=2)
    assert tried.attempted
    assert (place.record("tls").fingerprint, place.record("tls").attempts) == ("f2", 1)


def test_one_target_that_fails_leaves_the_others_alone(place: Place) -> None:
    (place.root / "file").touch()
    tls = place.target("tls", reload=("true",))
    results = place.deploy(place.target("file"), tls)
    assert [(r.target, r.error is None) for r in results] == [("file", False), ("tls", True)]
    assert place.behind(place.target("file"), tls) == ["file"]


def test_where_nothing_is_behind_nothing_is_written(place: Place) -> None:
    target = place.target("tls")
    place.deploy(target)
    place.memory.close()
    before = {path: path.stat().st_mtime_ns for path in place.root.rglob("*")}
    assert place.deploy(target) == ()
    assert {path: path.stat().st_mtime_ns for path in place.root.rglob("*") if "generation" not in str(path)} == {
        path: at for path, at in before.items() if "generation" not in str(path)
    }


class TestCheck:
    def test_old_files_go_back_when_the_service_refuses_the_new_ones_in_its_own_words(self, place: Place) -> None:
        check = place.shell('echo run >>log; grep -q 1 tls/cert.pem || { echo "nginx: bad certificate" >&2; exit 1; }')
        target = place.target("tls", check=check, reload=place.shell("echo reloaded >>log"))
        assert errors(place.deploy(target)) == [None]
        (place.root / "tls" / "privkey.pem").chmod(0o400)
        (failed,) = place.deploy(target, serial=2)
        assert failed.error is not None
        assert failed.error.endswith("failed with exit status 1: nginx: bad certificate")
        assert (failed.step, failed.hint) == (DeployStep.CHECK, None)
        assert place.content("tls") == ["1"]
        assert (place.root / "tls" / "privkey.pem").stat().st_mode & 0o777 == 0o400, "as it was, in every way"
        assert place.lines("log") == ["run", "reloaded", "run", "run"], "it is not told of anything"
        assert not (place.root / "deployed").exists()
        record = place.record("tls")
        assert (record.fingerprint, record.installed_fingerprint) == ("f2", "f1")

    def test_where_nothing_was_before_nothing_is_after(self, place: Place) -> None:
        (failed,) = place.deploy(place.target("tls", check=("false",)))
        assert (failed.step, failed.hint) == (DeployStep.CHECK, None)
        assert list((place.root / "tls").iterdir()) == []
        assert place.record("tls").places == frozenset(), "what appears there later is not ours"

    def test_a_service_that_was_broken_before_is_said_to_be_so_and_tried_again_by_the_next_runs(
        self, place: Place
    ) -> None:
        target = place.target("tls", check=place.shell("cat broken >&2; test ! -e broken"))
        place.deploy(target)
        (place.root / "broken").write_text("unknown directive in line 7")
        for _ in range(3):
            (failed,) = place.deploy(target, serial=2)
            assert failed.error is not None
            assert failed.error.endswith("unknown directive in line 7")
            assert failed.hint is not None
            assert failed.hint.startswith("it fails with the files that were there before, too")
            assert place.content("tls") == ["1"]
        (place.root / "broken").unlink()
        assert errors(place.deploy(target, serial=2)) == [None]
        assert place.content("tls") == ["2"]

    def test_what_a_service_accepts_only_together_is_put_in_place_together(self, place: Place) -> None:
        check = place.shell("test -e one/cert.pem -a -e two/cert.pem && echo ok >>log")
        one, two = place.target("one", check=check), place.target("two", check=check)
        deployer = place.deployer()
        place.add(deployer, one)
        place.add(deployer, two, label="mail+rsa-2048")
        assert errors(deployer.run()) == [None, None]
        assert place.lines("log") == ["ok"], "one check for both"

    def test_what_waits_for_its_pause_is_tried_with_what_shares_its_check(self, place: Place) -> None:
        check = place.shell("test -e one/cert.pem -a -e two/cert.pem")
        one, two = place.target("one", check=check), place.target("two", check=check)
        for _ in range(4):
            (failed,) = place.deploy(one)
        assert failed.retry_at is not None
        assert failed.retry_at > place.now
        deployer = place.deployer()
        place.add(deployer, one)
        place.add(deployer, two, label="web")
        assert errors(deployer.run()) == [None, None]

    @pytest.mark.parametrize("check", ["test ! -e two", "test ! -e one -o ! -e two"], ids=["its own", "shared"])
    def test_what_passed_the_check_and_waits_for_its_pause_is_not_reloaded_with_a_neighbour_that_is_tried_again(
        self, place: Place, check: str
    ) -> None:
        shared = place.shell(check)
        reload = place.shell("echo reload >>log; echo more >>one/chain.pem")
        one = place.target("one", reload=reload, check=shared if "one" in check else None)
        for _ in range(3):
            (failed,) = place.deploy(one)
        assert (failed.step, failed.retry_at) == (DeployStep.KEEP, place.now + timedelta(days=1))
        two = place.target("two", reload=reload, check=shared)
        for attempts in range(1, 6):
            left, refused = place.deploy(one, two)
            assert (left.attempted, refused.step, refused.attempts) == (False, DeployStep.CHECK, attempts)
            place.now = refused.retry_at or place.now
        assert place.lines("log") == ["reload"] * 3

    def test_one_that_is_refused_does_not_hold_back_another_with_the_same_check(self, place: Place) -> None:
        check = place.shell("! grep -rq 2 bad")
        bad, good = place.target("bad", check=check), place.target("good", check=check)
        assert errors(place.deploy(bad, good)) == [None, None]
        refused, taken = place.deploy(bad, good, serial=2)
        assert (refused.step, taken.error) == (DeployStep.CHECK, None)
        assert (place.content("bad"), place.content("good")) == (["1"], ["2"])

    def test_a_check_that_hangs_is_not_repeated_for_each_that_shares_it(self, place: Place) -> None:
        check = place.shell("echo run >>log; exec sleep 60")
        targets = [place.target(name, check=check, check_timeout="0.2s") for name in ("one", "two", "three")]
        results = place.deploy(*targets)
        assert [r.step for r in results] == [DeployStep.CHECK] * 3
        assert place.lines("log") == ["run"]
        assert [list((place.root / name).iterdir()) for name in ("one", "two", "three")] == [[], [], []]

    def test_a_check_that_hangs_is_ended_and_the_old_files_go_back(self, place: Place) -> None:
        (failed,) = place.deploy(place.target("tls", check=("sleep", "60"), check_timeout="0.2s"))
        assert failed.error == "`sleep 60` did not finish within 0.2 s (`check_timeout`) and was stopped"
        assert list((place.root / "tls").iterdir()) == []


class TestKilled:
    """What a run that was killed leaves, and what the next one makes of it."""

    def test_old_files_go_back_also_when_the_run_that_put_the_new_ones_in_place_was_killed(self, place: Place) -> None:
        place.deploy(place.target("tls"))
        checked = place.target("tls", check=("false",))
        place.killed(checked, "privkey.pem")
        (failed,) = place.deploy(checked, serial=2)
        assert failed.step is DeployStep.CHECK
        assert place.content("tls") == ["1"]
        assert not (place.root / "deployed").exists()

    def test_half_an_installation_is_made_whole(self, place: Place) -> None:
        target = place.target("tls", check=("true",))
        place.deploy(target)
        place.killed(target, "privkey.pem")
        assert errors(place.deploy(target, serial=2)) == [None]
        assert place.content("tls") == ["2"]
        assert not (place.root / "deployed").exists()

    @pytest.mark.parametrize("change", ["removed", "changed"])
    def test_half_an_installation_of_a_target_that_is_none_any_more_is_undone(self, place: Place, change: str) -> None:
        target = place.target("tls")
        place.deploy(target)
        place.killed(target, "privkey.pem")
        other = place.target("other")
        assert errors(place.deploy(other if change == "removed" else Placed("tls", other.target), serial=2)) == [None]
        assert place.content("tls") == ["1"]
        assert not (place.root / "deployed").exists()

    @pytest.mark.parametrize("begun", [("privkey.pem",), ("privkey.pem", "cert.pem", "chain.pem", "fullchain.pem")])
    def test_half_an_installation_of_a_target_that_pauses_is_undone_although_it_is_not_tried(
        self, place: Place, begun: tuple[str, ...]
    ) -> None:
        place.deploy(place.target("tls"))
        target = place.target("tls", check=("false",))
        for _ in range(4):
            place.deploy(target, serial=2)
        place.killed(target, *begun)
        (left,) = place.deploy(target, serial=2)
        assert not left.attempted
        assert place.content("tls") == ["1"]
        assert not (place.root / "deployed").exists()

    def test_half_an_installation_of_a_certificate_that_is_none_any_more_is_undone(self, place: Place) -> None:
        target = place.target("tls")
        place.deploy(target)
        place.killed(target, "privkey.pem")
        temporary = place.root / "tls" / ".chain.pem.01234567.tmp"
        temporary.write_text("privkey 2")
        place.deploy(place.target("other"), label="web")
        assert place.content("tls") == ["1"]
        assert not temporary.exists()
        assert not (place.root / "deployed").exists()

    def test_what_somebody_put_in_place_after_a_run_was_killed_stays_and_is_what_goes_back(self, place: Place) -> None:
        target = place.target("tls", check=("false",))
        place.deploy(place.target("tls"))
        place.killed(target, "privkey.pem", serial=3)
        install(target.target, place.generation(2))
        (failed,) = place.deploy(target, serial=3)
        assert failed.step is DeployStep.CHECK
        assert place.content("tls") == ["2"]
        assert not (place.root / "deployed").exists()

    @pytest.mark.parametrize("renamed", ["by the killed run", "before"])
    def test_half_an_installation_is_undone_whatever_label_had_the_places_before(
        self, place: Place, renamed: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        target = place.target("tls")
        place.deploy(target, label="mail")
        if renamed == "before":
            place.deploy(target, serial=2, label="web")
        before = place.content("tls")
        temporary = place.root / "tls" / ".chain.pem.01234567.tmp"
        temporary.write_text("chain 3")
        place.killed(target, "privkey.pem", serial=3, label="web")
        assert settle_all(place.previous) == ()
        assert place.content("tls") == before
        assert not temporary.exists()
        assert not (place.root / "deployed").exists()
        assert caplog.messages == []

    def test_what_somebody_else_wrote_meanwhile_stays_and_is_told(
        self, place: Place, caplog: pytest.LogCaptureFixture
    ) -> None:
        target = place.target("tls")
        place.deploy(target)
        place.killed(target, "privkey.pem", "chain.pem")
        copy, temporary = place.root / "tls" / "privkey.pem", place.root / "tls" / ".privkey.pem.01234567.tmp"
        copy.write_text("somebody 5")
        temporary.write_text("privkey 2")
        assert settle_all(place.previous) == ()
        assert place.content("tls") == ["1", "5"]
        assert not temporary.exists(), "it has a key, and is ours"
        words = "is not put back: somebody else wrote it after a run that did not finish"
        assert caplog.messages == [f"`{copy}` {words}"]

    def test_no_certificate_is_put_where_something_is_still_to_be_put_back(self, place: Place) -> None:
        """Under whatever label, and by whatever way to the folder: its content would say nothing of whose file it is by then."""
        place.deploy(place.target("tls"))
        (place.root / "link").symlink_to("tls")
        place.killed(place.target("tls"), "chain.pem")
        copy = place.root / "tls" / "privkey.pem"
        copy.unlink()
        copy.mkdir()
        linked = place.target("link")
        assert [(r.label, r.error is None) for r in place.deploy(linked, serial=2, label="web")] == [("mail", False)]
        copy.rmdir()
        assert errors(place.deploy(linked, serial=2, label="web")) == [None]
        assert place.content("tls") == ["2"]
        assert place.deploy(linked, serial=2, label="web") == ()

    def test_what_cannot_be_undone_is_said_and_nothing_is_put_there_until_it_is(self, place: Place) -> None:
        target = place.target("tls")
        place.deploy(target)
        place.killed(target, "chain.pem")
        (place.root / "tls" / "privkey.pem").unlink()
        (place.root / "tls" / "privkey.pem").mkdir()
        (stray,) = place.deploy(target, serial=2)
        assert stray.error is not None
        words = "the files from before a run that did not finish could not be put back: cannot write `"
        assert stray.error.startswith(words)
        assert (place.root / "deployed").exists(), "nothing is forgotten that was not put back"
        assert (place.root / "tls" / "chain.pem").read_text() == "chain 2"
        (place.root / "tls" / "privkey.pem").rmdir()
        assert errors(place.deploy(target, serial=2)) == [None]

    def test_a_damaged_memory_of_old_files_is_said_with_what_to_do_and_holds_back_no_other_certificate(
        self, place: Place
    ) -> None:
        target, other = place.target("tls"), place.target("other")
        place.killed(target)
        (place.root / "deployed" / "mail" / "tls" / "standing.json").write_text("{")
        (damaged,) = place.deploy(target)
        assert "is damaged" in (damaged.error or "")
        assert "rm -r" in (damaged.hint or "")
        damaged, done = place.deploy(other, label="web")
        assert (damaged.label, done.label, done.error) == ("mail", "web", None)

    def test_a_damaged_memory_of_one_target_holds_back_no_other_of_the_same_certificate(self, place: Place) -> None:
        one, other = place.target("one"), place.target("two")
        place.deploy(one, other)
        for target in (one, other):
            place.killed(target, "privkey.pem")
        (place.root / "deployed" / "mail" / "one" / "standing.json").write_text("{")
        (place.root / "deployed" / "mail" / "stray").write_text("")
        damaged, stray = settle_all(place.previous)
        assert (damaged.target, stray.target) == ("one", "stray")
        assert "is damaged" in (damaged.error or "")
        assert place.content("two") == ["1"], "put back"

    def test_a_file_in_the_place_of_all_memories_is_named_and_holds_back_what_needs_one_alone(
        self, place: Place
    ) -> None:
        (place.root / "deployed").write_text("")
        command = Placed("command[0]", registry.command(place.shell("echo ran >>log")))
        stray, failed, done = place.deploy(place.target("tls"), command)
        assert stray.error == f"`{place.root}/deployed` is nothing that acmectl keeps there"
        assert failed.step is DeployStep.INSTALL
        assert "a file of that name is in the way" in (failed.error or "")
        assert (done.error, place.lines("log")) == (None, ["ran"])

    def test_what_is_nobodys_among_the_memories_is_named_and_holds_back_nothing(self, place: Place) -> None:
        target = place.target("tls")
        place.deploy(target)
        place.killed(target, "privkey.pem")
        (place.root / "deployed" / "x y").mkdir()
        (place.root / "deployed" / "notes").write_text("")
        notes, other = settle_all(place.previous)
        assert notes.error == f"`{place.root}/deployed/notes` is nothing that acmectl keeps there"
        assert other.error == f"`{place.root}/deployed/x y` is nothing that acmectl keeps there"
        assert place.content("tls") == ["1"], "put back"


def test_a_file_that_is_as_it_was_is_not_written_when_others_go_back(place: Place) -> None:
    """It may be one that cannot be renamed over, such as a mounted file."""
    target = place.target("tls").target
    install(target, place.generation(1))
    before, chain = target.standing(), (place.root / "tls" / "chain.pem").stat().st_ino
    (place.root / "tls" / "cert.pem").unlink()
    target.restore(before)
    assert target.standing() == before
    assert (place.root / "tls" / "chain.pem").stat().st_ino == chain


class TestCommand:
    def test_a_command_is_run_until_it_worked_for_this_certificate(self, place: Place) -> None:
        run = place.shell('echo "$RENEWED_DOMAINS" >>log; test -e ready')
        target = Placed("command[0]", registry.command(run))
        (failed,) = place.deploy(target)
        assert failed.step is DeployStep.RUN
        assert errors(place.deploy(target)) == [failed.error]
        (place.root / "ready").touch()
        assert errors(place.deploy(target)) == [None]
        assert place.deploy(target) == ()
        assert errors(place.deploy(target, serial=2)) == [None]
        assert place.lines("log") == ["b.example a.example"] * 4

    def test_a_command_of_one_certificate_is_run_for_each_certificate_that_has_it(self, place: Place) -> None:
        target = Placed("command[0]", registry.command(place.shell('echo "$ACMECTL_LABEL" >>log')))
        deployer = place.deployer()
        place.add(deployer, target)
        place.add(deployer, target, label="web")
        deployer.run()
        assert place.lines("log") == ["mail", "web"]

    def test_a_daemon_that_a_command_starts_is_neither_waited_for_nor_ended_and_its_umask_is_its_own(
        self, place: Place
    ) -> None:
        daemon = "umask 0; (while ! test -e stop; do sleep 0.05; done; echo stopped >>log) & echo $! >pid"
        target = place.target("tls", reload=place.shell(daemon))
        assert errors(place.deploy(target)) == [None]
        pid = int(place.lines("pid")[0])
        os.kill(pid, 0)
        assert place.lines("log") == []
        place.deploy(place.target("later"))
        assert (place.root / "later" / "privkey.pem").stat().st_mode & 0o777 == 0o600
        (place.root / "stop").touch()
