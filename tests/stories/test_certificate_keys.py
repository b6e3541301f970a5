"""Keys of certificates, through whole runs of a follower: both kinds, kept, made ahead, a person's own, placed, compromised."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from acmectl import keys
from acmectl.follower import CertificateResult, Failed, Issued, Waiting
from acmectl.model.certificates import Installed, KeyType
from acmectl.model.memory import RememberedOrder
from acmectl.policy.renewal import NotDue
from acmectl.storage.certificates import Certificates
from tests.stories.world import DAY, HOUR, MINUTE, Host, World

NAME = "xmpp.keys.test"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        world.master(NAME, "other.keys.test").run()
        yield world


def follower(world: World, *options: str, name: str = NAME, label: str = "xmpp") -> Host:
    wanted = ", ".join([f"names: [{name}]", *options, "deploy: [{type: files, directory: tls}]"])
    return world.host(label, f"certificates: {{{label}: {{{wanted}}}}}\n")


def certificates(host: Host) -> Certificates:
    return host.app().state.certificates


def current(host: Host, label: str = "xmpp") -> Installed:
    found = certificates(host).current(label)
    assert found is not None
    return found


def run(host: Host, *, forced: bool = False, at_once: bool = False) -> dict[str, CertificateResult]:
    """A follower's run, by label."""
    app = host.app()
    try:
        with app.state.locked():
            report = app.follower().run(app.wishes(), forced=forced, at_once=at_once)
    finally:
        app.state.close()
    return {result.label: result for result in report.results}


def issued(host: Host, label: str = "xmpp", *, forced: bool = False) -> Installed:
    """What a run issued."""
    outcome = run(host, forced=forced)[label].outcome
    assert isinstance(outcome, Issued), outcome
    return outcome.installed


def pair(directory: Path, suffix: str = "") -> KeyType | None:
    """The type of the deployed key, which belongs to the deployed chain."""
    key = keys.from_pem((directory / f"privkey{suffix}.pem").read_bytes(), what="the key")
    assert keys.matches(key, (directory / f"fullchain{suffix}.pem").read_bytes())
    return keys.key_type_of(key)


def requests(world: World) -> int:
    return sum(world.sandbox.counts.by_kind().values())


def write_key(path: Path, key_type: KeyType = KeyType.ECDSA_P256) -> str:
    """A person's key; returns its pin."""
    key = keys.generate(key_type)
    path.write_bytes(keys.to_pem(key))
    path.chmod(0o600)
    return keys.pin(key)


def test_a_certificate_without_common_name_is_issued_deployed_and_not_due(tmp_path: Path) -> None:
    """Those of the short profiles have none, so nothing may depend on one."""
    from cryptography import x509

    with World(tmp_path, profile="shortlived") as world:
        world.master(NAME).run()
        host = follower(world)
        issued(host)
        leaf = x509.load_pem_x509_certificate((host.path.parent / "tls" / "cert.pem").read_bytes())
        assert not list(leaf.subject)
        assert pair(host.path.parent / "tls") is KeyType.ECDSA_P256
        result = run(host)["xmpp"]
        assert isinstance(result.outcome, NotDue)
        assert (result.outcome.at - world.now) < 4 * DAY


# -- both kinds


def test_two_kinds_are_issued_in_one_run_and_deployed_side_by_side(world: World) -> None:
    host = follower(world, "key: [ecdsa-p384, rsa-2048]")
    results = run(host)
    assert set(results) == {"xmpp", "xmpp+rsa-2048"}
    assert all(isinstance(result.outcome, Issued) for result in results.values())
    tls = host.path.parent / "tls"
    assert (pair(tls), pair(tls, "-rsa")) == (KeyType.ECDSA_P384, KeyType.RSA_2048)
    assert current(host).spki != current(host, "xmpp+rsa-2048").spki
    before = requests(world)
    again = run(host)
    assert all(isinstance(result.outcome, NotDue) for result in again.values())
    assert requests(world) == before


def test_two_kinds_that_wait_ask_for_the_one_order_once(world: World) -> None:
    host = follower(world, "key: [ecdsa-p256, rsa-2048]", name="late.keys.test")
    orders = world.sandbox.counts["newOrder"]
    for pause, expected in [(0 * MINUTE, 1), (MINUTE / 2, 1), (10 * MINUTE, 2)]:
        world.clock.advance(pause)
        assert [type(r.outcome) for r in run(host).values()] == [Waiting, Waiting]
        assert world.sandbox.counts["newOrder"] == orders + expected
        assert host.app().memory.follower_order("xmpp+rsa-2048") is None
    world.master("late.keys.test", name="second").run()
    world.clock.advance(HOUR)
    assert all(isinstance(result.outcome, Issued) for result in run(host).values())
    assert world.sandbox.counts["deactivate"] <= 1


def test_a_kind_that_is_added_later_leaves_the_first_alone(world: World) -> None:
    host = follower(world)
    first = issued(host)
    host.rewrite(lambda text: text.replace("names:", "key: [ecdsa-p256, rsa-2048], names:"))
    assert issued(host, "xmpp+rsa-2048").key_type is KeyType.RSA_2048
    assert current(host) == first


# -- kept, and made ahead


def test_a_key_is_kept_where_it_shall_be_and_new_otherwise(world: World) -> None:
    kept, fresh = follower(world, "reuse_key: true"), follower(world, label="fresh")
    first, other = issued(kept), issued(fresh, "fresh")
    assert issued(kept, forced=True).spki == first.spki
    assert issued(fresh, "fresh", forced=True).spki != other.spki
    kept.rewrite(lambda text: text.replace("reuse_key: true", "key: ecdsa-p384, reuse_key: true"))
    assert issued(kept).key_type is KeyType.ECDSA_P384, "another type cannot be the same key"


def test_a_key_is_kept_although_the_certificate_beside_it_is_damaged(world: World) -> None:
    host = follower(world, "reuse_key: true")
    first = issued(host)
    (certificates(host).current_directory("xmpp") / "fullchain.pem").unlink()
    assert issued(host).spki == first.spki


def test_the_next_key_is_made_ahead_and_used_at_the_next_change(world: World) -> None:
    host = follower(world, "prepare_key: true")
    issued(host)
    for _ in range(3):
        announced = certificates(host).keys.next_pin("xmpp")
        assert announced is not None
        assert announced != current(host).spki
        assert issued(host, forced=True).spki == announced
    assert pair(host.path.parent / "tls") is KeyType.ECDSA_P256


def test_a_next_key_that_is_lost_is_made_again_by_a_run_with_nothing_due(world: World) -> None:
    host = follower(world, "prepare_key: true")
    issued(host)
    path = certificates(host).keys.path("xmpp", "next-key.pem")
    path.unlink()
    before = requests(world)
    assert isinstance(run(host)["xmpp"].outcome, NotDue)
    assert (path.stat().st_mode & 0o777, requests(world)) == (0o600, before)


def test_a_compromised_key_is_never_used_again(world: World) -> None:
    host = follower(world, "reuse_key: true, prepare_key: true")
    first = issued(host)
    announced = certificates(host).keys.next_pin("xmpp")
    assert issued(host, forced=True).spki == first.spki
    certificates(host).keys.distrust(first.spki)
    assert issued(host, forced=True).spki == announced


# -- a person's own


def test_a_key_file_is_used_as_it_is_and_when_it_is_replaced_the_next_run_issues_anew(world: World) -> None:
    host = follower(world, "key_file: own.key")
    pin = write_key(host.path.parent / "own.key", KeyType.RSA_3072)
    assert issued(host).spki == pin
    assert pair(host.path.parent / "tls") is KeyType.RSA_3072
    assert isinstance(run(host)["xmpp"].outcome, NotDue)
    assert issued(host, forced=True).spki == pin
    second = write_key(host.path.parent / "own.key")
    result = run(host)["xmpp"]
    assert result.due == f"the key was replaced: `{host.path.parent / 'own.key'}`"
    assert current(host).spki == second


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (None, 0, "cannot read"),
        (b"hunter2", 0o600, "is no private key in PEM form"),
        (keys.to_pem(keys.generate(KeyType.ECDSA_P256)), 0o644, "can be read or written by others"),
    ],
    ids=["missing", "garbage", "open to others"],
)
def test_a_key_file_that_cannot_be_used_fails_its_certificate_alone(
    world: World, content: bytes | None, mode: int, reason: str
) -> None:
    host = follower(world, "key_file: own.key")
    host.rewrite(lambda text: text.replace("certificates: {", "certificates: {other: {names: [other.keys.test]}, "))
    if content is not None:
        (host.path.parent / "own.key").write_bytes(content)
        (host.path.parent / "own.key").chmod(mode)
    results = run(host)
    assert isinstance(results["other"].outcome, Issued)
    failed = results["xmpp"].outcome
    assert isinstance(failed, Failed)
    assert reason in failed.reason
    assert "hunter2" not in failed.reason
    app = host.app()
    assert app.follower().status(app.wishes(["xmpp"])[0]).key_error is not None
    write_key(host.path.parent / "own.key")
    assert isinstance(run(host)["xmpp"].outcome, Issued), "mended, it is tried at once"


def openssl(directory: Path, *argv: str) -> None:
    subprocess.run(["openssl", *argv], cwd=directory, check=True, capture_output=True)


def write_csr(directory: Path, *names: str) -> None:
    """As the README says; the key goes elsewhere."""
    sans = ",".join(f"DNS:{name}" for name in names)
    openssl(directory, "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "elsewhere.key")
    openssl(
        directory, "req", "-new", "-key", "elsewhere.key", "-subj", "/", "-addext", f"subjectAltName={sans}",
        "-out", "own.csr",
    )  # fmt: skip


def test_a_csr_is_issued_for_and_no_key_is_anywhere(world: World) -> None:
    host = follower(world, "csr_file: own.csr")
    folder = host.path.parent
    write_csr(folder, NAME)
    new = issued(host)
    assert not new.has_key
    assert not list((folder / "state").rglob("privkey*"))
    assert sorted(path.name for path in (folder / "tls").iterdir()) == ["cert.pem", "chain.pem", "fullchain.pem"]
    elsewhere = keys.from_pem((folder / "elsewhere.key").read_bytes(), what="the key")
    assert keys.matches(elsewhere, (folder / "tls" / "fullchain.pem").read_bytes())
    assert isinstance(run(host)["xmpp"].outcome, NotDue)
    write_csr(folder, NAME)
    assert issued(host).spki != new.spki, "another CSR is for another key"
    host.rewrite(lambda text: text.replace("csr_file: own.csr", "key: ecdsa-p256"))
    assert issued(host).has_key
    assert pair(folder / "tls") is KeyType.ECDSA_P256


def test_the_key_of_a_csr_that_comes_to_this_host_is_deployed(world: World) -> None:
    host = follower(world, "csr_file: own.csr")
    folder = host.path.parent
    write_csr(folder, NAME)
    new = issued(host)
    (folder / "elsewhere.key").chmod(0o600)
    host.rewrite(lambda text: text.replace("csr_file: own.csr", "key_file: elsewhere.key"))
    result = run(host)["xmpp"]
    assert result.due == f"the key of its CSR is to be on this host now: `{folder / 'elsewhere.key'}`"
    assert current(host).has_key
    assert current(host).spki == new.spki
    assert pair(folder / "tls") is KeyType.ECDSA_P256
    assert isinstance(run(host)["xmpp"].outcome, NotDue)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["other.keys.test"], f"lacks {NAME} and has also other.keys.test"),
        ([NAME, "other.keys.test"], "has also other.keys.test"),
    ],
)
def test_a_csr_for_other_names_is_refused_before_anything_is_asked_of_the_ca(
    world: World, names: list[str], reason: str
) -> None:
    host = follower(world, "csr_file: own.csr")
    write_csr(host.path.parent, *names)
    before = world.sandbox.counts["newOrder"]
    failed = run(host)["xmpp"].outcome
    assert isinstance(failed, Failed)
    assert reason in failed.reason
    assert world.sandbox.counts["newOrder"] == before


# -- shared on purpose


def test_a_placed_key_is_used_at_once_and_at_every_renewal(world: World) -> None:
    host = follower(world)
    first = issued(host)
    shared = keys.generate(KeyType.ECDSA_P256)
    certificates(host).place_key("xmpp", keys.to_pem(shared))
    result = run(host)["xmpp"]
    assert (result.due or "").startswith("the key was replaced: ")
    assert (result.due or "").endswith("placed-key.pem` was placed for it")
    assert current(host).spki == keys.pin(shared) != first.spki
    assert issued(host, forced=True).spki == keys.pin(shared)
    assert isinstance(run(host)["xmpp"].outcome, NotDue)


def test_a_compromised_key_that_a_person_gives_is_refused_before_anything_is_asked_of_the_ca(world: World) -> None:
    host = follower(world, "key_file: own.key")
    pin = write_key(host.path.parent / "own.key")
    certificates(host).keys.distrust(pin)
    before = world.sandbox.counts["newOrder"]
    failed = run(host)["xmpp"].outcome
    assert isinstance(failed, Failed)
    assert "was revoked as compromised, and is never used again" in failed.reason
    assert world.sandbox.counts["newOrder"] == before


# -- when keys are made


@pytest.mark.parametrize("options", ["key: rsa-2048", "key: [ecdsa-p256, rsa-2048]", "csr_file: own.csr"])
def test_no_key_and_no_csr_is_made_for_an_order_that_is_not_ready(world: World, options: str) -> None:
    host = follower(world, options, name="late.keys.test")
    write_csr(host.path.parent, "late.keys.test")
    for _ in range(3):
        assert isinstance(run(host, at_once=True)["xmpp"].outcome, Waiting)
        assert not (host.path.parent / "state" / "certificates").exists()
        world.clock.advance(20 * MINUTE)


@pytest.mark.parametrize(
    ("changed", "kept"),
    [("", True), ("key: ecdsa-p384", False), ("key_file: own.key", False), ("csr_file: own.csr", False)],
)
def test_a_draft_whose_key_is_not_wanted_any_more_is_dropped(world: World, changed: str, *, kept: bool) -> None:
    """A run that was killed between its draft and finalize, and the configuration was changed since."""
    host = follower(world)
    draft = prepared_draft(world, host)
    write_key(host.path.parent / "own.key")
    write_csr(host.path.parent, NAME)
    host.rewrite(lambda text: text.replace("deploy:", f"{changed}, deploy:" if changed else "deploy:"))
    assert (issued(host).spki == draft) is kept
    generations = sorted(p.name for p in (host.path.parent / "state/certificates/xmpp").iterdir())
    assert generations == ["1", "current"], "the draft's number is free again"


def prepared_draft(world: World, host: Host) -> str:
    """What a run has left that was killed just before finalize: an order that is ready, and a key for it; its pin."""
    app, key = host.app(), keys.generate(KeyType.ECDSA_P256)
    spec, order = app.wishes()[0].spec, world.client().new_order(NAME, profile=world.profile)
    try:
        with app.state.locked():
            draft = app.state.certificates.begin("xmpp", keys.to_pem(key))
            app.memory.save_follower_order(
                RememberedOrder(
                    label="xmpp",
                    url=order.headers["Location"],
                    account=spec.account,
                    profile=spec.profile,
                    names=spec.names,
                    first_seen_at=world.now,
                    draft=draft.generation,
                )
            )
    finally:
        app.state.close()
    return keys.pin(key)
