"""Presets are data: what they say is what a target does, and each point can be said otherwise."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from acmectl.deploy import registry
from acmectl.deploy.files import FilesOptions
from acmectl.deploy.presets import PRESETS
from acmectl.deploy.target import Target
from acmectl.deploy.wire.protocols import Protocol
from acmectl.model.certificates import CertificateSpec, KeyType

FIRST = CertificateSpec("mail", frozenset(), "default", None)
FURTHER = CertificateSpec("mail+rsa-2048", frozenset(), "default", None, KeyType.RSA_2048)
SERVICES = [name for name in PRESETS if name != "files"]


def options(type_: str, **given: Any) -> FilesOptions:
    model = registry.options_model(type_)
    assert model is not None
    checked = model.model_validate(given)
    assert isinstance(checked, FilesOptions)
    return checked


def built(type_: str, spec: CertificateSpec = FIRST, *, several: bool = False, **given: Any) -> Target:
    return registry.build(type_, options(type_, **given), spec, several=several)


def names(type_: str, spec: CertificateSpec, *, several: bool, **given: Any) -> list[str]:
    return [path.name for path in built(type_, spec, several=several, **given).copies]


def test_the_types_are_the_presets_and_command() -> None:
    assert set(registry.known_types()) == {*PRESETS, "command"}
    assert registry.known_types() == tuple(sorted(registry.known_types()))


@pytest.mark.parametrize("type_", SERVICES)
def test_a_preset_needs_nothing_but_its_name(type_: str) -> None:
    target = built(type_)
    assert target.copies
    assert target.verify is not None, "it is seen to serve"
    assert target.reload_command is not None, "it is told"
    assert target.check is not None or "check" in PRESETS[type_].note, "a preset without a check says why"
    assert all(path.is_absolute() for path in target.copies)
    assert not any(set("{}") & set(str(path)) for path in target.copies)


@pytest.mark.parametrize("type_", SERVICES)
def test_one_rename_switches_key_and_certificate_of_every_service(type_: str) -> None:
    (copy,) = built(type_).wanted
    assert copy.content == "privkey+fullchain"


@pytest.mark.parametrize("type_", PRESETS)
def test_no_preset_lets_everybody_read_a_key_or_a_group_without_naming_it(type_: str) -> None:
    preset = PRESETS[type_]
    assert preset.key_mode & 0o037 == 0
    assert bool(preset.key_mode & 0o040) == (preset.group is not None)


@pytest.mark.parametrize("type_", SERVICES)
def test_two_certificates_of_one_service_lie_beside_each_other(type_: str) -> None:
    other = CertificateSpec("www.example.org", frozenset(), "default", None)
    assert not set(built(type_).copies) & set(built(type_, other).copies)


@pytest.mark.parametrize("type_", PRESETS)
def test_two_kinds_of_keys_lie_beside_each_other(type_: str) -> None:
    first, further = (names(type_, spec, several=True, directory="/x") for spec in (FIRST, FURTHER))
    assert not set(first) & set(further)
    assert all("rsa" in name for name in further)


def test_haproxy_finds_a_bundle_by_its_kinds_and_a_single_file_by_its_name() -> None:
    assert names("haproxy", FIRST, several=False) == ["mail.pem"]
    assert names("haproxy", FIRST, several=True) == ["mail.pem.ecdsa"]
    assert names("haproxy", FURTHER, several=True) == ["mail.pem.rsa"]


def test_elsewhere_the_first_kind_keeps_its_name() -> None:
    assert names("postfix", FIRST, several=True) == ["mail.pem"]
    assert names("postfix", FURTHER, several=True) == ["mail-rsa.pem"]


def test_a_name_can_say_itself_where_label_and_kind_belong() -> None:
    given = {"directory": "/etc/x/{label}", "files": {"fullchain": "{kind}-{label}.crt"}}
    for spec, kind in ((FIRST, "ecdsa"), (FURTHER, "rsa")):
        assert built("postfix", spec, several=True, **given).copies == (Path(f"/etc/x/mail/{kind}-mail.crt"),)


@pytest.mark.parametrize("type_", SERVICES)
def test_only_a_service_that_has_both_kinds_is_looked_at_for_each(type_: str) -> None:
    refused = registry.unfit(type_, options(type_), several=True)
    assert bool(refused) == PRESETS[type_].serves_one_kind
    assert registry.unfit(type_, options(type_), several=False) is None
    assert registry.unfit(type_, options(type_, verify=[]), several=True) is None
    assert built(type_, FURTHER, several=True).family == "rsa"
    assert built(type_).family is None


def test_every_point_of_a_preset_can_be_said_otherwise() -> None:
    target = built(
        "dovecot",
        directory="/srv/tls",
        files={"privkey": {"name": "tls.key", "mode": "0440", "group": "dovenull"}, "fullchain": "/srv/pub/tls.crt"},
        owner="dovecot",
        group="mail",
        key_mode="0600",
        certificate_mode="0444",
        check=["dovecot", "-n"],
        check_timeout="5s",
        reload=["true"],
        reload_timeout="6s",
        verify=[{"address": "192.0.2.1", "port": 993}, {"protocol": "pop3", "name": "mail.example.org"}],
        patience="7s",
    )
    assert [(c.path, c.mode, c.owner, c.group) for c in target.wanted] == [
        (Path("/srv/tls/tls.key"), 0o440, "dovecot", "dovenull"),
        (Path("/srv/pub/tls.crt"), 0o444, "dovecot", "mail"),
    ]
    assert (target.check, target.reload_command) == (("dovecot", "-n"), ("true",))
    assert [target.check_timeout.seconds, target.reload_timeout.seconds] == [5, 6]
    assert target.verify is not None
    assert target.verify.patience.seconds == 7
    assert [(e.protocol, e.address, e.port, e.name) for e in target.verify.endpoints] == [
        (Protocol.TLS, "192.0.2.1", 993, None),
        (Protocol.POP3, "127.0.0.1", 110, "mail.example.org"),
    ]


@pytest.mark.parametrize("nothing", [[], None])
def test_check_reload_and_verify_can_be_left_out(nothing: object) -> None:
    target = built("nginx", check=nothing, reload=nothing, verify=nothing)
    assert (target.check, target.reload_command, target.verify) == (None, None, None)


def test_the_digest_tells_what_is_deployed_in_another_way() -> None:
    targets = [
        built("nginx"),
        built("apache", directory="/etc/nginx/tls"),
        built("nginx", check=[]),
        built("nginx", FURTHER, several=True),
        built("nginx", files={"privkey+fullchain": {"name": "{label}.pem", "mode": "0640"}}),
    ]
    assert len({target.digest for target in targets}) == len(targets)
    assert built("nginx").digest == built("nginx", files={"privkey+fullchain": "{label}.pem"}).digest


def test_how_long_and_where_to_look_is_no_reason_to_deploy_anew() -> None:
    one = built("nginx")
    patient = built("nginx", patience="31s", check_timeout="2m", reload_timeout="2m")
    assert (patient.digest, patient.verify_digest) == (one.digest, one.verify_digest)
    elsewhere, nowhere = built("nginx", verify=[{"port": 8443}]), built("nginx", verify=[])
    assert elsewhere.digest == nowhere.digest == one.digest
    assert len({one.verify_digest, elsewhere.verify_digest, nowhere.verify_digest}) == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"files": {"privkey+fullchain": {"name": "x", "mode": "0644"}}}, "must not be readable by everybody"),
        ({"files": {"fullchain+privkey": {"name": "x", "mode": "0604"}}}, "must not be readable by everybody"),
        ({"files": {"privkey.der": {"name": "x", "mode": "0601"}}}, "must not be readable by everybody"),
        ({"key_mode": "0644"}, "must not be readable by everybody"),
        ({"files": {"privkey+chain": "x"}}, "Extra inputs"),
        ({"files": {"fullchain": {"mode": "0644"}}}, "Field required"),
        ({"files": {"fullchain": "{name}.pem"}}, "cannot stand in a file name"),
        ({"files": {"fullchain": "../x"}}, "not a file name"),
        ({"files": {"fullchain": "x/"}}, "not a file name"),
        ({"files": {"fullchain": "/"}}, "not a file name"),
        ({"files": {"fullchain": "x", "cert": "x"}}, "each differently"),
        ({"files": {"pkcs12": "x.p12"}}, "needs a passphrase"),
        ({"check": "nginx -t"}, "a command is a list of words"),
        ({"verify": [{"protocol": "gopher"}]}, "unknown protocol"),
        ({"patience": "0s"}, "must be more than"),
    ],
)
def test_what_cannot_work_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        options("nginx", **given)


def test_a_passphrase_belongs_to_pkcs12_alone(tmp_path: Path) -> None:
    (tmp_path / "passphrase").touch(mode=0o600)
    path = str(tmp_path / "passphrase")
    with pytest.raises(ValidationError, match="is for a file `pkcs12`"):
        options("files", directory="/x", passphrase_file=path)
    target = built("files", directory="/x", files={"pkcs12": "x.p12"}, passphrase_file=path)
    assert target.passphrase_file == Path(path)
    assert [copy.mode for copy in target.wanted] == [0o600]


def test_presets_are_data_without_functions() -> None:
    import acmectl.deploy.presets as module

    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
