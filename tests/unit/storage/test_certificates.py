from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from acmectl import keys
from acmectl.errors import KeyMaterialError, StorageError
from acmectl.model.certificates import KeyType
from acmectl.model.names import Identifier
from acmectl.storage.certificates import PARTS, Certificates, Draft
from acmectl.storage.memory import Memory
from acmectl.storage.state import StateDirectory
from tests.unit.storage.certificate_maker import make_chain, make_leaf


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path / "state")


@pytest.fixture
def certificates(state: StateDirectory) -> Certificates:
    return state.certificates


def begin(certificates: Certificates, label: str = "mail") -> tuple[Draft, bytes]:
    key = keys.generate(KeyType.ECDSA_P256)
    return certificates.begin(label, keys.to_pem(key)), make_chain(key)


def issue(certificates: Certificates, label: str = "mail") -> int:
    draft, chain = begin(certificates, label)
    certificates.complete(draft, chain)
    certificates.switch(label, draft.generation)
    return draft.generation


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_certificate_is_begun_completed_and_switched_to(certificates: Certificates) -> None:
    draft, chain = begin(certificates)
    assert certificates.current("mail") is None
    assert certificates.generations("mail") == ()
    installed = certificates.complete(draft, chain)
    assert certificates.current("mail") is None, "complete is not yet in use"
    assert certificates.generations("mail") == (1,)
    certificates.switch("mail", 1)
    assert certificates.current("mail") == installed
    assert certificates.damage("mail", deep=True) is None
    assert (installed.label, installed.generation, installed.serial) == ("mail", 1, "abc")
    assert installed.names == {Identifier("mail.example.com")}


def test_the_files_of_a_generation_are_what_servers_expect(certificates: Certificates) -> None:
    draft, chain = begin(certificates)
    certificates.complete(draft, chain)
    certificates.switch("mail", 1)
    current = certificates.current_directory("mail")
    assert current.is_symlink()
    assert str(current.readlink()) == "1"
    assert sorted(path.name for path in current.iterdir()) == sorted(PARTS)
    content = {name: (current / name).read_bytes() for name in PARTS}
    assert content["fullchain.pem"] == chain == content["cert.pem"] + content["chain.pem"]
    assert content["privkey.pem"] == draft.key_pem
    assert content["cert.pem"].count(b"BEGIN") == 1


def test_keys_and_the_folders_around_them_are_private(certificates: Certificates, state: StateDirectory) -> None:
    issue(certificates)
    folder = certificates.generation_directory("mail", 1)
    for directory in (folder, folder.parent, folder.parent.parent, state.path):
        assert mode_of(directory) == 0o700
    assert {path.name: mode_of(path) for path in folder.iterdir()} == {
        "privkey.pem": 0o600,
        "cert.pem": 0o644,
        "chain.pem": 0o644,
        "fullchain.pem": 0o644,
    }


def test_the_key_of_a_draft_is_on_disk_and_shows_in_no_repr(certificates: Certificates) -> None:
    draft, _ = begin(certificates)
    assert (draft.directory / "privkey.pem").read_bytes() == draft.key_pem
    assert "PRIVATE" not in repr(draft)
    assert certificates.draft("mail", draft.generation) == draft


def test_the_certificate_of_another_key_is_refused_and_the_draft_stays_one(certificates: Certificates) -> None:
    draft, _ = begin(certificates)
    with pytest.raises(KeyMaterialError, match="for another key than ours") as raised:
        certificates.complete(draft, make_chain(keys.generate(KeyType.ECDSA_P256)))
    assert "serial abc" in raised.value.message
    assert certificates.draft("mail", draft.generation) == draft
    assert [path.name for path in draft.directory.iterdir()] == ["privkey.pem"]


@pytest.mark.parametrize("chain", [b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_chain_is_refused_and_the_draft_stays_one(certificates: Certificates, chain: bytes) -> None:
    draft, _ = begin(certificates)
    with pytest.raises(KeyMaterialError):
        certificates.complete(draft, chain)
    assert certificates.draft("mail", draft.generation) == draft


def test_a_key_that_a_ca_sends_along_is_not_written(certificates: Certificates) -> None:
    draft, chain = begin(certificates)
    certificates.complete(draft, keys.to_pem(keys.generate(KeyType.ECDSA_P256)) + chain)
    assert (draft.directory / "fullchain.pem").read_bytes() == chain


def test_a_chain_of_one_certificate_is_complete(certificates: Certificates) -> None:
    key = keys.generate(KeyType.ECDSA_P256)
    draft = certificates.begin("mail", keys.to_pem(key))
    certificates.complete(draft, make_leaf(key))
    certificates.switch("mail", draft.generation)
    assert certificates.damage("mail") is None
    assert (draft.directory / "chain.pem").read_bytes() == b""


def test_a_completed_draft_is_no_draft_any_more(certificates: Certificates) -> None:
    draft, chain = begin(certificates)
    certificates.complete(draft, chain)
    assert certificates.draft("mail", draft.generation) is None
    assert certificates.draft("mail", 99) is None
    with pytest.raises(StorageError, match="is no draft: it has a certificate"):
        certificates.drop(draft)


def test_a_draft_whose_key_is_spoiled_is_no_draft(certificates: Certificates) -> None:
    draft, _ = begin(certificates)
    (draft.directory / "privkey.pem").write_bytes(draft.key_pem[:50])
    assert certificates.draft("mail", draft.generation) is None


def test_a_dropped_draft_is_gone_with_its_key(certificates: Certificates) -> None:
    draft, _ = begin(certificates)
    certificates.drop(draft)
    certificates.drop(draft)
    assert not draft.directory.exists()
    assert list(draft.directory.parent.iterdir()) == []


def test_a_new_draft_never_takes_a_number_that_is_in_use(certificates: Certificates) -> None:
    assert [issue(certificates), issue(certificates)] == [1, 2]
    draft, _ = begin(certificates)
    assert (draft.generation, begin(certificates)[0].generation) == (3, 4)
    for name in PARTS:
        (certificates.generation_directory("mail", 2) / name).unlink()
    certificates.generation_directory("mail", 2).rmdir()
    certificates.drop(draft)
    assert begin(certificates)[0].generation == 5


def test_the_number_of_a_vanished_current_generation_is_not_taken_again(certificates: Certificates) -> None:
    issue(certificates)
    certificates.generation_directory("mail", 1).rename(certificates.generation_directory("mail", 1).with_name("moved"))
    assert begin(certificates)[0].generation == 2


def test_labels_are_those_of_all_certificates(certificates: Certificates) -> None:
    issue(certificates, "xmpp")
    begin(certificates, "mail")
    assert certificates.labels() == ("mail", "xmpp")
    assert certificates.generations("xmpp") == (1,)
    assert certificates.generations("unknown") == ()


PUT = [Path.touch, lambda path: path.symlink_to(path.name), lambda path: path.symlink_to("nowhere")]
NAMES = ["file", "link to itself", "dangling link"]


@pytest.mark.parametrize("put", PUT, ids=NAMES)
def test_what_is_no_folder_is_named_and_in_nobodys_way(
    certificates: Certificates, state: StateDirectory, put: Callable[[Path], None]
) -> None:
    issue(certificates)
    stray = state.path / "certificates" / "old"
    put(stray)
    (stray.parent / "x y").touch()
    (stray.parent / "elsewhere").symlink_to("mail")
    assert certificates.labels() == ("elsewhere", "mail", "old")
    assert (certificates.current("old"), certificates.generations("old")) == (None, ())
    assert certificates.damage("old") == f"`{stray}` is no folder"
    with pytest.raises(StorageError, match="in the way"):
        begin(certificates, "old")
    certificates.remove("old")
    assert certificates.labels() == ("elsewhere", "mail")


@pytest.mark.parametrize("put", PUT, ids=NAMES)
def test_a_generation_that_is_no_folder_is_damage_and_pruned(
    certificates: Certificates, put: Callable[[Path], None]
) -> None:
    issue(certificates)
    directory = certificates.generation_directory("mail", 1)
    shutil.rmtree(directory)
    put(directory)
    assert (certificates.damage("mail"), certificates.generations("mail")) == (f"`{directory}` is no folder", ())
    assert issue(certificates) == 2
    assert (certificates.prune("mail", 1), certificates.generations("mail")) == ((1,), (2,))
    assert not os.path.lexists(directory)


def test_a_file_that_is_a_link_to_itself_is_damage(certificates: Certificates) -> None:
    issue(certificates)
    path = certificates.current_directory("mail") / "fullchain.pem"
    path.unlink()
    path.symlink_to(path.name)
    damage = certificates.damage("mail")
    assert damage == f"`{certificates.generation_directory('mail', 1)}/fullchain.pem` is a link that leads to itself"


@pytest.mark.parametrize("label", ["", "..", "../x", "a/b", ".hidden", "a\0"])
def test_a_label_that_is_no_folder_name_is_refused(certificates: Certificates, label: str) -> None:
    with pytest.raises(StorageError, match="cannot be the name of a certificate"):
        certificates.begin(label, b"")
    with pytest.raises(StorageError, match="cannot be the name of a certificate"):
        certificates.current(label)


def test_switching_back_is_a_rollback(certificates: Certificates) -> None:
    issue(certificates)
    issue(certificates)
    certificates.switch("mail", 1)
    current = certificates.current("mail")
    assert current is not None
    assert current.generation == 1
    assert certificates.generations("mail") == (1, 2)


def test_a_draft_cannot_be_switched_to(certificates: Certificates) -> None:
    issue(certificates)
    begin(certificates)
    for generation in (2, 3):
        with pytest.raises(StorageError, match=f"generation {generation} of `mail` cannot be used: .* is missing"):
            certificates.switch("mail", generation)
    assert str(certificates.current_directory("mail").readlink()) == "1"


def test_a_folder_in_the_place_of_current_is_never_overwritten(certificates: Certificates) -> None:
    draft, chain = begin(certificates)
    certificates.complete(draft, chain)
    link = certificates.current_directory("mail")
    link.mkdir()
    (link / "precious").touch()
    with pytest.raises(StorageError, match="where the link to the generation in use belongs") as raised:
        certificates.switch("mail", 1)
    assert f"`mv {link} {link}.away`" in str(raised.value.hint)
    assert (link / "precious").exists()
    assert certificates.damage("mail") == f"`{link}` is no link to a generation"
    assert certificates.current("mail") is None
    assert sorted(path.name for path in link.parent.iterdir()) == ["1", "current"]


@pytest.mark.parametrize("name", PARTS)
def test_a_missing_file_is_damage(certificates: Certificates, name: str) -> None:
    issue(certificates)
    path = certificates.generation_directory("mail", 1) / name
    path.unlink()
    assert certificates.damage("mail") == f"`{path}` is missing"
    assert certificates.current("mail") is None


@pytest.mark.parametrize("name", ["privkey.pem", "cert.pem", "fullchain.pem"])
def test_an_empty_file_is_damage(certificates: Certificates, name: str) -> None:
    issue(certificates)
    path = certificates.generation_directory("mail", 1) / name
    path.write_bytes(b"")
    assert certificates.damage("mail") == f"`{path}` is empty"


def test_a_link_to_nowhere_is_damage(certificates: Certificates) -> None:
    issue(certificates)
    link = certificates.current_directory("mail")
    for target, said in (("99", "99/privkey.pem` is missing"), ("../x", "is no link to a generation")):
        link.unlink()
        link.symlink_to(target)
        assert said in str(certificates.damage("mail"))
        assert certificates.current("mail") is None


def test_a_key_that_was_replaced_by_hand_is_damage(certificates: Certificates) -> None:
    issue(certificates)
    directory = certificates.generation_directory("mail", 1)
    (directory / "privkey.pem").write_bytes(keys.to_pem(keys.generate(KeyType.ECDSA_P256)))
    assert certificates.damage("mail") == f"key and certificate in `{directory}` do not belong together"


def test_a_full_chain_of_another_certificate_is_damage(certificates: Certificates) -> None:
    issue(certificates)
    directory = certificates.generation_directory("mail", 1)
    (directory / "fullchain.pem").write_bytes(make_chain(keys.generate(KeyType.ECDSA_P256)))
    assert certificates.damage("mail") == not_together(directory)


def not_together(directory: Path) -> str:
    path = directory / "fullchain.pem"
    return f"`{path}` is not `cert.pem` and `chain.pem` together: one of them is damaged"


@pytest.mark.parametrize("lost", [1, 100, 400], ids=["the_last_byte", "a_part", "more"])
def test_a_full_chain_that_was_cut_is_damage(certificates: Certificates, lost: int) -> None:
    issue(certificates)
    directory = certificates.generation_directory("mail", 1)
    path = directory / "fullchain.pem"
    path.write_bytes(path.read_bytes()[:-lost])
    assert certificates.damage("mail") == not_together(directory)
    assert certificates.current("mail") is None


def test_a_full_chain_without_intermediates_is_damage(certificates: Certificates) -> None:
    issue(certificates)
    directory = certificates.generation_directory("mail", 1)
    (directory / "fullchain.pem").write_bytes((directory / "cert.pem").read_bytes())
    assert certificates.damage("mail") == not_together(directory)


@pytest.mark.parametrize("chain", [b"", b"garbage"])
def test_a_chain_that_is_not_the_one_of_the_full_chain_is_damage(certificates: Certificates, chain: bytes) -> None:
    issue(certificates)
    directory = certificates.generation_directory("mail", 1)
    (directory / "chain.pem").write_bytes(chain)
    assert certificates.damage("mail") == not_together(directory)


def test_garbage_in_a_file_is_damage(certificates: Certificates) -> None:
    issue(certificates)
    path = certificates.generation_directory("mail", 1) / "cert.pem"
    path.write_bytes(b"garbage")
    assert certificates.damage("mail") == f"`{path}` holds no certificate in PEM form, or is damaged"


def test_a_change_that_keeps_size_and_time_is_found_by_a_deep_look(certificates: Certificates) -> None:
    issue(certificates)
    path = certificates.generation_directory("mail", 1) / "cert.pem"
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert certificates.damage("mail") is None
    assert certificates.damage("mail", deep=True)


def test_without_the_database_everything_is_parsed_again(state: StateDirectory) -> None:
    issue(state.certificates)
    before = state.certificates.current("mail")
    state.close()
    (state.path / "state.db").unlink()
    again = StateDirectory(state.path)
    assert again.certificates.current("mail") == before
    again.close()


def test_a_damaged_database_is_an_error_and_no_damage_of_the_certificate(state: StateDirectory) -> None:
    issue(state.certificates)
    state.close()
    (state.path / "state.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(StorageError, match="is damaged"):
        Certificates(state.path / "certificates", Memory(state.path / "state.db")).current("mail")


def test_pruning_keeps_the_newest_and_the_one_in_use_and_the_one_before(certificates: Certificates) -> None:
    for _ in range(6):
        issue(certificates)
    certificates.switch("mail", 3)
    assert certificates.prune("mail", 2) == (1, 4)
    assert certificates.generations("mail") == (2, 3, 5, 6)
    assert certificates.prune("mail", 2) == ()
    assert certificates.prune("mail", 0) == (5,)


def test_pruning_keeps_a_draft_that_is_newer_than_the_one_in_use(certificates: Certificates) -> None:
    begin(certificates)
    issue(certificates)
    draft, _ = begin(certificates)
    assert certificates.prune("mail", 2) == (1,)
    assert certificates.draft("mail", draft.generation) == draft


def test_nothing_is_pruned_while_nothing_is_in_use(certificates: Certificates) -> None:
    draft, _ = begin(certificates)
    assert certificates.prune("mail", 1) == ()
    assert certificates.prune("unknown", 1) == ()
    assert certificates.draft("mail", draft.generation) == draft


def test_what_killed_runs_left_is_no_generation_and_is_swept(certificates: Certificates) -> None:
    issue(certificates)
    folder = certificates.generation_directory("mail", 1).parent
    (folder / ".2.01234567.tmp").mkdir()
    (folder / ".2.01234567.tmp" / "privkey.pem").write_bytes(b"key")
    (folder / ".current.01234567.tmp").symlink_to("1")
    (folder / "1" / ".cert.pem.01234567.tmp").write_bytes(b"half")
    assert certificates.generations("mail") == (1,)
    assert certificates.labels() == ("mail",)
    draft, _ = begin(certificates)
    assert draft.generation == 2
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2", "current"]
