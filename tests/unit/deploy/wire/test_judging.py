from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

from acmectl.deploy.wire import judging
from acmectl.deploy.wire.expected import Expected, expected
from acmectl.deploy.wire.handshake import Served
from tests.servers.chains import Generation

NOW = datetime.now(UTC)


def test_a_certificate_that_cannot_be_read_is_said(first: Generation) -> None:
    fault = judging.fault_of([Served("TLS 1.3", (b"\x30\x03abc",))], _wanted(first), None, NOW)

    assert fault
    assert fault.words == "serves a certificate that cannot be read"


def test_a_certificate_of_a_version_that_there_is_not_is_said(first: Generation) -> None:
    der = ssl.PEM_cert_to_DER_cert(first.leaf.read_text())
    odd = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101"), 1)

    fault = judging.fault_of([Served("TLS 1.3", (odd,))], _wanted(first), None, NOW)

    assert fault
    assert fault.words == "serves a certificate that cannot be read"


def test_some_of_several_intermediates_are_not_enough(first: Generation, second: Generation, tmp_path: Path) -> None:
    (tmp_path / "fullchain.pem").write_bytes(first.fullchain.read_bytes() + second.leaf.read_bytes())
    wanted = expected(first.installed, tmp_path)
    served = tuple(ssl.PEM_cert_to_DER_cert(one.read_text()) for one in (first.leaf, first.chain))

    fault = judging.fault_of([Served("TLS 1.3", served)], wanted, None, NOW)

    assert fault
    assert fault.words == "serves the certificate without some of its intermediates"


def test_a_certificate_without_names_is_said_to_have_none(first: Generation) -> None:
    intermediate = ssl.PEM_cert_to_DER_cert(first.chain.read_text())

    said = judging.another(Served("TLS 1.3", (intermediate,)), "a.test", NOW)

    assert " for no name when asked for `a.test`, which ends on " in said


def _wanted(generation: Generation) -> Expected:
    return expected(generation.installed, generation.directory, names=generation.names)
