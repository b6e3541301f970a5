"""Solvers that want for themselves what another one of the host has."""

from __future__ import annotations

from pathlib import Path

import pytest

from acmectl import app
from acmectl.errors import ConfigurationError, ConfigurationProblem

WEB, TLS = "type: standalone", "type: tls-alpn"


def problems(directory: Path, first: str, second: str) -> tuple[ConfigurationProblem, ...]:
    """Of a host with two solvers."""
    (directory / "key").write_text(
        'key "acme" { algorithm hmac-sha256; secret "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ="; };\n'
    )
    (directory / "key").chmod(0o600)
    file = directory / "config.yaml"
    file.write_text(
        f"authority: letsencrypt\nsolvers:\n  one: {{{first}}}\n  two: {{{second}}}\n"
        "master: {authorize: [{names: [a.test], solver: [one, two]}]}\n"
    )
    try:
        app.load(file)
    except ConfigurationError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("first", "second", "place"),
    [
        (f'{WEB}, listen: "127.0.0.1:8402"', f'{WEB}, listen: "127.0.0.1:8402"', "127.0.0.1:8402"),
        (WEB, WEB, "[::]:80"),
        (WEB, f'{TLS}, listen: ["192.0.2.1:443", "192.0.2.1:80"]', "192.0.2.1:80"),
        (f'{TLS}, listen: "0.0.0.0:443"', f"{TLS}, listen: 127.0.0.1", "127.0.0.1:443"),
        (f"{WEB}, listen: systemd", f'{TLS}, listen: "systemd:tls"', "systemd:tls"),
        (f'{WEB}, listen: "systemd:web"', f'{WEB}, listen: "systemd:web"', "systemd:web"),
    ],
)
def test_two_solvers_on_one_port_or_socket_are_refused(tmp_path: Path, first: str, second: str, place: str) -> None:
    (problem,) = problems(tmp_path, first, second)
    assert problem.message == f"solver `one` listens on `{place}` too"
    assert (problem.path.startswith("solvers.two"), problem.place.line) == (True, 4)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (WEB, TLS),
        (f'{WEB}, listen: "127.0.0.1:80"', f'{WEB}, listen: "127.0.0.2:80"'),
        (f'{WEB}, listen: "0.0.0.0:80"', f'{WEB}, listen: "[::1]:80"'),
        (f'{WEB}, listen: "systemd:web"', f'{TLS}, listen: "systemd:tls"'),
        (f"{WEB}, listen: systemd", TLS),
    ],
)
def test_solvers_that_listen_elsewhere_are_not(tmp_path: Path, first: str, second: str) -> None:
    assert problems(tmp_path, first, second) == ()


def test_two_solvers_for_one_zone_are_refused(tmp_path: Path) -> None:
    dns = "type: rfc2136, tsig_key_file: key, server: 127.0.0.1"
    (problem,) = problems(tmp_path, f"{dns}, zone: acme.test", f"{dns}, zone: ACME.test.")
    assert problem.message == "solver `one` is for the zone `acme.test` too"
    assert (problem.path, problem.place.line) == ("solvers.two.zone", 4)
    assert problems(tmp_path, f"{dns}, zone: acme.test", f"{dns}, zone: other.test") == ()
    assert problems(tmp_path, dns, dns) == ()
