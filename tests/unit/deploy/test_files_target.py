from __future__ import annotations

import grp
import os
import pwd
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from acmectl.deploy import registry
from acmectl.deploy.files import FilesOptions
from acmectl.deploy.target import Target
from acmectl.errors import DeployError, Place
from acmectl.model.certificates import CertificateSpec, KeyType
from acmectl.options import Options, Text
from tests.unit.deploy.generations import install

PARTS = ("privkey", "cert", "chain", "fullchain")


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    directory = tmp_path / "7"
    directory.mkdir(mode=0o700)
    for part in PARTS:
        (directory / f"{part}.pem").write_bytes(f"new {part}".encode())
    return directory


def options(**given: Any) -> FilesOptions:
    return FilesOptions.model_validate(given)


def built(given: FilesOptions) -> Target:
    return registry.build("files", given)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_all_parts_are_installed_with_their_modes_into_a_new_directory(tmp_path: Path, generation: Path) -> None:
    ours = tmp_path / "etc" / "ssl"
    install(built(options(directory=str(ours))), generation)
    assert {path.name: (path.read_bytes(), mode_of(path)) for path in ours.iterdir()} == {
        "privkey.pem": (b"new privkey", 0o600),
        "cert.pem": (b"new cert", 0o644),
        "chain.pem": (b"new chain", 0o644),
        "fullchain.pem": (b"new fullchain", 0o644),
    }
    assert mode_of(ours) == 0o755


def test_only_the_named_parts_are_installed_under_their_names(tmp_path: Path, generation: Path) -> None:
    ours = tmp_path / "ssl"
    given = options(directory=str(ours), files={"privkey": "tls.key", "fullchain": "tls.crt"}, key_mode="0640")
    install(built(given), generation)
    assert {path.name: mode_of(path) for path in ours.iterdir()} == {"tls.key": 0o640, "tls.crt": 0o644}
    assert (ours / "tls.crt").read_bytes() == b"new fullchain"


def test_installing_again_replaces_the_copies_and_leaves_nothing_else(tmp_path: Path, generation: Path) -> None:
    target = built(options(directory=str(tmp_path / "ssl")))
    install(target, generation)
    (generation / "cert.pem").write_bytes(b"newer cert")
    (tmp_path / "ssl" / ".privkey.pem.01234567.tmp").write_bytes(b"left by a killed run")
    (tmp_path / "ssl" / ".other.pem.01234567.tmp").write_bytes(b"not ours")
    install(target, generation)
    assert (tmp_path / "ssl" / "cert.pem").read_bytes() == b"newer cert"
    assert sorted(path.name for path in (tmp_path / "ssl").glob(".*")) == [".other.pem.01234567.tmp"]


def test_an_existing_directory_keeps_its_mode(tmp_path: Path, generation: Path) -> None:
    (tmp_path / "ssl").mkdir(mode=0o750)
    install(built(options(directory=str(tmp_path / "ssl"))), generation)
    assert mode_of(tmp_path / "ssl") == 0o750


def test_a_link_in_the_place_of_a_copy_is_replaced_and_not_followed(tmp_path: Path, generation: Path) -> None:
    (tmp_path / "shadow").write_bytes(b"precious")
    (tmp_path / "ssl").mkdir()
    (tmp_path / "ssl" / "privkey.pem").symlink_to(tmp_path / "shadow")
    install(built(options(directory=str(tmp_path / "ssl"))), generation)
    assert (tmp_path / "shadow").read_bytes() == b"precious"
    assert (tmp_path / "ssl" / "privkey.pem").read_bytes() == b"new privkey"
    assert not (tmp_path / "ssl" / "privkey.pem").is_symlink()


def test_one_copy_that_cannot_be_written_leaves_all_old_ones(tmp_path: Path, generation: Path) -> None:
    ours = tmp_path / "ssl"
    ours.mkdir()
    (ours / "privkey.pem").write_bytes(b"old key")
    (ours / "fullchain.pem").mkdir()
    with pytest.raises(DeployError, match=r"cannot write `.*/fullchain.pem`: is a directory"):
        install(built(options(directory=str(ours))), generation)
    assert (ours / "privkey.pem").read_bytes() == b"old key"
    assert sorted(path.name for path in ours.iterdir()) == ["fullchain.pem", "privkey.pem"]


def test_a_file_in_the_place_of_the_directory_is_an_error(tmp_path: Path, generation: Path) -> None:
    (tmp_path / "ssl").touch()
    with pytest.raises(DeployError, match="a file of that name is in the way"):
        install(built(options(directory=str(tmp_path / "ssl"))), generation)


def test_a_generation_without_its_files_is_an_error_and_nothing_is_made(tmp_path: Path, generation: Path) -> None:
    (generation / "chain.pem").unlink()
    with pytest.raises(DeployError, match=r"cannot read the chain to deploy `.*/7/chain.pem`"):
        install(built(options(directory=str(tmp_path / "ssl"))), generation)
    assert not (tmp_path / "ssl").exists()


@pytest.mark.parametrize("option", ["owner", "group"])
def test_an_unknown_owner_or_group_is_named_and_nothing_is_made(tmp_path: Path, generation: Path, option: str) -> None:
    given = options(directory=str(tmp_path / "ssl"), **{option: "no-such-one"})
    with pytest.raises(DeployError) as raised:
        install(built(given), generation)
    kind = {"owner": "user", "group": "group"}[option]
    assert raised.value.message == f"there is no {kind} `no-such-one` on this host"
    assert raised.value.hint == f"correct the `{option}` of the target"
    assert not (tmp_path / "ssl").exists()


def test_our_own_user_and_group_are_found_by_name_and_by_number(tmp_path: Path, generation: Path) -> None:
    user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(os.getegid())
    for owner, of in ((user.pw_name, group.gr_name), (str(user.pw_uid), str(group.gr_gid))):
        install(built(options(directory=str(tmp_path / "ssl"), owner=owner, group=of)), generation)
        status = (tmp_path / "ssl" / "privkey.pem").stat()
        assert (status.st_uid, status.st_gid) == (user.pw_uid, group.gr_gid)


def test_another_owner_gets_the_copies_or_the_hint_says_who_could_give_them(tmp_path: Path, generation: Path) -> None:
    target = built(options(directory=str(tmp_path / "ssl"), owner="54321", group="54321"))
    if os.geteuid() == 0:
        install(target, generation)
        owners = {(path.stat().st_uid, path.stat().st_gid) for path in (tmp_path / "ssl").iterdir()}
        assert owners == {(54321, 54321)}
        return
    with pytest.raises(DeployError) as raised:
        install(target, generation)
    assert "run as the user who owns it" in str(raised.value.hint)
    assert list((tmp_path / "ssl").iterdir()) == []


def test_the_reload_belongs_to_the_target_and_is_not_run_by_installing(tmp_path: Path, generation: Path) -> None:
    given = options(directory=str(tmp_path / "ssl"), reload=["touch", str(tmp_path / "reloaded")], reload_timeout="5s")
    target = built(given)
    install(target, generation)
    assert target.reload_command == ("touch", str(tmp_path / "reloaded"))
    assert target.reload_timeout == timedelta(seconds=5)
    assert not (tmp_path / "reloaded").exists()
    assert built(options(directory="/x")).reload_command is None


def test_the_digest_tells_changed_options_from_equal_ones() -> None:
    digests = [
        built(options(**given)).digest
        for given in (
            {"directory": "/a"},
            {"directory": "/b"},
            {"directory": "/a", "key_mode": "0640"},
            {"directory": "/a", "reload": ["x"]},
            {"directory": "/a", "files": {"fullchain": "tls.crt"}},
        )
    ]
    assert len(set(digests)) == len(digests)
    assert built(options(directory="/a", key_mode="0600")).digest == digests[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "directory"),
        ({"directory": "/a", "key_mode": "0644"}, "a key must not be readable by everybody"),
        ({"directory": "/a", "key_mode": 384}, "not a file mode"),
        ({"directory": "/a", "files": {}}, "name at least one file, and each differently"),
        ({"directory": "/a", "files": {"cert": "x", "chain": "x"}}, "name at least one file, and each differently"),
        ({"directory": "/a", "files": {"cert": "../x"}}, "not a file name"),
        ({"directory": "/a", "files": {"cert": ""}}, "not a file name"),
        ({"directory": "/a", "files": {"key": "x"}}, "Extra inputs"),
        ({"directory": "/a", "reload": "systemctl reload x"}, "a command is a list of words"),
        ({"directory": "/a", "reload_timeout": "0s"}, "must be more than `0s`"),
        ({"directory": "/a", "reload_timeout": "61m"}, "at most `1h`"),
        ({"directory": "/a", "check_timeout": "1000d"}, "at most `1h`"),
        ({"directory": "/a", "patience": "11m"}, "at most `10m`"),
        ({"directory": "/a", "owner": 0}, "valid string"),
        ({"directory": "/a", "owner": ""}, "at least 1 character"),
        ({"directory": "/a", "files": {"cert": {"name": "x", "group": ""}}}, "at least 1 character"),
        ({"directory": "/a/{lable}"}, "`{` cannot stand in a file name like this"),
        ({"directory": "/a", "certificate_mode": "0777"}, "a certificate is nothing to execute"),
        ({"directory": "/a", "certificate_mode": "0646"}, "must not be writable by everybody"),
        ({"directory": "/a", "files": {"cert": {"name": "x", "mode": "0755"}}}, "a certificate is nothing to execute"),
        ({"directory": "/a", "key_mode": "0000"}, "nobody could read"),
        ({"directory": "/a", "certificate_mode": "0200"}, "nobody could read"),
        ({"directory": "/a", "files": {"cert": "~/x"}}, "no home directory can begin"),
        ({"directory": "/a", "files": []}, "expected a mapping, found a list"),
        ({"directory": "/a", "colour": "red"}, "Extra inputs"),
    ],
)
def test_wrong_options_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        options(**given)


def test_the_directory_may_have_the_label_in_it_and_the_one_of_the_configuration_any_name() -> None:
    path = Text("{label}/{kind}", Place(Path("/srv/{x}/config.yaml")))
    assert options(directory=path).directory == Path("/srv/{x}/{label}/{kind}")


def test_the_registry_knows_its_types_and_builds_them() -> None:
    assert {"files", "command", "nginx"} <= set(registry.known_types())
    assert issubclass(registry.options_model("files") or Options, FilesOptions)
    assert registry.options_model("file") is None
    assert registry.build("files", options(directory="/a")).copies[0] == Path("/a/privkey.pem")
    for type_, given in (("file", options(directory="/a")), ("files", Options())):
        with pytest.raises(DeployError, match="there is no deploy target"):
            registry.build(type_, given)


def test_a_further_kind_of_a_certificate_lies_beside_the_first_under_names_of_its_own(
    tmp_path: Path, generation: Path
) -> None:
    names = {"privkey": "tls.key", "fullchain": "chain"}
    given = options(directory=str(tmp_path / "ssl"), files=names, key_mode="0640")
    first = CertificateSpec("xmpp", frozenset(), "default", None)
    further = CertificateSpec("xmpp+rsa-2048", frozenset(), "default", None, KeyType.RSA_2048)
    for spec in (first, further):
        install(registry.build("files", given, spec, several=True), generation)
    assert {path.name: mode_of(path) for path in (tmp_path / "ssl").iterdir()} == {
        "tls.key": 0o640,
        "chain": 0o644,
        "tls-rsa.key": 0o640,
        "chain-rsa": 0o644,
    }


def test_the_key_of_a_csr_is_not_copied_and_a_key_that_lies_there_is_left_alone(
    tmp_path: Path, generation: Path
) -> None:
    (generation / "privkey.pem").rename(generation / "csr.pem")
    (tmp_path / "ssl").mkdir()
    (tmp_path / "ssl" / "privkey.pem").write_bytes(b"the admin's")
    install(built(options(directory=str(tmp_path / "ssl"))), generation)
    assert (tmp_path / "ssl" / "privkey.pem").read_bytes() == b"the admin's"
    assert (tmp_path / "ssl" / "fullchain.pem").read_bytes() == b"new fullchain"
    assert not (tmp_path / "ssl" / "csr.pem").exists()


def test_a_target_for_the_key_alone_cannot_have_that_of_a_csr(tmp_path: Path, generation: Path) -> None:
    (generation / "privkey.pem").rename(generation / "csr.pem")
    target = built(options(directory=str(tmp_path / "ssl"), files={"privkey": "tls.key"}))
    with pytest.raises(DeployError, match="whose key is not on this host"):
        install(target, generation)
