"""What keeps ninety providers to the contract, tried on providers that are wrong in the ways in which real ones are."""

from __future__ import annotations

import threading
import urllib.error
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import requests
from lexicon.config import ConfigResolver
from lexicon.exceptions import AuthenticationError
from lexicon.interfaces import Provider

from acmectl.solvers import lexicon_failures, lexicon_records, lexicon_worker
from acmectl.solvers.lexicon_failures import NotDone
from acmectl.solvers.lexicon_worker import Job

ZONE = "example.test"
OWNER = f"_acme-challenge.{ZONE}"


class Memory(Provider):
    """A provider that keeps its promises, in memory; what others get wrong is in the classes below."""

    def __init__(self, values: Iterable[str] = (), *, owner: str = OWNER) -> None:
        super().__init__(
            ConfigResolver().with_dict({"provider_name": "memory", "domain": ZONE})  # type: ignore[no-untyped-call]  # no types
        )
        self.records = [(owner, value) for value in values]
        self.calls: list[str] = []

    def authenticate(self) -> None:
        self.calls.append("authenticate")

    def create_record(self, rtype: str, name: str, content: str) -> bool:
        assert rtype == "TXT"
        self.calls.append("create")
        self.records.append((name, content))
        return True

    def list_records(
        self, rtype: str | None = None, name: str | None = None, content: str | None = None
    ) -> list[dict[str, Any]]:
        del content
        return [{"type": rtype, "name": o, "content": v} for o, v in self.records if name in {None, o}]

    def update_record(
        self,
        identifier: str | None = None,
        rtype: str | None = None,
        name: str | None = None,
        content: str | None = None,
    ) -> bool:
        raise AssertionError(f"no record of others is updated: {identifier}, {rtype}, {name}, {content}")

    def delete_record(
        self,
        identifier: str | None = None,
        rtype: str | None = None,
        name: str | None = None,
        content: str | None = None,
    ) -> bool:
        assert (identifier, rtype) == (None, "TXT")
        self.calls.append("delete")
        self.records.remove((name or "", content or ""))
        return True

    @staticmethod
    def get_nameservers() -> list[str]:
        return []

    @staticmethod
    def configure_parser(parser: ArgumentParser) -> None:
        del parser

    @property
    def values(self) -> list[str]:
        return sorted(value for _, value in self.records)


class DeletesAll(Memory):
    def delete_record(
        self,
        identifier: str | None = None,
        rtype: str | None = None,
        name: str | None = None,
        content: str | None = None,
    ) -> bool:
        del identifier, rtype, content
        self.records = [record for record in self.records if record[0] != name]
        return True


class HasRoomForOne(Memory):
    def create_record(self, rtype: str, name: str, content: str) -> bool:
        self.records = []
        return super().create_record(rtype, name, content)


class Quotes(Memory):
    def list_records(
        self, rtype: str | None = None, name: str | None = None, content: str | None = None
    ) -> list[dict[str, Any]]:
        found = super().list_records(rtype, None, content)
        return [{**r, "name": f"{r['name']}.", "content": f'"{r["content"]}"'} for r in found if name]


class ForgetsToDelete(Memory):
    def delete_record(
        self,
        identifier: str | None = None,
        rtype: str | None = None,
        name: str | None = None,
        content: str | None = None,
    ) -> bool:
        del identifier, rtype, name, content
        return True


class CannotList(Memory):
    def list_records(
        self, rtype: str | None = None, name: str | None = None, content: str | None = None
    ) -> list[dict[str, Any]]:
        raise TypeError(f"no lists of {rtype} at {name} with {content}")


class SaysNo(Memory):
    def create_record(self, rtype: str, name: str, content: str) -> bool:
        del rtype, name, content
        return False


def job(**changes: Any) -> Job:
    zones = {ZONE: [(0, OWNER, "one"), (1, OWNER, "two")]}
    base = Job("memory", "publish", zones, {}, ("s3cret",), 60, 20, 4, 1)
    return replace(base, **changes)


def work(job: Job, *opened: Memory | Callable[[], Memory]) -> dict[int, lexicon_failures.Failure | None]:
    """Do the job with these providers, in the order in which they are opened."""
    left, told = list(opened), dict[int, lexicon_failures.Failure | None]()

    def opening(_: Job, zone: str) -> Provider:
        assert zone in job.zones
        provider = left.pop(0) if len(left) > 1 else left[0]
        return provider if isinstance(provider, Memory) else provider()

    def tell(index: int, failure: lexicon_failures.Failure | None) -> None:
        assert index not in told
        told[index] = failure

    lexicon_worker.work(job, tell, is_orphan=lambda: False, opening=opening)
    return told


def raising(error: Exception) -> Callable[[], Memory]:
    def fail() -> Memory:
        raise error

    return fail


class Refusing(Memory):
    """Its server refuses every look with an `error`, and counts them."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.asked = 0

    def list_records(
        self, rtype: str | None = None, name: str | None = None, content: str | None = None
    ) -> list[dict[str, Any]]:
        del rtype, name, content
        self.asked += 1
        raise self.error


class Closed:
    """What cannot even be opened, and counts who tries."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def __call__(self) -> Memory:
        self.asked += 1
        raise self.error


def refusal(status: int, *, after: str | None = None) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    if after:
        response.headers["Retry-After"] = after
    return requests.HTTPError(f"{status} for url: https://api.test/?key=s3cret", response=response)


def test_values_come_and_go_one_by_one_beside_others() -> None:
    provider = Memory(["other"])
    assert work(job(), provider) == {0: None, 1: None}
    assert provider.values == ["one", "other", "two"]
    assert work(job(action="remove", zones={ZONE: [(0, OWNER, "one")]}), provider) == {0: None}
    assert provider.values == ["other", "two"]


def test_what_is_there_is_not_added_again_and_what_is_not_there_is_not_removed() -> None:
    provider = Memory(["one", "two"])
    assert work(job(), provider) == {0: None, 1: None}
    assert "create" not in provider.calls
    empty = Memory()
    assert work(job(action="remove"), empty) == {0: None, 1: None}
    assert empty.calls == []


def test_the_quotes_of_a_zone_file_and_records_of_other_names_are_seen_through() -> None:
    provider = Quotes(["one"])
    provider.records.append((f"other.{ZONE}", "two"))
    assert lexicon_records.values_at(provider, OWNER) == {"one"}
    assert work(job(), provider) == {0: None, 1: None}
    assert sorted(provider.records) == [(OWNER, "one"), (OWNER, "two"), (f"other.{ZONE}", "two")]


def test_values_that_a_provider_takes_away_from_others_are_put_back_and_told() -> None:
    provider = DeletesAll(["one", "other", "another"])
    told = work(job(action="remove", zones={ZONE: [(0, OWNER, "one")]}), provider)
    assert told == {0: {"kind": "others", "text": ""}}
    assert provider.values == ["another", "other"]


def test_a_provider_with_room_for_one_value_cannot_put_back_what_it_replaced() -> None:
    told = work(job(zones={ZONE: [(0, OWNER, "one")]}), HasRoomForOne(["other", "another"]))
    assert told == {0: {"kind": "others", "text": "1 of 2"}}


def test_a_value_that_stays_although_it_was_removed_is_told() -> None:
    told = work(job(action="remove", zones={ZONE: [(0, OWNER, "one")]}), ForgetsToDelete(["one"]))
    assert told == {0: {"kind": "kept", "text": ""}}


def test_a_provider_that_cannot_list_its_records_changes_them_all_the_same() -> None:
    provider = CannotList(["other"])
    assert work(job(), provider) == {0: None, 1: None}
    assert work(job(action="remove"), provider) == {0: None, 1: None}
    assert provider.values == ["other"]


def test_a_provider_that_says_no_has_refused() -> None:
    with pytest.raises(NotDone) as caught:
        lexicon_records.publish(SaysNo(), OWNER, "one")
    assert lexicon_failures.failure_of(caught.value, ()) == {"kind": "refused", "text": ""}


def test_trouble_of_a_server_is_waited_for_and_what_was_remembered_is_forgotten() -> None:
    good = Memory()
    assert work(job(), raising(refusal(503)), raising(refusal(429)), good) == {0: None, 1: None}
    assert good.values == ["one", "two"]


def test_after_trouble_amid_a_change_the_provider_is_opened_anew() -> None:
    """PowerDNS's goes on with the zone as it was before a change that failed, and would undo what others did since."""

    class Stale(Memory):
        def create_record(self, rtype: str, name: str, content: str) -> bool:
            del rtype, name, content
            raise refusal(500)

    good = Memory()
    assert work(job(), Stale(), good) == {0: None, 1: None}
    assert good.values == ["one", "two"]


def test_refused_credentials_are_not_tried_for_every_record() -> None:
    closed = Closed(AuthenticationError("no zone found"))
    told = work(job(), closed)
    refused = {"kind": "credentials", "text": "AuthenticationError: no zone found", "is_untouched": True}
    assert told == {0: refused, 1: refused}
    assert closed.asked == 1


def kinds(told: Mapping[int, lexicon_failures.Failure | None]) -> list[tuple[str, bool]]:
    return [(failure["kind"], "is_untouched" in failure) for failure in told.values() if failure]


def test_a_zone_whose_server_has_had_too_many_requests_is_asked_once_more_and_no_further() -> None:
    limited = Refusing(refusal(429))
    assert kinds(work(job(), limited)) == [("limited", True), ("limited", True)]
    assert limited.asked == 2


def test_a_server_that_asks_to_wait_for_longer_than_a_run_is_not_asked_again() -> None:
    closed = Closed(refusal(429, after="3600"))
    assert kinds(work(job(), closed)) == [("limited", True), ("limited", True)]
    assert closed.asked == 1


def test_a_server_that_asks_for_a_short_wait_gets_it() -> None:
    good = Memory()
    assert work(job(), raising(refusal(429, after="1")), good) == {0: None, 1: None}


def test_credentials_that_may_not_look_are_not_tried_for_every_record() -> None:
    forbidden = Refusing(refusal(403))
    assert kinds(work(job(), forbidden)) == [("credentials", True), ("credentials", True)]
    assert forbidden.asked == 1


def test_what_failed_amid_a_change_may_have_been_done_whatever_fails_after_it() -> None:
    class Torn(Memory):
        def create_record(self, rtype: str, name: str, content: str) -> bool:
            super().create_record(rtype, name, content)
            raise refusal(500)

    one = job(zones={ZONE: [(0, OWNER, "one")]})
    assert kinds(work(one, Torn(), raising(refusal(403)))) == [("credentials", False)]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refusal(401), "credentials"),
        (refusal(403), "credentials"),
        (refusal(404), "error"),
        (refusal(500), "trouble"),
        (refusal(429), "limited"),
        (requests.ConnectionError("no route"), "unreachable"),
        (requests.ReadTimeout("too long"), "unreachable"),
        (urllib.error.URLError("no name"), "unreachable"),
        (KeyError("s3cret"), "error"),
        (SystemExit(2), "error"),
    ],
)
def test_whatever_is_raised_is_told_by_kind_and_without_secrets(error: BaseException, kind: str) -> None:
    failure = lexicon_failures.failure_of(error, ["s3cret"])
    assert failure["kind"] == kind
    assert failure["text"].startswith(type(error).__name__)
    assert "s3cret" not in failure["text"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"error": "no zone for s3cret"}', ': {"error": "no zone for ..."}'),
        ("<html>404</html>", ""),
        ("x" * 401, ""),
        ("404", ""),
    ],
)
def test_a_servers_short_reason_is_told_and_pages_are_not(body: str, words: str) -> None:
    response = requests.Response()
    response.status_code, response._content = 404, body.encode()
    failure = lexicon_failures.failure_of(requests.HTTPError("404", response=response), ["s3cret"], is_opening=True)
    assert failure == {"kind": "credentials", "text": f"HTTPError: 404{words}"}


@pytest.mark.parametrize(
    "text",
    [
        "for url: https://api.test/zones?token=p%C3%A4ss/w%20rd+x",
        "{'key': 'päss/w rd+x'}",
        '{"key": "p\\u00e4ss/w rd+x"}',
        "Authorization: cMOkc3MvdyByZCt4",
        "p%C3%A4ss%2Fw+rd%2Bx p%C3%A4ss%2Fw%20rd%2Bx p%C3%A4ss/w%20rd%2Bx",
    ],
)
def test_a_secret_is_redacted_in_every_form_that_it_has_on_its_way(text: str) -> None:
    said = lexicon_failures.redacted(text, ["päss/w rd+x", ""])
    assert "rd" not in said
    assert "cMOkc3" not in said
    assert "..." in said


def test_a_line_of_a_key_is_redacted_as_well() -> None:
    assert lexicon_failures.redacted("line 2: MIGHAgEAMBMG", ["-----BEGIN\nMIGHAgEAMBMG\n}\n"]) == "line 2: ..."


def test_a_zone_that_hangs_is_given_up_and_the_others_are_done() -> None:
    released = threading.Event()

    class Hangs(Memory):
        def create_record(self, rtype: str, name: str, content: str) -> bool:
            released.wait(60)
            return super().create_record(rtype, name, content)

    hanging, good = Hangs(), Memory(owner="b.test")
    zones = {"a.test": [(0, "x.a.test", "one"), (1, "x.a.test", "two")], "b.test": [(2, "x.b.test", "three")]}
    providers: Mapping[str, Memory] = {"a.test": hanging, "b.test": good}
    told = dict[int, lexicon_failures.Failure | None]()
    try:
        lexicon_worker.work(
            job(zones=zones, timeout=0.5),
            told.__setitem__,
            is_orphan=lambda: False,
            opening=lambda _, zone: providers[zone],
        )
    finally:
        released.set()
    late = {"kind": "timeout", "text": ""}
    assert told == {0: late, 1: {**late, "is_untouched": True}, 2: None}
    assert good.values == ["three"]


@pytest.mark.parametrize("is_orphan", [False, True])
def test_values_of_others_are_put_back_after_the_time_is_over_and_when_the_parent_is_gone(*, is_orphan: bool) -> None:
    replaced, given_up = threading.Event(), threading.Event()

    class Replaces(Memory):
        """It takes others' values away at first, and is slow."""

        def create_record(self, rtype: str, name: str, content: str) -> bool:
            if not replaced.is_set():
                self.records = []
                replaced.set()
                given_up.wait(20)
            else:
                threading.Event().wait(0.3)  # a moment in which a process that ended at once would be gone
            return super().create_record(rtype, name, content)

    provider, told = Replaces(["other"]), dict[int, lexicon_failures.Failure | None]()

    def tell(index: int, failure: lexicon_failures.Failure | None) -> None:
        told[index] = failure
        given_up.set()

    def is_gone() -> bool:
        if is_orphan and replaced.is_set():
            given_up.set()
        return is_orphan and replaced.is_set()

    timeout = 20 if is_orphan else 0.5
    zones = {ZONE: [(0, OWNER, "one")]}
    lexicon_worker.work(job(zones=zones, timeout=timeout), tell, is_orphan=is_gone, opening=lambda *_: provider)
    assert provider.values == ["one", "other"]
    assert [failure and failure["kind"] for failure in told.values()] == ([] if is_orphan else ["timeout"])


def test_nothing_is_begun_once_the_parent_is_gone() -> None:
    opened = list[str]()

    def opening(_: Job, zone: str) -> Provider:
        opened.append(zone)
        return Memory()

    lexicon_worker.work(job(), lambda *_: None, is_orphan=lambda: True, opening=opening)
    assert opened == []
