"""What a certificate costs a follower whose names are all valid: a handful of requests, however many names it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from acmectl import keys
from acmectl.model.certificates import KeyType
from tests.integration.hosts import Host, certificate, shakes_hands
from tests.integration.office import authorize, by_web, hosts, office_site
from tests.servers.pebble import Pebble, running_pebble

MANY = [f"n{number}.many.test" for number in range(100)]
FEW = MANY[:5]


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with running_pebble(tmp_path_factory.mktemp("pebble"), always_valid=True, alternate_roots=2) as server:
        yield server


def asked(said: str) -> int:
    found = re.search(r"^(\d+) requests to the CA", said, flags=re.MULTILINE)
    assert found, said
    return int(found[1])


def issue(follower: Host) -> tuple[int, float]:
    """Requests, and seconds of the whole process."""
    begin = monotonic()
    done = follower.run("follower", "run")
    seconds = monotonic() - begin
    print(f"{len(follower.config['certificates']['many']['names'])} names: {asked(done.out)} requests, {seconds:.2f} s")  # noqa: T201  # figures of a run with `-s`
    return asked(done.out), seconds


def test_a_certificate_takes_at_most_seven_requests_with_five_names_and_with_a_hundred(
    tmp_path: Path, pebble: Pebble
) -> None:
    (tmp_path / "www").mkdir()
    wanted = [{"certificates": {"many": certificate(*names)}} for names in (FEW, MANY)]
    with (
        office_site(tmp_path / "www") as site,
        hosts(tmp_path, pebble, {"web": by_web(site)}, [authorize("web", *MANY)], *wanted) as made,
    ):
        made.master.run("master", "run")
        answered = pebble.challenge_posts()
        (few, _), (many, _) = (issue(follower) for follower in made.followers)
        assert few <= 7
        assert many <= 7
        assert pebble.challenge_posts() == answered
        chain = (made.followers[1].current("many") / "fullchain.pem").read_bytes()
        assert len(keys.read_chain(chain).names) == 100
        for name in (MANY[0], MANY[-1]):
            assert shakes_hands(made.followers[1].directory / "tls", name, pebble.root())


def test_the_preferred_chain_is_taken_and_a_warning_says_where_there_is_none(tmp_path: Path, pebble: Pebble) -> None:
    """Pebble's roots get random names at each start."""
    (tmp_path / "www").mkdir()
    root = common_name(pebble.root(2))
    wanted = [
        {"certificates": {"many": certificate(MANY[0], preferred_chain=preferred)}} for preferred in (root, "Nobody")
    ]
    with (
        office_site(tmp_path / "www") as site,
        hosts(tmp_path, pebble, {"web": by_web(site)}, [authorize("web", MANY[0])], *wanted) as made,
    ):
        made.master.run("master", "run")
        chosen, usual = made.followers
        assert "warning" not in chosen.run("follower", "run").err
        assert shakes_hands(chosen.directory / "tls", MANY[0], pebble.root(2))
        said = usual.run("follower", "run").err
        assert "warning: certificate `many`: the CA has no chain to `Nobody`: its usual one was taken" in said
        assert shakes_hands(usual.directory / "tls", MANY[0], pebble.root(0))
        assert not shakes_hands(usual.directory / "tls", MANY[0], pebble.root(2))


def common_name(root: bytes) -> str:
    from cryptography import x509

    subject = x509.load_pem_x509_certificate(root).subject
    return str(subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


@pytest.mark.parametrize("key", list(KeyType))
def test_every_type_of_key_is_issued_for_and_serves(tmp_path: Path, pebble: Pebble, key: KeyType) -> None:
    (tmp_path / "www").mkdir()
    wanted = {"certificates": {"many": certificate(MANY[0], key=key.value)}}
    with (
        office_site(tmp_path / "www") as site,
        hosts(tmp_path, pebble, {"web": by_web(site)}, [authorize("web", MANY[0])], wanted) as made,
    ):
        made.master.run("master", "run")
        made.followers[0].run("follower", "run")
        private = (made.followers[0].directory / "tls" / "privkey.pem").read_bytes()
        assert keys.key_type_of(keys.from_pem(private, what="the key")) is key
        assert shakes_hands(made.followers[0].directory / "tls", MANY[0], pebble.root())
