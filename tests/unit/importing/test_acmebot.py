"""acmebot's configuration as ours: each part alone. That the real acmebot accepts such configurations is for the integration tests."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acmectl import keys
from acmectl.dns.tsig import load_key_file
from acmectl.errors import TakeoverError
from acmectl.importing.acmebot import translate
from acmectl.importing.acmebot.reading import read
from acmectl.importing.draft import Draft
from acmectl.model.certificates import KeyType

SECRET = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA=="


def draft_of(directory: Path, **sections: Any) -> Draft:
    """The draft for a configuration that finds no file of this machine."""
    config = {"directories": {}} | sections
    nowhere = {"private_key": "private", "update_key": "tsig", "http_challenge": None}
    config["directories"] = nowhere | config["directories"]
    (directory / "acmebot.json").write_text(json.dumps(config))
    return translate(directory, beside=directory)


def tsig(directory: Path, name: str = "update.key", algorithm: str = "hmac-sha256") -> None:
    (directory / "tsig").mkdir(exist_ok=True)
    file = directory / "tsig" / name
    file.write_text(f'key "office" {{ algorithm {algorithm}; secret "{SECRET}"; }};')
    file.chmod(0o600)


WEB = {"http_challenge": "/var/www/{fqdn}/.well-known/acme-challenge"}
OFFICE = {"office.test": {"alt_names": {"office.test": ["@", "www"]}}}


def test_authorizations_are_kept_by_the_master_with_the_names_of_its_certificates(tmp_path: Path) -> None:
    """acmebot's master proves both at every run, and its manual says that followers may count on it."""
    tsig(tmp_path)
    draft = draft_of(
        tmp_path,
        authorizations={"office.test": ["@", "XMPP ", "*"]},
        certificates={"www.office.test": {"alt_names": {"office.test": ["www"]}}},
        zone_update_keys={"office.test": "update.key"},
    )
    names = ["office.test", "xmpp.office.test", "*.office.test", "www.office.test"]
    assert draft.document["master"]["authorize"] == [{"names": names, "solver": "office.test"}]
    assert draft.document["solvers"] == {
        "office.test": {"type": "rfc2136", "tsig_key_file": str(tmp_path / "tsig" / "update.key")}
    }
    assert all("solver" not in wanted for wanted in draft.document["certificates"].values())


def test_a_host_on_its_own_proves_its_names_when_they_are_due(tmp_path: Path) -> None:
    draft = draft_of(
        tmp_path, certificates={"office.test": {}}, http_challenges={"office.test": "/srv/.well-known/acme-challenge"}
    )
    assert "master" not in draft.document
    assert draft.document["certificates"]["office.test"]["solver"] == "web"
    assert draft.document["solvers"] == {"web": {"type": "webroot", "path": "/srv"}}
    assert any("followers" in note for note in draft.notes)


def test_a_follower_proves_nothing(tmp_path: Path) -> None:
    draft = draft_of(tmp_path, settings={"follower_mode": True}, certificates=OFFICE, directories=WEB)
    assert {"master", "solvers"}.isdisjoint(draft.document)
    assert "solver" not in draft.document["certificates"]["office.test"]
    assert any("reuses nothing of what was proven under another" in note for note in draft.notes)
    older = draft_of(tmp_path, settings={"slave_mode": True}, certificates=OFFICE, authorizations={"a.test": ["@"]})
    assert "master" not in older.document
    assert any("`authorizations` mean nothing" in note for note in older.notes)


def test_a_certificate_whose_names_are_proven_in_two_ways_is_kept_by_a_master_part(tmp_path: Path) -> None:
    draft = draft_of(tmp_path, certificates=OFFICE, directories=WEB)
    entries = draft.document["master"]["authorize"]
    assert [entry["names"] for entry in entries] == [["office.test"], ["www.office.test"]]
    assert [draft.document["solvers"][entry["solver"]]["path"] for entry in entries] == [
        "/var/www/office.test",
        "/var/www/www.office.test",
    ]


def test_a_name_with_a_challenge_directory_of_its_own_and_one_without_go_different_ways(tmp_path: Path) -> None:
    tsig(tmp_path)
    draft = draft_of(
        tmp_path,
        authorizations={"office.test": ["@", "web", "dns"]},
        directories=WEB,
        http_challenges={"dns.office.test": None, "web.office.test": "/srv/challenges"},
        zone_update_keys={"office.test": {"file": "update.key", "server": "ns.office.test", "port": 5353}},
    )
    solvers, entries = draft.document["solvers"], draft.document["master"]["authorize"]
    kinds = {entry["names"][0]: solvers[entry["solver"]] for entry in entries}
    assert kinds["office.test"] == {"type": "webroot", "path": "/var/www/office.test"}
    assert kinds["dns.office.test"]["server"] == "ns.office.test"
    assert kinds["dns.office.test"]["port"] == 5353
    assert kinds["web.office.test"]["type"] == "command"  # the directory lies below no document root
    assert kinds["web.office.test"]["challenge"] == "http-01"


def test_a_challenge_directory_below_no_document_root_is_filled_by_commands(tmp_path: Path) -> None:
    odd = tmp_path / "it's here"
    odd.mkdir()
    draft = draft_of(tmp_path, certificates={"a.test": {}}, http_challenges={"a.test": str(odd)})
    solver = draft.document["solvers"]["web"]
    environment = {"PATH": os.environ["PATH"], "ACMECTL_TOKEN": "-token", "ACMECTL_KEY_AUTHORIZATION": "-token.%s"}
    subprocess.run(solver["publish"], env=environment, check=True)
    assert (odd / "-token").read_text() == "-token.%s"
    subprocess.run(solver["remove"], env=environment, check=True)
    assert list(odd.iterdir()) == []


def test_a_wildcard_with_a_challenge_directory_is_told_and_left_out(tmp_path: Path) -> None:
    draft = draft_of(tmp_path, authorizations={"a.test": ["@", "*"]}, directories=WEB)
    assert draft.document["master"]["authorize"][0]["names"] == ["a.test"]
    assert any("`*.a.test`" in note and "dns-01" in note for note in draft.notes)


@pytest.mark.parametrize("number", [163, 165])
def test_a_key_pair_of_dnssec_keygen_becomes_a_key_file_that_we_read(tmp_path: Path, number: int) -> None:
    (tmp_path / "tsig").mkdir()
    pair = f"Koffice.+{number}+12345.key"
    (tmp_path / "tsig" / pair).write_text(f"office. IN KEY 512 3 {number} {SECRET[:20]} {SECRET[20:]}\n")
    draft = draft_of(tmp_path, authorizations={"office.test": ["@"]}, zone_update_keys={"office.test": pair})
    (file,) = draft.files
    assert (file.path, file.mode) == ("tsig/office.test.key", 0o600)
    assert draft.document["solvers"]["office.test"]["tsig_key_file"] == file.path
    assert SECRET not in repr(draft)
    assert SECRET not in draft.text()
    written = tmp_path / "written.key"
    written.touch(0o600)
    written.write_bytes(file.content)
    assert load_key_file(written).name == "office"


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("Ko.+157+12345.key", f"o. IN KEY 512 3 157 {SECRET}", "too weak"),
        ("Ko.+163+12345.key", "", "no KEY record"),
        ("missing.key", None, "cannot read"),
        ("named.key", f'key o {{ algorithm hmac-md5; secret "{SECRET}"; }};', "too weak"),
    ],
)
def test_a_zone_whose_key_cannot_be_used_is_told(tmp_path: Path, file: str, content: str | None, words: str) -> None:
    (tmp_path / "tsig").mkdir()
    if content is not None:
        (tmp_path / "tsig" / file).write_text(content)
        (tmp_path / "tsig" / file).chmod(0o600)
    draft = draft_of(tmp_path, certificates=OFFICE, zone_update_keys={"office.test": file})
    assert any("the names of `office.test` have no solver" in note and words in note for note in draft.notes)
    assert not any(SECRET in note for note in draft.notes)
    with pytest.raises(TakeoverError, match=words):
        draft_of(tmp_path, authorizations={"office.test": ["@"]}, zone_update_keys={"office.test": file})


def test_hooks_for_dns_challenges_are_called_with_the_same_values(tmp_path: Path) -> None:
    out = tmp_path / "out"
    draft = draft_of(
        tmp_path,
        certificates={"office.test": {}},
        authorizations={"office.test": ["*"]},
        settings={"reload_zone_command": None},
        hooks={
            "set_dns_challenge": f"echo set {{domain}} {{zone}} {{challenge}} >> {out}",
            "clear_dns_challenge": f"echo clear {{domain}} >> {out}",
            "dns_zone_update": f"echo update {{zone}} >> {out}",
        },
    )
    (solver,) = draft.document["solvers"].values()
    value = {"ACMECTL_IDENTIFIER": "*.office.test", "ACMECTL_RECORD_VALUE": "-v;l"}
    for action in ("publish", "remove"):
        subprocess.run(solver[action], env={"PATH": os.environ["PATH"], **value}, check=True, cwd=tmp_path)
    assert out.read_text().splitlines() == [
        "set *.office.test office.test -v;l",
        "update office.test",
        "clear *.office.test",
        "update office.test",
    ]
    assert not any("hook" in note for note in draft.notes)


def test_local_dns_updates_are_made_by_a_program_that_keeps_acmebots_file(tmp_path: Path) -> None:
    (tmp_path / "challenges").mkdir()
    reload = tmp_path / "reload"
    reload.write_text('#!/bin/sh\necho "$1" >> reloads\n')
    reload.chmod(0o755)
    draft = draft_of(
        tmp_path,
        authorizations={"office.test": ["@", "*"]},
        directories={"challenge": "challenges"},
        settings={"reload_zone_command": str(reload)},
    )
    (file,), (solver,) = draft.files, draft.document["solvers"].values()
    hook = tmp_path / file.path
    assert str(hook) == solver["publish"][0]
    hook.parent.mkdir()
    hook.write_bytes(file.content)
    hook.chmod(file.mode)

    def call(action: str, name: str, value: str) -> dict[str, str] | None:
        environment = {"ACMECTL_ACTION": action, "ACMECTL_IDENTIFIER": name, "ACMECTL_RECORD_VALUE": value}
        command = solver[action]
        subprocess.run(command, env={"PATH": os.environ["PATH"], **environment}, check=True, cwd=tmp_path)
        challenges = tmp_path / "challenges" / "office.test"
        return dict(json.loads(challenges.read_text())) if challenges.exists() else None

    assert call("publish", "office.test", "one") == {"office.test": "one"}
    assert call("publish", "*.office.test", "two") == {"office.test": "one", "*.office.test": "two"}
    assert call("publish", "*.office.test", "two") == {"office.test": "one", "*.office.test": "two"}
    assert call("remove", "office.test", "another run's") == {"office.test": "one", "*.office.test": "two"}
    assert call("remove", "office.test", "one") == {"*.office.test": "two"}
    assert call("remove", "*.office.test", "two") is None
    assert call("remove", "*.office.test", "two") is None
    assert (tmp_path / "reloads").read_text().split() == ["office.test"] * 7


def key_at(path: Path, kind: KeyType = KeyType.ECDSA_P256, mode: int = 0o640) -> None:
    path.parent.mkdir(exist_ok=True)
    path.touch(mode)
    path.write_bytes(keys.to_pem(keys.generate(kind)))
    path.chmod(mode)


def test_a_key_that_is_there_stays_where_it_is_and_a_new_one_is_put_where_acmebots_would_be(tmp_path: Path) -> None:
    key_at(tmp_path / "private" / "office.test.rsa.key", KeyType.RSA_2048)
    draft = draft_of(tmp_path, certificates=OFFICE, directories={"certificate": "certs", "chain": None})
    ecdsa, rsa = (draft.document["certificates"][label] for label in ("office.test", "office.test-rsa"))
    assert ("key" in rsa, rsa["key_file"]) == (False, str(tmp_path / "private" / "office.test.rsa.key"))
    assert [target["files"] for target in rsa["deploy"]] == [{"fullchain": "office.test.rsa.pem"}]
    assert (ecdsa["key"], ecdsa["reuse_key"], "key_file" in ecdsa) == ("ecdsa-p384", True, False)
    assert [(target["directory"], target["files"]) for target in ecdsa["deploy"]] == [
        (str(tmp_path / "private"), {"privkey": "office.test.ecdsa.key"}),
        (str(tmp_path / "certs"), {"fullchain": "office.test.ecdsa.pem"}),
    ]
    assert ecdsa["deploy"][0]["key_mode"] == "0640"


def test_files_with_key_and_chain_in_one_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    draft = draft_of(tmp_path, certificates=OFFICE)
    written = [target["files"] for wanted in draft.document["certificates"].values() for target in wanted["deploy"]]
    assert written
    assert not [files for files in written if "privkey+fullchain" in files], "nobody has a use for them"
    hook = {"full_key_installed": "cp {full_key_file} /elsewhere"}
    draft = draft_of(tmp_path, certificates=OFFICE, directories={"full_key": "joined"}, hooks=hook)
    for label, kind in (("office.test", "ecdsa"), ("office.test-rsa", "rsa")):
        (target,) = [t for t in draft.document["certificates"][label]["deploy"] if "privkey+fullchain" in t["files"]]
        path = tmp_path / "joined" / f"office.test_full.{kind}.key"
        assert (target["directory"], target["files"]) == (str(path.parent), {"privkey+fullchain": path.name})
        assert target["key_mode"] == "0640"
        reloads = [t.get("reload") for t in draft.document["certificates"][label]["deploy"]]
        assert ["cp", str(path), "/elsewhere"] in reloads


def test_certificates_of_one_private_key_share_its_file(tmp_path: Path) -> None:
    key_at(tmp_path / "private" / "shared.ecdsa.key")
    inner = {
        name: {"alt_names": {"office.test": [name.partition(".")[0]]}} for name in ("a.office.test", "b.office.test")
    }
    private_keys = {"shared": {"key_types": ["ecdsa"], "certificates": inner}}
    draft = draft_of(tmp_path, private_keys=private_keys)
    found = draft.document["certificates"]
    assert list(found) == ["a.office.test", "b.office.test"]
    assert {wanted["key_file"] for wanted in found.values()} == {str(tmp_path / "private" / "shared.ecdsa.key")}
    (tmp_path / "private" / "shared.ecdsa.key").unlink()
    draft = draft_of(tmp_path, private_keys=private_keys)
    assert any("share one key" in note for note in draft.notes)
    written = [wanted["deploy"][0]["files"]["privkey"] for wanted in draft.document["certificates"].values()]
    assert written == ["a.office.test.ecdsa.key", "b.office.test.ecdsa.key"]  # two keys, two files


def test_a_certificate_with_the_name_of_a_private_key_is_one_of_its_certificates(tmp_path: Path) -> None:
    draft = draft_of(
        tmp_path,
        private_keys={"a.test": {"key_types": ["ecdsa"], "certificates": {"b.test": {}}}},
        certificates={"a.test": {"key_types": ["rsa", "ecdsa"]}, "c.test": {"key_types": []}},
    )
    assert list(draft.document["certificates"]) == ["b.test", "a.test"]
    assert "`c.test` is left out: it has no kind of key" in draft.notes


@pytest.mark.parametrize(
    ("mode", "content", "words"),
    [
        (0o644, None, "can be read"),
        (0o600, b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n", "key"),
        (0o600, b"", "no private key"),
    ],
)
def test_a_key_that_cannot_be_used_is_told(tmp_path: Path, mode: int, content: bytes | None, words: str) -> None:
    file = tmp_path / "private" / "office.test.ecdsa.key"
    key_at(file, mode=mode)
    if content is not None:
        file.write_bytes(content)
    draft = draft_of(tmp_path, certificates={"office.test": {"key_types": ["ecdsa"]}})
    assert any(words in note and "pins of the old one fail" in note for note in draft.notes)
    assert "key_file" not in draft.document["certificates"]["office.test"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"it.test": "ecdsa-p384", "it.test-rsa": "rsa-4096"}),
        ({"key_types": "rsa", "key_size": "3072"}, {"it.test": "rsa-3072"}),
        ({"key_types": ["ecdsa"], "key_curve": "secp256r1"}, {"it.test": "ecdsa-p256"}),
        ({"key_size": 0}, {"it.test": "ecdsa-p384"}),
        ({"key_size": None, "key_curve": "secp521r1"}, {"it.test": "ecdsa-p384"}),
        ({"key_curve": None, "key_size": 8192}, {"it.test": "rsa-4096"}),
        ({"key_curve": None, "key_size": 1024}, {"it.test": "rsa-2048"}),
    ],
)
def test_the_kinds_of_keys_are_those_that_acmebot_makes(
    tmp_path: Path, options: dict[str, Any], expected: dict[str, str]
) -> None:
    found = draft_of(tmp_path, certificates={"it.test": options}).document["certificates"]
    assert {label: wanted["key"] for label, wanted in found.items()} == expected


def test_services_become_reload_commands_and_none_is_lost(tmp_path: Path) -> None:
    draft = draft_of(
        tmp_path,
        services={"odd": "systemctl reload odd; echo $?", "silent": None},
        certificates={
            "a.test": {"key_types": ["ecdsa"], "services": ["nginx", "odd", "postfix", "dovecot", "silent", "x"]}
        },
    )
    targets = draft.document["certificates"]["a.test"]["deploy"]
    assert [target["reload"] for target in targets] == [
        ["systemctl", "reload-or-restart", "nginx"],
        ["sh", "-c", "systemctl reload odd; echo $?"],
        ["sh", "-c", "systemctl reload-or-restart postfix && systemctl reload-or-restart dovecot"],
    ]
    assert {note for note in draft.notes if "no reload command" in note} == {
        "service `silent` has no reload command",
        "service `x` has no reload command",
    }


def test_every_target_reloads_the_one_service_that_there_is(tmp_path: Path) -> None:
    """A copy that is put back later, alone, must be read again; one run reloads once for all."""
    one = {"a.test": {"key_types": ["ecdsa"], "services": ["nginx"]}}
    draft = draft_of(tmp_path, certificates=one, directories={"certificate": "certs", "chain": "chains"})
    reloads = [target["reload"] for target in draft.document["certificates"]["a.test"]["deploy"]]
    assert reloads == [["systemctl", "reload-or-restart", "nginx"]] * 3


def test_hooks_for_files_are_called_as_reloads_with_the_paths_filled_in(tmp_path: Path) -> None:
    draft = draft_of(
        tmp_path,
        certificates={"a.test": {"key_types": ["ecdsa"]}},
        directories={"certificate": "certs", "chain": None},
        hooks={
            "certificate_installed": "scp {certificate_file} remote:/{key_name}.{key_type}",
            "private_key_installed": "use {passphrase}",
            "ocsp_installed": "x",
        },
    )
    reloads = [target.get("reload") for target in draft.document["certificates"]["a.test"]["deploy"]]
    assert ["scp", f"{tmp_path}/certs/a.test.ecdsa.pem", "remote:/a.test.ecdsa"] in reloads
    assert any("`private_key_installed` uses what is not known" in note for note in draft.notes)
    assert any("`ocsp_installed` is not called; was: x" in note for note in draft.notes)


def test_what_has_no_counterpart_is_listed_in_comments_and_the_rest_is_yaml(tmp_path: Path) -> None:
    tlsa = {"office.test": ["@", {"host": "mail", "port": 25, "usage": "dane-ee"}]}
    draft = draft_of(
        tmp_path,
        settings={"renewal_days": 30, "unheard_of": 1, "color_output": True},
        directories={"hpkp": "/x", "full_certificate": "/y"},
        certificates={"office.test": {"tlsa_records": tlsa, "ocsp_must_staple": True, "verify": [443]}},
        hpkp_headers={"apache": "x\nmaster: {}"},
        hooks={"params_installed": "first\nmaster: second", "sct_installed": "a\u2028b: \x07\x85c: d"},
    )
    text = draft.text()
    comments = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    for words in (
        "`settings.renewal_days`",
        "`settings.unheard_of` is not known here",
        "`directories.hpkp`",
        "`directories.full_certificate`",
        "_443._tcp.@, _25._tcp.mail dane-ee spki",
        "`ocsp_must_staple`",
        "`verify`",
        "`hpkp_headers`",
        "first master: second",
    ):
        assert words in comments
    assert "color_output" not in comments
    assert "a b: c: d" in comments  # what YAML takes for the end of a line too
    document = yaml.safe_load(text)
    assert set(document) == {"authority", "profile", "solvers", "certificates"}
    assert "&" not in text


@pytest.mark.parametrize(
    ("url", "authority", "profile"),
    [
        (None, "letsencrypt", "classic"),
        ("https://acme-staging-v02.api.letsencrypt.org/directory", "letsencrypt-staging", "classic"),
        ("https://ca.office.test/dir", {"directory": "https://ca.office.test/dir"}, None),
    ],
)
def test_the_ca_keeps_its_name_and_gets_a_profile_where_it_needs_one(
    tmp_path: Path, url: str | None, authority: object, profile: str | None
) -> None:
    settings = {"acme_directory_url": url} if url else {}
    document = draft_of(tmp_path, settings=settings, account={"email": "a@b.test"}, certificates=OFFICE).document
    assert (document["authority"], document.get("profile"), document["contact"]) == (authority, profile, ["a@b.test"])


def test_files_in_conf_d_are_merged_over_the_first_as_acmebot_does(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "b.yml").write_text("certificates: {b.test: {}}\nsettings: {key_size: 2048}\n")
    (tmp_path / "conf.d" / "a.json").write_text('{"certificates": {"a.test": {}}, "settings": {"key_size": 3072}}')
    (tmp_path / "acmebot.yaml").write_text("settings: {key_size: 4096, key_curve: secp256r1}\n")
    found = read(tmp_path)
    assert sorted(found.section("certificates")) == ["a.test", "b.test"]
    assert found.section("settings")["key_size"] == 2048
    assert found.section("settings")["key_curve"] == "secp256r1"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("acmebot.json", "{", "is no JSON"),
        ("acmebot.json", "[]", "not a mapping"),
        ("acmebot.yaml", "a: [", ":2` is no YAML"),
        ("acmebot.yaml", "certificates: []", "`certificates` in"),
        ("acmebot.yaml", "certificates: {a.test: [x]}", "`certificates.a.test` in"),
        ("acmebot.yaml", "certificates: {a.test: {alt_names: [x]}}", "`certificates.a.test.alt_names` in"),
        ("acmebot.yaml", "authorizations: {a.test: x}\nzone_update_keys: {a.test: [1]}", "`zone_update_keys.a.test`"),
        (
            "acmebot.yaml",
            "certificates: {a.test: {}}\nfile_names: {certificate: '{other}'}",
            "`file_names.certificate`",
        ),
        ("acmebot.yaml", "certificates: {a.test: {}}\ndirectories: {certificate: 7}", "`directories.certificate`"),
        ("acmebot.yaml", "", "neither certificates nor authorizations"),
        ("other.yaml", "", "there is no acmebot configuration"),
    ],
)
def test_what_acmebot_could_not_use_either_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(TakeoverError, match=words):
        translate(tmp_path, beside=tmp_path)


def test_a_name_that_is_none_is_told_and_left_out(tmp_path: Path) -> None:
    draft = draft_of(tmp_path, certificates={"a.test": {"alt_names": {"a.test": ["@", "under_score"]}}})
    assert draft.document["certificates"]["a.test"]["names"] == ["a.test"]
    assert any("`under_score.a.test` is left out" in note for note in draft.notes)


def test_the_example_is_what_init_makes_of_its_acmebot_configuration(tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "examples" / "acmebot"
    made = translate(example / "acmebot.yaml", beside=tmp_path).text()
    shown = (example / "config.yaml").read_text()
    assert made.partition("\n#\n")[2] == shown.partition("\n#\n")[2] != ""  # without the line with this directory


def test_labels_are_ones_that_we_take_and_none_comes_twice(tmp_path: Path) -> None:
    one = {"key_types": ["ecdsa"], "common_name": "a.test", "alt_names": {"a.test": ["@"]}}
    draft = draft_of(tmp_path, certificates={"*.a.test": one, "wildcard.a.test": one, "mail & more": one, "_": one})
    assert list(draft.document["certificates"]) == [
        "wildcard.a.test",
        "wildcard.a.test-2",
        "mail---more",
        "certificate",
    ]


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9999)
    | st.sampled_from(["", "x", "@", "{name}", "{0}", "*", "443", "a.test"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["@", "a.test", "file", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
KEYS = {
    "account": ["email"],
    "settings": [
        "key_types",
        "key_size",
        "key_curve",
        "services",
        "acme_directory_url",
        "file_user",
        "reload_zone_command",
    ],
    "directories": ["private_key", "certificate", "chain", "http_challenge", "challenge"],
    "file_names": ["private_key", "certificate"],
    "key_type_suffixes": ["rsa", "ecdsa"],
    "services": ["nginx"],
    "hooks": ["certificate_installed", "set_dns_challenge"],
    "authorizations": ["a.test"],
    "zone_update_keys": ["a.test"],
    "http_challenges": ["a.test"],
}
OPTIONS = ["common_name", "alt_names", "services", "key_types", "key_size", "key_curve", "tlsa_records", "verify"]


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_configuration_with_anything_anywhere_is_taken_over_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    config: dict[str, Any] = {
        "certificates": {"a.test": {"services": ["nginx"]}},
        "authorizations": {"a.test": ["www"]},
    }
    for _ in range(data.draw(st.integers(1, 4))):
        section = data.draw(st.sampled_from([*KEYS, "certificates", "private_keys"]))
        keys_of = KEYS.get(section)
        if data.draw(st.integers(0, 9)) == 0:
            config[section] = data.draw(ANYTHING)
        elif keys_of:
            config[section] = {data.draw(st.sampled_from(keys_of)): data.draw(ANYTHING)}
        else:
            options = {data.draw(st.sampled_from(OPTIONS)): data.draw(ANYTHING)}
            config[section] = {
                "b.test": options if section == "certificates" else {"certificates": {"c.test": options}}
            }
    (tmp_path / "acmebot.json").write_text(json.dumps(config))
    try:
        draft = translate(tmp_path, beside=tmp_path)
    except TakeoverError:
        return
    assert yaml.safe_load(draft.text()) == draft.document
