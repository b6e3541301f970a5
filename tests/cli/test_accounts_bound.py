"""External Account Binding (RFC 8555 section 7.3.4): a CA whose accounts belong to customers of its web site."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, master_of
from tests.servers.pebble import running_pebble
from tests.servers.sandbox import running_sandbox

KID, HMAC_KEY = "kid-1", b"a key of thirty-two bytes or more"
ENCODED = base64.urlsafe_b64encode(HMAC_KEY).rstrip(b"=").decode()
BOUND = "{default: {eab: {kid: kid-1, hmac_key_file: hmac}}}"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A CA that requires a binding."""
    with running_sandbox(tmp_path_factory.mktemp("strict"), trust=True, external_accounts={KID: HMAC_KEY}) as sandbox:
        yield sandbox


@pytest.fixture
def bound(strict: Sandbox, tmp_path: Path) -> Host:
    """A master whose configuration has the binding."""
    host = Host(tmp_path / "master", master_of(strict, accounts=BOUND))
    secret(host, f"{ENCODED}\n")
    return host


def secret(host: Host, content: str) -> None:
    (host.directory / "hmac").touch(0o600)
    (host.directory / "hmac").write_text(content)


def test_a_ca_that_requires_a_binding_is_understood_and_nothing_is_left_behind(strict: Sandbox, tmp_path: Path) -> None:
    host = Host(tmp_path / "master", master_of(strict))
    before = host.tree()
    assert (
        host.block(host.acmectl("account", "register", "--agree-tos"))
        == """\
! error: the CA at `https://ca.test/directory` requires External Account Binding (`externalAccountRequired` in its directory), and the configuration has none for the account `default`
! hint: get a key identifier and an HMAC key at the CA's web site, https://ca.test, write the HMAC key to a file of mode 0600, and add `accounts: {default: {eab: {kid: KEY_IDENTIFIER, hmac_key_file: FILE}}}`
-> 2
"""
    )
    assert host.tree() == before


def test_a_bound_account_is_registered_and_shown_without_its_secret(bound: Host) -> None:
    registered = bound.good("-vv", "account", "register", "--agree-tos")
    assert "  bound to:   kid-1\n" in registered.out
    assert ENCODED not in registered.said
    assert "PRIVATE" not in registered.said
    (bound.directory / "hmac").unlink()
    shown = bound.good("account", "show")
    assert "  bound to:   kid-1\n" in shown.out
    assert json.loads(bound.good("account", "show", "--json").out)["accounts"][0]["kid"] == "kid-1"
    assert not [
        name for name, (_, content) in bound.tree().items() if ENCODED.encode() in content or HMAC_KEY in content
    ]


def test_a_binding_in_files_with_padding_works_at_pebble(tmp_path: Path) -> None:
    with running_pebble(tmp_path, external_account_binding=True, mac_keys={KID: ENCODED}) as pebble:
        text = (
            f'authority: {{directory: "{pebble.directory_url}", ca_bundle: "{pebble.ca_bundle}"}}\n'
            "state_directory: state\ncertificates: {www: {names: [www.acme.test]}}\n"
        )
        host = Host(tmp_path / "host", text)
        refused = host.acmectl("account", "register", "--agree-tos")
        assert refused.status == 2
        assert "requires External Account Binding" in refused.err
        host.configure(text + "accounts: {default: {eab: {kid_file: kid, hmac_key_file: hmac}}}\n")
        (host.directory / "kid").write_text(f"{KID}\n")
        secret(host, base64.urlsafe_b64encode(HMAC_KEY + b"!!").decode())
        wrong = host.acmectl("account", "register", "--agree-tos")
        assert wrong.status == 1
        assert "the CA refused to register an account: " in wrong.err
        secret(host, base64.urlsafe_b64encode(HMAC_KEY).decode())
        assert "bound to:   kid-1" in host.good("account", "register", "--agree-tos").out
        assert "at the CA:  valid" in host.good("account", "show", "--live").out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is not base64url"),
        ("has spaces in it", "is not base64url"),
        ("a+b/", "is not base64url"),
        ("abcde", "its length cannot be right"),
    ],
)
def test_an_hmac_key_that_is_none_is_refused_without_being_shown(bound: Host, content: str, told: str) -> None:
    secret(bound, content)
    ran = bound.acmectl("account", "register", "--agree-tos")
    assert ran.status == 2
    assert told in ran.err
    assert not content or content not in ran.said


def test_files_of_a_binding_that_are_missing_or_empty_are_named(bound: Host, strict: Sandbox) -> None:
    (bound.directory / "hmac").unlink()
    assert "cannot read the HMAC key `" in bound.acmectl("account", "register", "--agree-tos").err
    bound.good("check")
    secret(bound, ENCODED)
    bound.configure(master_of(strict, accounts=BOUND.replace("kid: kid-1", "kid_file: kid")))
    assert "cannot read the key identifier `" in bound.acmectl("account", "register", "--agree-tos").err
    (bound.directory / "kid").write_text("\n")
    assert "holds no key identifier" in bound.acmectl("account", "register", "--agree-tos").err
