"""What a certificate is called."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from acmectl.model.certificates import CertificateSpec, Installed, KeyType, title_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPEC = CertificateSpec("xmpp", frozenset(), "default", None)
INSTALLED = Installed("xmpp", 1, frozenset(), KeyType.RSA_2048, "0a", "ff", "CA", NOW, NOW + timedelta(days=90))


def test_a_further_kind_of_a_certificate_is_told_by_its_key_type_in_brackets() -> None:
    kind = "xmpp+rsa-2048"
    assert (SPEC.title, SPEC.configured_label) == ("xmpp", "xmpp")
    assert (replace(SPEC, label=kind).title, replace(SPEC, label=kind).configured_label) == ("xmpp (rsa-2048)", "xmpp")
    assert (INSTALLED.title, replace(INSTALLED, label=kind).title) == ("xmpp", "xmpp (rsa-2048)")
    assert title_of(kind) == "xmpp (rsa-2048)"


def test_key_types_belong_to_the_families_of_which_a_server_has_one_each() -> None:
    assert {kind: kind.family for kind in KeyType} == {
        KeyType.ECDSA_P256: "ecdsa",
        KeyType.ECDSA_P384: "ecdsa",
        KeyType.RSA_2048: "rsa",
        KeyType.RSA_3072: "rsa",
        KeyType.RSA_4096: "rsa",
    }
