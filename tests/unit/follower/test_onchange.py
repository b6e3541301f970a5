"""When a command of `onchange` is owed a run, with real deployments, real commands and the real store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from acmectl.deploy import registry
from acmectl.follower import onchange
from acmectl.follower.deploying import Placed
from acmectl.follower.onchange import OnChange
from acmectl.follower.targets import DeployResult, Work
from acmectl.model.certificates import Installed
from tests.unit.follower.places import Place, certificate, errors


class Hall:
    """Certificates that are deployed, and commands that are run after that, as a run does it."""

    def __init__(self, root: Path) -> None:
        self.place = Place(root)
        self.serials: dict[str, int] = {}
        self.targets: dict[str, Sequence[Placed]] = {}

    def command(self, word: str, then: str = "true", *, index: int = 0) -> Placed:
        """A command that writes its word and what it was told into the log."""
        script = self.place.shell(f'echo "{word}: $ACMECTL_LABELS" >>log && {then}')
        return Placed(f"onchange[{index}]", registry.command(script))

    def configure(self, label: str = "mail", *targets: Placed) -> None:
        self.targets[label] = targets
        self.serials.setdefault(label, 1)

    def renew(self, label: str = "mail", *, serial: int | None = None) -> None:
        self.serials[label] = serial if serial is not None else self.serials[label] + 1

    def deploy(self, *labels: str, again: Collection[str] = ()) -> None:
        self.place.now += timedelta(minutes=1)
        for label in labels or self.targets:
            done = self.place.deploy(*self.targets[label], serial=self.serials[label], label=label, again=again)
            assert {result.error for result in done} <= {None}

    def run(self, *once: Placed, labels: Collection[str] = (), at_once: bool = False) -> list[str]:
        """What a run leaves in the log, of commands that are run once; `labels` are those that it is about."""
        self.begin(*once)
        self.deploy(*labels)
        return self.after_all(*once, labels=labels, at_once=at_once)

    def begin(self, *once: Placed) -> None:
        in_use = [certificate(serial, label) for label, serial in self.serials.items()]
        OnChange(self.place.memory, lambda: self.place.now).begin(lambda: in_use, once)

    def after_all(self, *once: Placed, labels: Collection[str] = (), at_once: bool = False) -> list[str]:
        runner = OnChange(self.place.memory, lambda: self.place.now, at_once=at_once)
        runner.after_all([one for one in self._in_use if not labels or one.label in labels], once)
        return self._log()

    def run_own(self, *commands: Placed, again: Collection[str] = ()) -> list[str]:
        """The same of commands of the certificate `mail`."""
        self.deploy("mail")
        self.after(*commands, again=again)
        return self._log()

    def after(self, *commands: Placed, again: Collection[str] = ()) -> tuple[DeployResult, ...]:
        have, place = certificate(self.serials["mail"]), self.place
        last = onchange.remembered(place.memory, "mail", commands)
        made, live = place.generation(self.serials["mail"]), partial(place.lineages.made, "mail")
        works = [Work(have, (), made, live, command, last.get(command.name)) for command in commands]
        return OnChange(place.memory, lambda: place.now).after(works, self.targets["mail"], again=again)

    def owed(self, *once: Placed) -> Mapping[str, str | None]:
        """The commands that are owed a run, with why the last one failed."""
        found = onchange.once(self.place.memory, self._in_use, once)
        assert not [one for one in found if one.deployment.error and not one.is_owed]
        return {one.deployment.target: one.deployment.error for one in found if one.is_owed}

    def missing(self, *commands: Placed) -> list[str]:
        have = certificate(self.serials["mail"])
        return [p.name for p, _ in onchange.missing(self.place.memory, have, commands)]

    @property
    def _in_use(self) -> list[Installed]:
        return [certificate(self.serials[label], label) for label in self.targets]

    def _log(self) -> list[str]:
        lines = self.place.lines("log")
        (self.place.root / "log").unlink(missing_ok=True)
        return lines


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    made = Hall(tmp_path)
    made.configure("mail", made.place.target("a"), made.place.target("b"))
    return made


class TestOnceForAll:
    def test_one_that_failed_and_is_replaced_by_another_is_owed_what_it_was_whatever_place_it_has(
        self, hall: Hall
    ) -> None:
        fine, bad = hall.command("fine"), hall.command("bad", "false", index=1)
        assert hall.run(fine, bad) == ["fine: mail", "bad: mail"]
        assert list(hall.owed(fine, bad)) == ["onchange[1]"]
        mended = hall.command("mended")
        assert hall.run(mended) == ["mended: mail"]
        assert hall.owed(mended) == {}
        assert hall.run(mended) == []

    def test_one_whose_place_changed_is_not_run_because_of_that_and_goes_on_failing(self, hall: Hall) -> None:
        fine, bad = hall.command("fine"), hall.command("bad", "false", index=1)
        hall.run(fine, bad)
        bad, fine = replace(bad, name="onchange[0]"), replace(fine, name="onchange[1]")
        assert hall.run(bad, fine) == ["bad: mail"]
        assert list(hall.owed(bad, fine)) == ["onchange[0]"]

    def test_a_failure_is_over_when_its_certificate_is_configured_no_more(self, hall: Hall) -> None:
        hall.configure("web", hall.place.target("w"))
        bad = hall.command("bad", "test -e ok")
        (hall.place.root / "ok").touch()
        hall.run(bad)
        (hall.place.root / "ok").unlink()
        hall.renew("mail")
        assert hall.run(bad) == ["bad: mail"]
        mail = hall.targets.pop("mail")
        assert hall.owed(bad) == {}
        assert hall.run(bad) == []
        hall.targets["mail"] = mail
        assert list(hall.owed(bad)) == ["onchange[0]"], "once it is configured again"

    def test_one_that_is_configured_again_is_not_run_for_what_was_done_meanwhile(self, hall: Hall) -> None:
        one, other = hall.command("one"), hall.command("other", index=1)
        hall.run(one, other)
        hall.renew()
        assert hall.run(one) == ["one: mail"]
        assert hall.run(one, other) == []
        assert hall.run() == []
        assert hall.place.memory.deployments(onchange.OF_ALL) == (), "nothing is known of former ones"

    def test_one_that_works_for_one_certificate_is_owed_for_the_other_still(self, hall: Hall) -> None:
        hall.configure("web", hall.place.target("w"))
        command = hall.command("all", "test -e ok")
        assert hall.run(command) == ["all: mail web"]
        (hall.place.root / "ok").touch()
        assert hall.run(command, labels=["web"], at_once=True) == ["all: web"]
        assert hall.owed(command) == {"onchange[0]": None}
        assert hall.run(command) == ["all: mail"]
        assert hall.owed(command) == {}

    def test_a_run_that_was_killed_before_it_leaves_it_to_the_next(self, hall: Hall) -> None:
        command = hall.command("all")
        hall.begin(command)
        hall.deploy()
        assert hall.owed(command) == {"onchange[0]": None}
        assert hall.run(command) == ["all: mail"]

    def test_a_failure_pauses_until_something_else_is_done(self, hall: Hall) -> None:
        command = hall.command("all", "false")
        ran = [hall.run(command) for _ in range(4)]
        assert ran == [["all: mail"]] * 4
        hall.place.now -= timedelta(minutes=1)
        assert hall.run(command) == []
        hall.renew()
        assert hall.run(command) == ["all: mail"]


class TestTargets:
    def test_a_target_that_is_taken_out_or_put_back_as_it_was_is_nothing_that_was_done(self, hall: Hall) -> None:
        once, own = hall.command("once"), hall.command("own")
        a, b = hall.targets["mail"]
        assert (hall.run(once), hall.run_own(own)) == (["once: mail"], ["own: mail"])
        for targets in ([a], [a, b], [b], []):
            hall.configure("mail", *targets)
            assert hall.missing(own) == []
            assert (hall.run(once), hall.run_own(own)) == ([], [])

    def test_a_new_command_beside_the_files_of_a_former_target_is_not_run(self, hall: Hall) -> None:
        hall.run()
        hall.configure("mail", hall.targets["mail"][0])
        assert hall.run(hall.command("new")) == []

    def test_one_that_is_deployed_by_a_clock_that_was_put_right_is_one_that_was_done(self, hall: Hall) -> None:
        once, own = hall.command("once"), hall.command("own")
        hall.place.now += timedelta(days=2)
        hall.run(once)
        hall.run_own(own)
        hall.place.now -= timedelta(days=2)
        (hall.place.root / "a" / "cert.pem").unlink()
        assert (hall.run(once), hall.run_own(own)) == (["once: mail"], ["own: mail"])

    def test_one_that_is_only_looked_at_in_another_way_is_not_deployed_by_that(self, hall: Hall) -> None:
        once, own = hall.command("once"), hall.command("own")
        hall.run(once)
        hall.run_own(own)
        for deployment in hall.place.memory.deployments("mail"):
            hall.place.memory.save_deployment(replace(deployment, verify_digest="as it was looked at before"))
        assert hall.place.behind(*hall.targets["mail"]) == ["a", "b"]
        assert (hall.run(once), hall.run_own(own)) == ([], [])
        assert hall.place.behind(*hall.targets["mail"]) == []


class TestOfOneCertificate:
    def test_a_new_one_is_run_for_what_is_in_use(self, hall: Hall) -> None:
        hall.deploy()
        own = hall.command("own")
        assert hall.missing(own) == ["onchange[0]"]
        assert hall.run_own(own) == ["own: mail"]
        assert hall.missing(own) == []

    def test_one_whose_place_changed_is_not_run_because_of_that(self, hall: Hall) -> None:
        one, two = hall.command("one"), hall.command("two", index=1)
        assert hall.run_own(one, two) == ["one: mail", "two: mail"]
        assert hall.run_own(replace(two, name="onchange[0]")) == []

    def test_one_that_a_person_has_run_and_that_fails_is_run_again_until_it_works(self, hall: Hall) -> None:
        own = hall.command("own", "test -e ok")
        (hall.place.root / "ok").touch()
        hall.run_own(own)
        (hall.place.root / "ok").unlink()
        assert [bool(error) for error in errors(hall.after(own, again=["onchange[0]"]))] == [True]
        assert hall.missing(own) == ["onchange[0]"]
        (hall.place.root / "ok").touch()
        assert errors(hall.after(own)) == [None]
        assert hall.after(own) == ()

    def test_going_back_to_the_certificate_that_it_last_worked_for_is_nothing_to_run_it_for_without_targets(
        self, hall: Hall
    ) -> None:
        hall.configure("mail")
        own = hall.command("own", "test -e ok")
        (hall.place.root / "ok").touch()
        hall.run_own(own)
        (hall.place.root / "ok").unlink()
        hall.renew(serial=2)
        assert hall.run_own(own) == ["own: mail"]
        hall.renew(serial=1)
        assert hall.run_own(own) == []
