"""Which key a certificate gets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from acmectl.model.certificates import CertificateSpec, ImposedKey, Installed, KeyType
from acmectl.model.names import Identifier
from acmectl.policy import key_choice
from acmectl.policy.key_choice import KeyAtHand, KeysAtHand, Source

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NEW = CertificateSpec("mail", frozenset({Identifier("a.test")}), "default", None)
REUSING, PREPARING = replace(NEW, reuse_key=True), replace(NEW, prepare_key=True)
BOTH = replace(NEW, reuse_key=True, prepare_key=True)
LEFT = replace(REUSING, pinned=True)  # `tlsa` was taken out
OLD, NEXT, RSA = (
    KeyAtHand("old", KeyType.ECDSA_P256),
    KeyAtHand("next", KeyType.ECDSA_P256),
    KeyAtHand("rsa", KeyType.RSA_2048),
)
ADMINS = ImposedKey("`/etc/key.pem`", "admin's")
OF_CSR = replace(ADMINS, names=NEW.names)


@pytest.mark.parametrize(
    ("spec", "at_hand", "source"),
    [
        (NEW, KeysAtHand(in_use=OLD, prepared=NEXT), Source.NEW),
        (REUSING, KeysAtHand(in_use=OLD), Source.IN_USE),
        (REUSING, KeysAtHand(), Source.NEW),
        (REUSING, KeysAtHand(in_use=RSA), Source.NEW),
        (REUSING, KeysAtHand(in_use=OLD, distrusted=frozenset({"old"})), Source.NEW),
        (PREPARING, KeysAtHand(in_use=OLD, prepared=NEXT), Source.PREPARED),
        (PREPARING, KeysAtHand(prepared=NEXT), Source.PREPARED),
        (PREPARING, KeysAtHand(in_use=OLD), Source.NEW),
        (PREPARING, KeysAtHand(in_use=OLD, prepared=OLD), Source.NEW),
        (PREPARING, KeysAtHand(in_use=OLD, prepared=RSA), Source.NEW),
        (PREPARING, KeysAtHand(prepared=NEXT, distrusted=frozenset({"next"})), Source.NEW),
        (BOTH, KeysAtHand(in_use=OLD, prepared=NEXT), Source.IN_USE),
        (BOTH, KeysAtHand(in_use=OLD, prepared=NEXT, distrusted=frozenset({"old"})), Source.PREPARED),
        (LEFT, KeysAtHand(in_use=OLD, prepared=NEXT, distrusted=frozenset({"old"})), Source.PREPARED),
        (LEFT, KeysAtHand(in_use=OLD, distrusted=frozenset({"old"})), Source.NEW),
        (BOTH, KeysAtHand(imposed=ADMINS, in_use=OLD, prepared=NEXT), Source.IMPOSED),
    ],
)
def test_the_next_key_is_imposed_or_reused_or_the_one_made_ahead_or_new(
    spec: CertificateSpec, at_hand: KeysAtHand, source: Source
) -> None:
    assert key_choice.choose(spec, at_hand) is source


@pytest.mark.parametrize(
    ("spec", "draft", "at_hand", "fits"),
    [
        (NEW, NEXT, KeysAtHand(in_use=OLD), True),
        (NEW, RSA, KeysAtHand(in_use=OLD), False),
        (NEW, OLD, KeysAtHand(in_use=OLD), False),
        (NEW, NEXT, KeysAtHand(distrusted=frozenset({"next"})), False),
        (REUSING, OLD, KeysAtHand(in_use=OLD), True),
        (REUSING, NEXT, KeysAtHand(in_use=OLD), False),
        (PREPARING, NEXT, KeysAtHand(in_use=OLD, prepared=NEXT), True),
        (PREPARING, KeyAtHand("other", KeyType.ECDSA_P256), KeysAtHand(in_use=OLD, prepared=NEXT), False),
        (NEW, KeyAtHand("admin's", None), KeysAtHand(imposed=ADMINS), True),
        (NEW, NEXT, KeysAtHand(imposed=ADMINS), False),
    ],
)
def test_the_key_of_an_interrupted_run_is_kept_only_while_it_would_be_chosen(
    spec: CertificateSpec, draft: KeyAtHand, at_hand: KeysAtHand, *, fits: bool
) -> None:
    assert key_choice.fits(spec, draft, at_hand) is fits


INSTALLED = Installed(
    "mail", 1, NEW.names, KeyType.ECDSA_P256, "0a", "ff", "CA", NOW, NOW + timedelta(days=90), spki="old"
)


@pytest.mark.parametrize(
    ("installed", "imposed", "reason"),
    [
        (INSTALLED, None, None),
        (replace(INSTALLED, key_type=KeyType.RSA_2048), None, "key type changed: rsa-2048 -> ecdsa-p256"),
        (replace(INSTALLED, key_type=None), None, "key type changed: unknown -> ecdsa-p256"),
        (INSTALLED, ADMINS, "the key was replaced: `/etc/key.pem`"),
        (replace(INSTALLED, spki="admin's", key_type=None), ADMINS, None),
        (
            replace(INSTALLED, has_key=False),
            None,
            "the key changed: the configuration names no CSR any more, and the key is not on this host",
        ),
        (
            replace(INSTALLED, spki=ADMINS.spki, has_key=False),
            ADMINS,
            f"the key of its CSR is to be on this host now: {ADMINS.origin}",
        ),
        (
            replace(INSTALLED, spki=ADMINS.spki, has_key=False),
            replace(ADMINS, names=frozenset()),
            None,
        ),
    ],
)
def test_a_certificate_for_another_key_than_the_wanted_one_is_due(
    installed: Installed, imposed: ImposedKey | None, reason: str | None
) -> None:
    assert key_choice.key_changed(NEW, installed, imposed) == reason


PINNED = replace(BOTH, pinned=True)
CHANGING = replace(PINNED, reuse_key=False)
NONE, ALL = frozenset[str](), frozenset({"old", "next", "admin's"})


@pytest.mark.parametrize(
    ("spec", "at_hand", "source"),
    [
        (PINNED, KeysAtHand(in_use=OLD, prepared=NEXT, usable=ALL), Source.IN_USE),
        (PINNED, KeysAtHand(in_use=OLD, prepared=NEXT, usable=ALL, left="old"), Source.PREPARED),
        (PINNED, KeysAtHand(in_use=OLD, prepared=NEXT, usable=NONE, left="old"), Source.IN_USE),
        (PINNED, KeysAtHand(in_use=OLD, prepared=NEXT, usable=ALL, left="an earlier one"), Source.IN_USE),
        (CHANGING, KeysAtHand(in_use=OLD, prepared=NEXT, usable=ALL), Source.PREPARED),
        (CHANGING, KeysAtHand(in_use=OLD, prepared=NEXT, usable=NONE), Source.IN_USE),
        (CHANGING, KeysAtHand(in_use=OLD, prepared=None, usable=ALL), Source.IN_USE),
        (PINNED, KeysAtHand(in_use=RSA, prepared=NEXT, usable=NONE), Source.IN_USE),
        (PINNED, KeysAtHand(in_use=RSA, prepared=NEXT, usable=ALL), Source.PREPARED),
        (PINNED, KeysAtHand(in_use=OLD, prepared=NEXT, usable=NONE, distrusted=frozenset({"old"})), Source.PREPARED),
        (PINNED, KeysAtHand(prepared=NEXT, usable=ALL), Source.PREPARED),
        (PINNED, KeysAtHand(imposed=ADMINS, in_use=OLD, usable=NONE), Source.IN_USE),
        (PINNED, KeysAtHand(imposed=ADMINS, in_use=OLD, usable=ALL), Source.IMPOSED),
        (PINNED, KeysAtHand(imposed=ADMINS, usable=NONE), Source.IMPOSED),
        (PINNED, KeysAtHand(imposed=OF_CSR, in_use=OLD, usable=NONE), Source.IMPOSED),
        (PINNED, KeysAtHand(imposed=ADMINS, in_use=OLD, usable=NONE, distrusted=frozenset({"old"})), Source.IMPOSED),
        (REUSING, KeysAtHand(in_use=OLD, left="old"), Source.NEW),
        (BOTH, KeysAtHand(in_use=OLD, prepared=NEXT, left="old"), Source.PREPARED),
    ],
)
def test_a_published_key_is_kept_until_every_client_accepts_the_next_one(
    spec: CertificateSpec, at_hand: KeysAtHand, source: Source
) -> None:
    assert key_choice.choose(spec, at_hand) is source


@pytest.mark.parametrize(
    ("at_hand", "pin"),
    [
        (KeysAtHand(imposed=ADMINS, in_use=OLD, usable=NONE), None),
        (KeysAtHand(imposed=OF_CSR, in_use=OLD, usable=NONE), "admin's"),
        (KeysAtHand(imposed=ADMINS, in_use=OLD, usable=ALL), None),
        (KeysAtHand(imposed=ADMINS, in_use=OLD), None),
        (KeysAtHand(imposed=ADMINS, in_use=OLD, usable=NONE, distrusted=frozenset({"old"})), None),
        (KeysAtHand(imposed=ADMINS, elsewhere=ADMINS.spki, usable=NONE), None),
        (KeysAtHand(imposed=ADMINS, elsewhere="old", usable=NONE), "admin's"),
        (KeysAtHand(prepared=NEXT, usable=NONE), "next"),
        (KeysAtHand(prepared=NEXT, usable=ALL), None),
        (KeysAtHand(in_use=OLD, prepared=NEXT, usable=NONE), None),
        (KeysAtHand(usable=NONE), None),
    ],
)
def test_a_key_that_is_imposed_or_the_first_waits_for_clients(at_hand: KeysAtHand, pin: str | None) -> None:
    assert key_choice.waits(at_hand) == pin


@pytest.mark.parametrize(
    ("at_hand", "pin"),
    [
        (KeysAtHand(in_use=OLD, prepared=NEXT), "next"),
        (KeysAtHand(in_use=OLD, prepared=OLD), None),
        (KeysAtHand(in_use=OLD), None),
        (KeysAtHand(in_use=OLD, prepared=NEXT, distrusted=frozenset({"next"})), None),
        (KeysAtHand(imposed=ADMINS, in_use=OLD, prepared=NEXT), "admin's"),
        (KeysAtHand(imposed=ADMINS, elsewhere=ADMINS.spki), None),
    ],
)
def test_the_key_that_follows_is_the_one_to_publish(at_hand: KeysAtHand, pin: str | None) -> None:
    assert at_hand.following == pin
