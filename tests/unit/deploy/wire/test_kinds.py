"""A server with certificates of both kinds is looked at kind by kind, in TLS 1.3 too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from acmectl.deploy.wire.looking import Sighting
from acmectl.deploy.wire.options import Endpoint
from acmectl.deploy.wire.protocols import Protocol
from tests.servers.chains import Generation
from tests.servers.wire import Silence, context, openssl_server, serving

Look = Callable[..., Sighting]
BOTH = ("TLS 1.3", "TLS 1.2")


def test_each_kind_is_seen_in_both_versions(look: Look, first: Generation, rsa: Generation) -> None:
    with openssl_server(first, rsa) as port:
        seen = {
            family: look(Endpoint(port=port), generation, family=family)
            for family, generation in (("ecdsa", first), ("rsa", rsa))
        }

    assert {family: (s.fault, s.versions) for family, s in seen.items()} == {"ecdsa": (None, BOTH), "rsa": (None, BOTH)}


def test_an_earlier_certificate_of_one_kind_is_found_beside_the_right_one_of_the_other(
    look: Look, first: Generation, second: Generation, rsa: Generation
) -> None:
    with openssl_server(second, rsa) as port:
        assert look(Endpoint(port=port), rsa, family="rsa").fault is None
        seen = look(Endpoint(port=port), first, family="ecdsa")

    assert seen.fault
    assert f"still serves serial {second.installed.serial}" in seen.fault.words


@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
def test_a_kind_is_forced_in_each_version_alone(look: Look, first: Generation, rsa: Generation, version: str) -> None:
    with openssl_server(first, rsa, version) as port:
        kinds = (("ecdsa", first), ("rsa", rsa))
        seen = [look(Endpoint(port=port), generation, family=family) for family, generation in kinds]

    assert [(s.fault, len(s.versions), len(s.notes)) for s in seen] == [(None, 1, 1)] * 2


def test_a_cipher_that_takes_the_rsa_key_without_a_signature_is_not_offered_for_ecdsa(
    look: Look, first: Generation, rsa: Generation
) -> None:
    ciphers = "AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384"
    with openssl_server(first, rsa, "-tls1_2", "-serverpref", "-cipher", ciphers) as port:
        assert look(Endpoint(port=port), first, family="ecdsa").fault is None
        assert look(Endpoint(port=port), rsa, family="rsa").fault is None


def test_a_kind_that_is_not_there_is_said_with_what_is(look: Look, first: Generation, rsa: Generation) -> None:
    with serving(context(first)) as server:
        seen = look(Endpoint(port=server.port), rsa, family="rsa")

    assert seen.fault
    assert seen.fault.words.startswith("serves no certificate with a key of the kind rsa: it ")
    assert f"; with another key it still serves serial {first.installed.serial}, which ends on " in seen.fault.words


def test_what_fails_in_the_process_of_its_own_is_said_in_the_same_words(look: Look, first: Generation) -> None:
    with serving(script=[b"554 busy\r\n", Silence()]) as server:
        seen = look(Endpoint(port=server.port, protocol=Protocol.SMTP), first, family="ecdsa")

    assert seen.fault
    assert seen.fault.words == "greets with `554 busy`"
