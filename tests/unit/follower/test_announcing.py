"""Which keys are printed for the zone: whoever copies the lines publishes these, and no others any more."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl import keys
from acmectl.deploy.tlsa.options import TlsaOptions
from acmectl.deploy.tlsa.publisher import Publisher
from acmectl.follower import Wish
from acmectl.follower.announcing import announced
from acmectl.model.certificates import CertificateSpec, KeyType
from acmectl.model.names import Identifier
from acmectl.model.tlsa import Publication, PublishedKeys
from acmectl.storage.state import StateDirectory

NAME = Identifier.parse("mail.example.org")
SPEC = CertificateSpec("mail", frozenset({NAME}), "default", None, KeyType.ECDSA_P256, prepare_key=True, pinned=True)
OWNER = "_25._tcp.mail.example.org"
FORMER = base64.b64encode(bytes(32)).decode("ascii")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDirectory]:
    with closing(StateDirectory(tmp_path / "state")) as state, state.locked():
        state.certificates.keys.prepare("mail", keys.to_pem(keys.generate(KeyType.ECDSA_P256)))
        yield state


def roles(state: StateDirectory, *publications: Publication) -> list[str]:
    state.certificates.keys.published.save("mail", PublishedKeys(publications))
    publisher = Publisher(TlsaOptions.model_validate({"records": ["mail.example.org:25"]}))
    return [one.role for one in announced(state.certificates, state.memory, {"mail": publisher}, [Wish(SPEC, ())], NOW)]


def test_a_former_key_is_printed_as_long_as_a_target_may_serve_it_whoever_published_it(state: StateDirectory) -> None:
    assert roles(state, Publication(OWNER, FORMER, seen_at=NOW)) == ["next", "former"]
    assert roles(state, Publication(OWNER, FORMER, seen_at=NOW, retired_at=NOW)) == ["next"]


def test_a_former_key_that_we_published_is_printed_as_long_as_resolvers_may_need_it(state: StateDirectory) -> None:
    def printed(since: timedelta) -> list[str]:
        hour = timedelta(hours=1)
        return roles(state, Publication(OWNER, FORMER, is_ours=True, lives_for=hour, retired_at=NOW - since))

    assert printed(timedelta(hours=1)) == ["next", "former"]
    assert printed(timedelta(hours=2)) == ["next"]


def test_records_of_services_that_are_not_listed_any_more_are_not_printed(state: StateDirectory) -> None:
    assert roles(state, Publication("_465._tcp.mail.example.org", FORMER, is_ours=True)) == ["next"]
