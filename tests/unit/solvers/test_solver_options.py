"""What the options of the solvers accept, and the words for what they refuse."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from acmectl.dns.endpoints import Endpoint
from acmectl.errors import Place
from acmectl.model.names import Identifier
from acmectl.options import Options, Text
from acmectl.solvers import registry
from acmectl.solvers.command import CommandOptions
from acmectl.solvers.inherited import Inherited
from acmectl.solvers.rfc2136 import Rfc2136Options
from acmectl.solvers.standalone import StandaloneOptions
from acmectl.solvers.tls_alpn import TlsAlpnOptions
from acmectl.solvers.webroot import WebrootOptions

SECRET = "MDEyMzQ1Njc4OWFiY2RlZg=="
HOOKS: dict[str, Any] = {"publish": ["hook"], "remove": ["hook"]}


def from_yaml(value: Any, file: Path) -> Any:
    """`value` as the configuration hands it on: every string knows its place."""
    match value:
        case str():
            return Text(value, Place(file, 3))
        case dict():
            return {key: from_yaml(item, file) for key, item in value.items()}
        case list():
            return [from_yaml(item, file) for item in value]
        case _:
            return value


def validate(name: str, values: dict[str, Any], directory: Path) -> Options:
    model = registry.options_model(name)
    assert model
    return model.model_validate(from_yaml(values, directory / "config.yaml"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, content in {
        "tsig.key": f'key "acmectl" {{ algorithm hmac-sha256; secret "{SECRET}"; }};',
        "md5.key": f'key "acmectl" {{ algorithm hmac-md5; secret "{SECRET}"; }};',
        "secret": SECRET,
        "open.key": f'key "acmectl" {{ algorithm hmac-sha256; secret "{SECRET}"; }};',
    }.items():
        (tmp_path / name).touch(mode=0o644 if name == "open.key" else 0o600)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_the_defaults_of_rfc2136(directory: Path) -> None:
    options = validate("rfc2136", {"server": "192.0.2.53", "tsig_key_file": "tsig.key"}, directory)
    assert isinstance(options, Rfc2136Options)
    assert (options.server, options.port, options.zone, options.resolvers) == ("192.0.2.53", 53, None, None)
    assert (options.ttl, options.timeout) == (timedelta(seconds=60), timedelta(seconds=20))
    assert options.propagation.servers is None
    assert (options.propagation.timeout, options.propagation.interval) == (timedelta(minutes=2), timedelta(seconds=2))
    assert options.load_key().name == "acmectl"


def test_everything_that_rfc2136_can_be_told(directory: Path) -> None:
    values = {
        "server": "NS.Example.com",
        "port": 5353,
        "tsig_key": {"name": "K.Example.com", "algorithm": "hmac-sha512", "secret_file": "secret"},
        "zone": "Acme.Example.com.",
        "ttl": "5m",
        "timeout": "10s",
        "resolvers": ["192.0.2.1", "[2001:db8::1]:5353"],
        "propagation": {"servers": ["192.0.2.2:54"], "timeout": "1m", "interval": "5s"},
    }
    options = validate("rfc2136", values, directory)
    assert isinstance(options, Rfc2136Options)
    assert (options.server, options.zone) == ("ns.example.com", "acme.example.com")
    assert options.resolvers == (Endpoint("192.0.2.1", 53), Endpoint("2001:db8::1", 5353))
    assert options.propagation.servers == (Endpoint("192.0.2.2", 54),)
    key = options.load_key()
    assert (key.name, key.algorithm) == ("k.example.com", "hmac-sha512")


def test_a_document_root_is_one_path_or_a_list_relative_to_the_file_that_names_it(directory: Path) -> None:
    one, two = (validate("webroot", {"path": path}, directory) for path in ("html", ["html", "/srv/www"]))
    assert isinstance(one, WebrootOptions)
    assert isinstance(two, WebrootOptions)
    assert one.path == (directory / "html",)
    assert two.path == (directory / "html", Path("/srv/www"))
    assert (one.mode, one.check, one.check_address) == (0o644, True, None)


def test_listen_and_check_address_have_port_80_unless_given(directory: Path) -> None:
    options = validate("standalone", {"listen": "[::]:8080", "check_address": "127.0.0.1", "check": False}, directory)
    assert isinstance(options, StandaloneOptions)
    assert options.listen == (Endpoint("::", 8080),)
    assert options.check_address == Endpoint("127.0.0.1", 80)
    assert options.check is False


@pytest.mark.parametrize(
    ("listen", "meant"),
    [
        (["192.0.2.1", "[2001:db8::1]:8443"], (Endpoint("192.0.2.1", 443), Endpoint("2001:db8::1", 8443))),
        ("systemd", Inherited()),
        ("systemd:tls", Inherited("tls")),
    ],
)
def test_several_addresses_or_sockets_of_systemd_are_listened_on(
    directory: Path, listen: object, meant: object
) -> None:
    options = validate("tls-alpn", {"listen": listen}, directory)
    assert isinstance(options, TlsAlpnOptions)
    assert options.listen == meant


def test_a_command_for_dns_takes_what_the_check_of_dns_needs(directory: Path) -> None:
    values = HOOKS | {"challenge": "dns-01", "zone": "example.com", "propagation": {"timeout": "10s"}}
    options = validate("command", values, directory)
    assert isinstance(options, CommandOptions)
    assert options.propagation.timeout == timedelta(seconds=10)


@pytest.mark.parametrize(
    ("name", "values", "path", "message"),
    [
        ("rfc2136", {"server": "192.0.2.53"}, (), "one TSIG key is needed: `tsig_key_file` or `tsig_key`"),
        (
            "rfc2136",
            {
                "server": "192.0.2.53",
                "tsig_key_file": "tsig.key",
                "tsig_key": {"name": "k", "algorithm": "hmac-sha256", "secret_file": "secret"},
            },
            (),
            "one TSIG key is needed: `tsig_key_file` or `tsig_key`",
        ),
        (
            "rfc2136",
            {"server": "192.0.2.53:53", "tsig_key_file": "tsig.key"},
            ("server",),
            "neither an address nor a host",
        ),
        ("rfc2136", {"server": 5, "tsig_key_file": "tsig.key"}, ("server",), "neither an address nor a host name"),
        (
            "rfc2136",
            {"server": "::1", "tsig_key_file": "md5.key"},
            ("tsig_key_file",),
            "uses `hmac-md5`, which is too weak",
        ),
        (
            "rfc2136",
            {"server": "::1", "tsig_key_file": "open.key"},
            ("tsig_key_file",),
            "can be read or written by others",
        ),
        ("rfc2136", {"server": "::1", "tsig_key_file": "none.key"}, ("tsig_key_file",), "there is no file"),
        (
            "rfc2136",
            {"server": "::1", "tsig_key": {"name": "k", "secret_file": "tsig.key"}},
            ("tsig_key",),
            "is no base64 text of 16 octets or more",
        ),
        (
            "rfc2136",
            {"server": "::1", "tsig_key": {"name": "k", "algorithm": "hmac-md5", "secret_file": "secret"}},
            ("tsig_key", "algorithm"),
            "not an algorithm of a TSIG key that is strong enough",
        ),
        ("rfc2136", {"server": "::1", "tsig_key_file": "tsig.key", "zone": "a..b"}, ("zone",), "not a domain name"),
        (
            "rfc2136",
            {"server": "::1", "tsig_key_file": "tsig.key", "ttl": "0s"},
            ("ttl",),
            "must be between `1s` and `1d`",
        ),
        (
            "rfc2136",
            {"server": "::1", "tsig_key_file": "tsig.key", "resolvers": ["192.0.2.1", "ns.example.com"]},
            ("resolvers", 1),
            "not an address",
        ),
        (
            "rfc2136",
            {"server": "::1", "tsig_key_file": "tsig.key", "resolvers": []},
            ("resolvers",),
            "an empty list asks nobody",
        ),
        (
            "rfc2136",
            {"server": "::1", "tsig_key_file": "tsig.key", "propagation": {"servers": [53]}},
            ("propagation", "servers", 0),
            "not an address: write it as text",
        ),
        ("webroot", {"path": []}, ("path",), "an empty list"),
        ("webroot", {"path": "/srv", "owner": ""}, ("owner",), "at least 1 character"),
        ("webroot", {"path": {"/srv": 1}}, ("path", 0), "expected a path, found a mapping"),
        ("standalone", {"listen": {"127.0.0.1:80": 1}}, ("listen",), "not an address"),
        ("webroot", {"path": "/srv", "mode": 0o644}, ("mode",), "not a file mode"),
        ("webroot", {"path": "/srv", "check_timeout": "2h"}, ("check_timeout",), "must be between `1s` and `1h`"),
        ("standalone", {"listen": "localhost:80"}, ("listen",), "not an address"),
        ("command", HOOKS | {"challenge": "dns-01", "check": False}, (), "`check` has no meaning for dns-01"),
        ("command", HOOKS | {"challenge": "http-01", "zone": "example.com"}, (), "`zone` has no meaning for http-01"),
        ("command", HOOKS | {"challenge": "tls-alpn-01"}, ("challenge",), "Input should be 'dns-01' or 'http-01'"),
        (
            "command",
            {"challenge": "dns-01", "publish": "hook", "remove": ["hook"]},
            ("publish",),
            "a command is a list",
        ),
        ("command", {"challenge": "dns-01", "publish": ["hook"]}, (), "the key `remove` is missing"),
        ("command", {"challenge": "dns-01", "style": "certbot"}, (), "the key `publish` is missing"),
        ("command", {"challenge": "dns-01", "style": "lego", "publish": ["hook"]}, (), "the key `hook` is missing"),
        (
            "command",
            {"challenge": "dns-01", "style": "lego", "hook": ["hook"], "chain": True},
            (),
            "`chain` has no meaning for `style: lego`",
        ),
        ("command", HOOKS | {"challenge": "dns-01", "raw": True}, (), "`raw` has no meaning for `style: acmectl`"),
        (
            "command",
            {"challenge": "http-01", "style": "lego", "hook": ["hook"]},
            (),
            "hooks of lego are for dns-01 only",
        ),
        (
            "command",
            HOOKS | {"challenge": "dns-01", "environment": {"A=B": "c"}},
            ("environment",),
            "not the name of an environment variable",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_at_its_key_without_any_secret(
    directory: Path, name: str, values: dict[str, Any], path: tuple[str | int, ...], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        validate(name, values, directory)
    (error,) = caught.value.errors()
    assert error["loc"] == path
    assert message in error["msg"]
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("type_", "options", "types", "addresses"),
    [
        ("webroot", {"path": "/srv"}, ("http-01",), ("http-01",)),
        ("standalone", {}, ("http-01",), ("http-01",)),
        ("tls-alpn", {}, ("tls-alpn-01",), ("tls-alpn-01",)),
        ("command", {"challenge": "http-01", "publish": ["x"], "remove": ["x"]}, ("http-01",), ("http-01",)),
        ("command", {"challenge": "dns-01", "publish": ["x"], "remove": ["x"]}, ("dns-01",), ()),
    ],
)
def test_addresses_are_proven_by_everything_but_dns_and_wildcards_by_nothing_else(
    type_: str, options: dict[str, object], types: tuple[str, ...], addresses: tuple[str, ...], directory: Path
) -> None:
    able = registry.build(type_, validate(type_, options, directory)).capabilities
    assert able.types_for(Identifier("a.example.com")) == types
    assert able.types_for(Identifier("192.0.2.1")) == able.types_for(Identifier("2001:db8::1")) == addresses
    assert able.types_for(Identifier("*.example.com")) == (() if addresses else types)
