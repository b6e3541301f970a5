"""Deploy targets that would overwrite each other, or what acmectl keeps for itself, are a mistake in the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from acmectl import app
from acmectl.errors import ConfigurationError

TOP = "authority: letsencrypt\nstate_directory: state\ncertificates:\n"


def problems(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "config.yaml").write_text(TOP + text)
    with pytest.raises(ConfigurationError) as raised:
        app.load(tmp_path / "config.yaml")
    return [str(problem).replace(str(tmp_path), "TMP") for problem in raised.value.problems]


def certificate(label: str, *directories: str, more: str = "") -> str:
    listed = "".join(f"      - {{type: files, directory: {directory}{more}}}\n" for directory in directories)
    return f"  {label}:\n    names: [{label}.example.com]\n    deploy:\n{listed}"


@pytest.mark.parametrize("second", ["tls", "./other/../tls", "link"])
def test_two_certificates_at_one_place_are_refused(tmp_path: Path, second: str) -> None:
    (tmp_path / "tls").mkdir()
    (tmp_path / "link").symlink_to("tls")
    (said,) = problems(tmp_path, certificate("a", "tls") + certificate("b", second))
    assert said == (
        "TMP/config.yaml:11: `certificates.b.deploy[0].directory`: `TMP/tls/privkey.pem` is written by"
        " `certificates.a.deploy[0]` too"
        " (give each a directory of its own, or other names: `files: {privkey: ..., fullchain: ...}`)"
    )


def test_two_targets_of_one_certificate_at_one_place_are_refused(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, certificate("a", "tls", "tls"))
    assert "`certificates.a.deploy[1].directory`" in said


def test_other_names_in_one_directory_are_fine(tmp_path: Path) -> None:
    names = ", files: {privkey: b.key, fullchain: b.crt}"
    (tmp_path / "config.yaml").write_text(TOP + certificate("a", "tls") + certificate("b", "tls", more=names))
    assert set(app.load(tmp_path / "config.yaml").parts.targets) == {"a", "b"}


@pytest.mark.parametrize("directory", ["state", "state/certificates/a/current"])
def test_a_target_inside_the_state_directory_is_refused(tmp_path: Path, directory: str) -> None:
    (said,) = problems(tmp_path, certificate("a", directory))
    assert said == (
        "TMP/config.yaml:7: `certificates.a.deploy[0].directory`: is inside the state directory"
        " (use another directory; a service can also read `TMP/state/certificates/LABEL/current/` directly)"
    )


def test_a_preset_needs_no_options_and_two_of_them_are_not_in_each_others_way(tmp_path: Path) -> None:
    targets = "    deploy: [{type: prosody}, {type: postfix}, {type: command, run: [tell, somebody]}]\n"
    text = "".join(f"  {label}:\n    names: [{label}.example.com]\n{targets}" for label in ("a", "b"))
    (tmp_path / "config.yaml").write_text(TOP + text)
    assert [len(listed) for listed in app.load(tmp_path / "config.yaml").parts.targets.values()] == [3, 3]


def test_a_service_that_serves_one_kind_of_key_is_not_given_two(tmp_path: Path) -> None:
    kinds = "  a:\n    names: [a.example.com]\n    key: [ecdsa-p256, rsa-2048]\n    deploy:\n"
    (said,) = problems(tmp_path, f"{kinds}      - {{type: postfix}}\n      - {{type: coturn}}\n")
    assert said == (
        "TMP/config.yaml:9: `certificates.a.deploy[1].type`: `coturn` serves one certificate for a name, and this one"
        " has two kinds of keys (give the certificate one kind, `key: ecdsa-p256`; or deploy both and look at neither,"
        " `verify: []`)"
    )


@pytest.mark.parametrize(
    ("option", "path", "said"),
    [
        ("files: {privkey+fulchain: a.pem}", "files.privkey+fulchain", "unknown key"),
        ('files: {privkey+fullchain: {name: a, mode: "0644"}}', "files", "a key must not be readable by everybody"),
        ("files: {fullchain: ../a.pem}", "files.fullchain", "not a file name"),
        ("verify: [{protocol: smpt}]", "verify[0].protocol", "unknown protocol `smpt`"),
        ("reload: systemctl reload nginx", "reload", "a command is a list of words"),
        ('files: {fullchain: "{lable}.pem"}', "files.fullchain", "cannot stand in a file name"),
        ("files: [cert]", "files", "(which contents go where: `{CONTENT: NAME}`"),
        ("verify: {port: 443}", "verify", "found a mapping (write it as `[...]`, also for a single one)"),
        ("reload: [[nginx, -s]]", "reload", "(one command is wanted here: leave out the inner brackets)"),
    ],
)
def test_what_a_target_cannot_have_is_told_with_its_line_and_key(
    tmp_path: Path, option: str, path: str, said: str
) -> None:
    text = f"  a:\n    names: [a.example.com]\n    deploy:\n      - type: nginx\n        {option}\n"
    found = problems(tmp_path, text)
    assert len(found) == 1, found
    assert found[0].replace('"', "").startswith(f"TMP/config.yaml:8: `certificates.a.deploy[0].{path}`"), found
    assert said in found[0]


@pytest.mark.parametrize(
    ("files", "hint"),
    [("{privkey+fulchain: a.pem}", "privkey+fullchain"), ("{privkey+fullchain: {name: a, moed: x}}", "mode")],
)
def test_a_key_that_is_nearly_right_is_recognised(tmp_path: Path, files: str, hint: str) -> None:
    text = f"  a:\n    names: [a.example.com]\n    deploy:\n      - {{type: nginx, files: {files}}}\n"
    (said,) = problems(tmp_path, text)
    assert f"did you mean `{hint}`?" in said


def test_two_contents_of_one_target_at_the_same_place_are_refused(tmp_path: Path) -> None:
    files = f"{{privkey: tls.pem, fullchain: {tmp_path}/tls/tls.pem}}"
    (said,) = problems(tmp_path, certificate("a", "tls", more=f", files: {files}"))
    assert said == (
        "TMP/config.yaml:7: `certificates.a.deploy[0].files`: two contents have the same place (name each differently)"
    )


@pytest.mark.parametrize(
    "text",
    [
        certificate("a", "tls", more=", files: {cert: x, privkey: x/y}"),
        certificate("a", "tls", more=", files: {cert: x/y/z, privkey: x}"),
        certificate("a", "tls", more=", files: {cert: x}") + certificate("b", "tls/x/y"),
        certificate("b", "tls/x/y") + certificate("a", "tls", more=", files: {cert: x}"),
    ],
)
def test_a_file_in_the_place_of_a_folder_that_another_file_needs_is_refused(tmp_path: Path, text: str) -> None:
    (said,) = problems(tmp_path, text)
    assert "`TMP/tls/x` would be a file and a folder with files in it (name one of them differently)" in said


def test_a_mapping_in_the_place_of_the_list_of_targets_is_told_how_to_write_it(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, "  a:\n    names: [a.example.com]\n    deploy: {type: nginx}\n")
    assert said.endswith("expected a list, found a mapping (write it as `[...]`, also for a single one)")


READ = {
    "pass": "secret\n",
    "tsig": 'key "acme" { algorithm hmac-sha256; secret "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ="; };\n',
    "base64": "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=\n",
    "names": "b.example.com\n",
    "ca.pem": "-----BEGIN CERTIFICATE-----\n",
}
ROOTS = "authority: {directory: 'https://ca.test/directory', ca_bundle: own/ca.pem}\n"
BOUND = "accounts: {default: {eab: {kid: x, hmac_key_file: own/hmac}}}\n"
BY_FILE = "solvers: {dns: {type: rfc2136, tsig_key_file: own/tsig}}\n"
BY_PARTS = "solvers: {dns: {type: rfc2136, tsig_key: {name: k, secret_file: own/base64}}}\n"
HOSTED = "solvers: {dns: {type: lexicon, provider: cloudflare, credentials: {auth_token: own/pass}}}\n"
LISTED = "master: {authorize: [{names_file: own/names, solver: web}]}\nsolvers: {web: {type: standalone}}\n"
KEPT = "master: {records: [{file: own/t, records: ['m.example.com:25'], update: {tsig_key_file: own/tsig}}]}\n"
PINNED = "    tlsa: {records: ['a.example.com:25'], update: {tsig_key_file: own/tsig}}\n"


@pytest.mark.parametrize(
    ("files", "more", "top", "key"),
    [
        ("{privkey: key.pem}", "    key_file: own/key.pem\n", "", "certificates.a.key_file"),
        ("{fullchain: my.csr}", "    csr_file: own/my.csr\n", "", "certificates.a.csr_file"),
        ("{pkcs12: pass}, passphrase_file: own/pass", "", "", "certificates.a.deploy[0].passphrase_file"),
        ("{chain: tsig}", PINNED, "", "certificates.a.tlsa.update.tsig_key_file"),
        ("{chain: tsig}", "", BY_FILE, "solvers.dns.tsig_key_file"),
        ("{chain: base64}", "", BY_PARTS, "solvers.dns.tsig_key.secret_file"),
        ("{chain: pass}", "", HOSTED, "solvers.dns.credentials.auth_token"),
        ("{chain: ca.pem}", "", ROOTS, "authority.ca_bundle"),
        ("{chain: hmac}", "", BOUND, "accounts.default.eab.hmac_key_file"),
        ("{chain: names}", "", LISTED, "master.authorize[0].names_file"),
        ("{chain: t}", "", KEPT, "master.records[0].file"),
    ],
)
def test_a_file_that_the_configuration_has_acmectl_read_is_never_overwritten_by_a_target(
    tmp_path: Path, files: str, more: str, top: str, key: str
) -> None:
    (tmp_path / "own").mkdir()
    for name, content in READ.items():
        (tmp_path / "own" / name).write_text(content)
        (tmp_path / "own" / name).chmod(0o600)
    text = f"  a:\n    names: [a.example.com]\n{more}    deploy:\n      - {{type: files, directory: own, files: {files}}}\n"
    authority = "" if top.startswith("authority") else "authority: letsencrypt\n"
    (tmp_path / "config.yaml").write_text(f"{authority}{top}certificates:\n{text}")
    with pytest.raises(ConfigurationError) as raised:
        app.load(tmp_path / "config.yaml")
    (said,) = raised.value.problems
    assert said.path.startswith("certificates.a.deploy[0].files.")
    assert said.message.endswith(f", which `{key}` names")
    assert said.hint == "give it another name, or leave it out of `files`"


@pytest.mark.parametrize("name", ["config.yaml", "conf.d/there.yaml", "conf.d/new.yaml", "conf.d/misnamed.yml"])
def test_the_configuration_itself_is_never_overwritten_by_a_target(tmp_path: Path, name: str) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "there.yaml").write_text("contact: [hostmaster@example.com]\n")
    (said,) = problems(tmp_path, certificate("a", ".", more=f", files: {{fullchain: {name}}}"))
    assert said == (
        f"TMP/config.yaml:7: `certificates.a.deploy[0].files.fullchain`: would overwrite `TMP/{name}`, a file of the"
        " configuration (give it another name, or leave it out of `files`)"
    )
    unread = certificate("a", ".", more=", files: {fullchain: conf.d/full.pem}")
    (tmp_path / "config.yaml").write_text(TOP + unread)
    app.load(tmp_path / "config.yaml")


def test_neither_a_key_file_that_is_a_link_nor_what_it_leads_to_is_overwritten(tmp_path: Path) -> None:
    for folder in ("own", "more", "keys"):
        (tmp_path / folder).mkdir()
    (tmp_path / "other").symlink_to("keys")
    (tmp_path / "own" / "key.pem").symlink_to("../more/key.pem")
    (tmp_path / "more" / "key.pem").symlink_to(tmp_path / "keys" / "key.pem")
    for folder in ("own", "more", "keys", "other"):
        text = certificate("a", folder, more=", files: {privkey: key.pem}")
        (said,) = problems(tmp_path, text + "    key_file: own/key.pem\n")
        assert "`certificates.a.key_file` names" in said
    (tmp_path / "keys" / "key.pem").symlink_to("../own/key.pem")  # in a circle
    assert problems(
        tmp_path, certificate("a", "own", more=", files: {privkey: key.pem}") + "    key_file: own/key.pem\n"
    )
