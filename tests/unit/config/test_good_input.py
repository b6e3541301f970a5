from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.config import Authority, Authorize, ExternalAccount, Follower, Loaded
from acmectl.errors import ConfigurationError, Place
from acmectl.model.authorities import KNOWN_DIRECTORIES
from acmectl.model.certificates import CertificateSpec, KeyType
from acmectl.model.names import Identifier

Load = Callable[[dict[str, str]], Loaded]

SMALL = """\
authority: letsencrypt
certificates:
  www: {names: [www.example.com]}
"""

WHOLE = """\
authority: letsencrypt
profile: classic
contact: [hostmaster@example.com, "mailto:post@bücher.example"]
state_directory: state
accounts: {default: {}, customer: null}
solvers:
  office-dns: {type: rfc2136, server: 192.0.2.53, tsig_key_file: tsig.key}
  web: {type: webroot, path: /var/www/html}
master:
  every: 1d12h
  workers: 4
  authorize:
    - {names: [example.com, "*.example.com", XMPP.example.com.], solver: office-dns}
    - {names: [example.com], names_file: customers.txt, solver: web, account: customer}
certificates:
  mail:
    names: [mail.example.com, smtp.example.com]
    key: rsa-3072
    deploy: [{type: files, directory: /etc/ssl/mail, reload: [systemctl, reload, postfix]}]
  short: {names: [short.example.com], profile: shortlived, account: customer}
follower: {grace: 5s, alarm_at: 0.25, no_certificate_alarm: 2h, keep_generations: 3}
"""
CUSTOMERS = "# customers\n\na.example.net\nbücher.example.net   # since 2019\n"


def identifiers(*names: str) -> tuple[Identifier, ...]:
    return tuple(Identifier(name) for name in names)


def test_defaults_stand_for_what_is_left_out(loaded: Load) -> None:
    config = loaded({"config.yaml": SMALL}).require()
    assert config.authority == Authority("letsencrypt", KNOWN_DIRECTORIES["letsencrypt"])
    assert (config.profile, config.contact, config.accounts) == (None, (), ("default",))
    assert config.state_directory == Path("/var/lib/acmectl")
    assert config.master is None
    assert config.solvers == {}
    assert config.follower == Follower(timedelta(minutes=15), 0.15, timedelta(days=1), 5)
    spec = config.certificates["www"].spec
    assert spec == CertificateSpec("www", frozenset(identifiers("www.example.com")), "default", None)
    assert config.certificates["www"].deploy == ()


def test_everything_that_is_said_is_in_the_values(loaded: Load, tmp_path: Path) -> None:
    answer = loaded({"config.yaml": WHOLE, "customers.txt": CUSTOMERS})
    config, file = answer.require(), tmp_path / "config.yaml"
    assert answer.files == (file, tmp_path / "customers.txt")
    assert config.contact == ("hostmaster@example.com", "post@xn--bcher-kva.example")
    assert config.state_directory == tmp_path / "state"
    assert config.accounts == ("default", "customer")
    assert config.follower == Follower(timedelta(seconds=5), 0.25, timedelta(hours=2), 3)
    assert config.master
    assert (config.master.every, config.master.workers) == (timedelta(days=1.5), 4)
    office = identifiers("example.com", "*.example.com", "xmpp.example.com")
    customers = identifiers("example.com", "a.example.net", "xn--bcher-kva.example.net")
    assert config.master.authorize == (
        Authorize(office, ("office-dns",), "default", Place(file, 13)),
        Authorize(customers, ("web",), "customer", Place(file, 14)),
    )


def test_a_certificate_has_its_own_profile_key_and_account(loaded: Load) -> None:
    certificates = loaded({"config.yaml": WHOLE, "customers.txt": CUSTOMERS}).require().certificates
    mail, short = certificates["mail"].spec, certificates["short"].spec
    assert (mail.profile, mail.key_type, mail.account) == ("classic", KeyType.RSA_3072, "default")
    assert (short.profile, short.key_type, short.account) == ("shortlived", KeyType.ECDSA_P256, "customer")


def test_two_kinds_of_keys_make_two_certificates_with_one_label(loaded: Load) -> None:
    text = SMALL.replace("www.example.com]", "www.example.com], key: [rsa-2048, ecdsa-p384], reuse_key: true")
    wanted = loaded({"config.yaml": text}).require().certificates["www"]
    assert [(s.label, s.key_type, s.reuse_key) for s in wanted.specs] == [
        ("www", KeyType.RSA_2048, True),
        ("www+ecdsa-p384", KeyType.ECDSA_P384, True),
    ]
    assert [spec.configured_label for spec in wanted.specs] == ["www", "www"]


def test_a_certificate_says_where_its_key_comes_from_and_which_chain_it_wants(loaded: Load, tmp_path: Path) -> None:
    text = """\
authority: letsencrypt
certificates:
  a: {names: [a.example.com], prepare_key: true, preferred_chain: ISRG Root X1}
  b:
    names: [b.example.com]
    key_file: b.key
  c: {names: [c.example.com], csr_file: /etc/c.csr}
"""
    certificates = loaded({"config.yaml": text}).require().certificates
    a, b, c = (certificates[label] for label in "abc")
    assert (a.spec.prepare_key, a.spec.preferred_chain, a.key_place) == (True, "ISRG Root X1", None)
    assert (b.spec.key_file, b.key_place) == (str(tmp_path / "b.key"), Place(tmp_path / "config.yaml", 6))
    assert (c.spec.csr_file, c.spec.key_file) == ("/etc/c.csr", None)


def test_sections_keep_what_belongs_to_others(loaded: Load, tmp_path: Path) -> None:
    config = loaded({"config.yaml": WHOLE, "customers.txt": CUSTOMERS}).require()
    solver, (target,) = config.solvers["office-dns"], config.certificates["mail"].deploy
    assert (solver.type, solver.path, solver.place) == (
        "rfc2136",
        "solvers.office-dns",
        Place(tmp_path / "config.yaml", 7),
    )
    assert solver.options == {"server": "192.0.2.53", "tsig_key_file": "tsig.key"}
    assert (target.type, target.path) == ("files", "certificates.mail.deploy[0]")
    assert target.options["reload"] == ["systemctl", "reload", "postfix"]
    assert "tsig.key" not in repr(config)


def test_files_of_conf_d_are_merged_key_by_key(loaded: Load, tmp_path: Path) -> None:
    more = "certificates: {mail: {names: [mail.example.com]}}\naccounts: {other: {}, default: {}}\n"
    answer = loaded(
        {
            "config.yaml": SMALL,
            "conf.d/20-mail.yaml": more,
            "conf.d/10-profile.yaml": "profile: classic\n",
            "conf.d/.hidden.yaml": "- ignored",
            "conf.d/old.yaml.bak": "- ignored",
        }
    )
    config = answer.require()
    assert list(config.certificates) == ["www", "mail"]
    assert config.profile == "classic"
    assert answer.files == (
        tmp_path / "config.yaml",
        tmp_path / "conf.d/10-profile.yaml",
        tmp_path / "conf.d/20-mail.yaml",
    )


def test_a_relative_path_is_relative_to_the_file_that_names_it(loaded: Load, tmp_path: Path) -> None:
    answer = loaded({"config.yaml": SMALL, "conf.d/state.yaml": "state_directory: ../here\n"})
    assert answer.require().state_directory == tmp_path / "conf.d" / "../here"


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("letsencrypt-staging", Authority("letsencrypt-staging", KNOWN_DIRECTORIES["letsencrypt-staging"])),
        ("{name: google}", Authority("google", KNOWN_DIRECTORIES["google"])),
        ("https://acme.example.com/dir", Authority("acme.example.com", "https://acme.example.com/dir")),
        ("{directory: 'http://127.0.0.2:14000/dir'}", Authority("127.0.0.2:14000", "http://127.0.0.2:14000/dir")),
        ("'http://[::1]:14000/dir'", Authority("[::1]:14000", "http://[::1]:14000/dir")),
        ("http://localhost/dir", Authority("localhost", "http://localhost/dir")),
        (f"{{directory: {KNOWN_DIRECTORIES['zerossl']}}}", Authority("zerossl", KNOWN_DIRECTORIES["zerossl"])),
    ],
)
def test_an_authority_is_a_known_name_or_a_url(loaded: Load, authority: str, expected: Authority) -> None:
    text = SMALL.replace("authority: letsencrypt\n", f"authority: {authority}\n")
    assert loaded({"config.yaml": text}).require().authority == expected


def test_an_authority_can_have_roots_of_its_own(loaded: Load, tmp_path: Path) -> None:
    text = SMALL.replace("letsencrypt", "{directory: 'https://ca.example.com/dir', ca_bundle: root.pem}")
    answer = loaded({"config.yaml": text, "root.pem": "-----BEGIN CERTIFICATE-----\n"})
    assert answer.require().authority.ca_bundle == tmp_path / "root.pem"


def test_aliases_and_merge_keys_say_the_same_twice(loaded: Load) -> None:
    text = """\
authority: letsencrypt
certificates:
  www: &usual
    names: [www.example.com]
    key: rsa-2048
    deploy: &targets [{type: files, directory: /etc/ssl/www}]
  mail: {<<: *usual, names: [mail.example.com]}
  imap: {names: [imap.example.com], deploy: *targets}
"""
    certificates = loaded({"config.yaml": text}).require().certificates
    assert certificates["mail"].spec.names == frozenset(identifiers("mail.example.com"))
    assert certificates["mail"].spec.key_type is KeyType.RSA_2048
    assert certificates["mail"].deploy[0].path == "certificates.mail.deploy[0]"
    assert certificates["imap"].deploy[0].options == {"directory": "/etc/ssl/www"}


def test_the_only_account_is_meant_where_none_is_named(loaded: Load) -> None:
    config = loaded({"config.yaml": SMALL + "accounts: {office: {}}\n"}).require()
    assert config.certificates["www"].spec.account == "office"


def test_the_same_name_may_be_kept_for_two_accounts(loaded: Load) -> None:
    text = """\
authority: letsencrypt
accounts: {default: {}, other: {}}
solvers: {web: {type: webroot, path: /srv}}
master:
  authorize:
    - {names: [example.com], solver: web}
    - {names: [example.com], solver: web, account: other}
"""
    master = loaded({"config.yaml": text}).require().master
    assert master
    assert [entry.account for entry in master.authorize] == ["default", "other"]


@pytest.mark.parametrize("profile", ["classic2", "tlsclient", "longlived", "anything-new"])
def test_a_profile_that_is_not_known_yet_is_left_to_the_authority(loaded: Load, profile: str) -> None:
    assert loaded({"config.yaml": SMALL + f"profile: {profile}\n"}).require().profile == profile


def test_a_byte_order_mark_is_no_problem(loaded: Load) -> None:
    assert loaded({"config.yaml": "\ufeff" + SMALL, "conf.d/a.yaml": "\ufeffprofile: classic\r\n"}).require().profile


def test_what_is_wrong_is_raised_where_a_configuration_is_required(loaded: Load) -> None:
    answer = loaded({"config.yaml": SMALL + "what: 1\n"})
    with pytest.raises(ConfigurationError) as caught:
        answer.require()
    assert caught.value.problems == answer.problems
    assert caught.value.exit_status == 2


def test_problems_of_other_rooms_take_their_place_in_the_order(loaded: Load) -> None:
    answer = loaded({"config.yaml": "solvers: {web: {type: webrot}}\n" + SMALL + "what: 1\n"})
    found = answer.sections.solvers["web"].problem("no solver type `webrot`", key="type")
    both = answer.with_problems((found,))
    assert both.problems == (found, *answer.problems)
    assert both.config is None
    assert answer.with_problems(()) is answer


def test_an_account_can_be_bound_to_one_of_the_ca_s_web_site(loaded: Load, tmp_path: Path) -> None:
    text = """\
accounts:
  default: {eab: {kid: kid-1, hmac_key_file: hmac}}
  mail: {eab: {kid_file: kid, hmac_key_file: /etc/removed/after/registration}}
  web: {}
"""
    config = loaded({"config.yaml": SMALL + text, "hmac": "c2VjcmV0"}).require()
    assert config.external_accounts == {
        "default": ExternalAccount("kid-1", None, tmp_path / "hmac"),
        "mail": ExternalAccount(None, tmp_path / "kid", Path("/etc/removed/after/registration")),
    }


def test_an_hmac_key_that_others_can_read_is_refused(loaded: Load, tmp_path: Path) -> None:
    files = {"config.yaml": SMALL + "accounts: {default: {eab: {kid: a, hmac_key_file: hmac}}}\n", "hmac": "c2VjcmV0"}
    assert loaded(files).config
    (tmp_path / "hmac").chmod(0o644)
    (problem,) = loaded(files).problems
    assert "can be read or written by others (mode 0644)" in str(problem)
