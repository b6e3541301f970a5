"""TLSA records as values."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from acmectl import keys
from acmectl.model.certificates import KeyType
from acmectl.model.tlsa import Publication, PublishedKeys, Service, TlsaRecord, association


def test_a_service_has_its_records_below_its_host() -> None:
    assert Service("mail.example.org", 25).owner == "_25._tcp.mail.example.org"
    assert Service("mail.example.org", 443, "udp").owner == "_443._udp.mail.example.org"


def test_a_service_is_shown_as_it_is_written() -> None:
    assert str(Service("mail.example.org", 25)) == "mail.example.org:25"
    assert str(Service("mail.example.org", 443, "udp")) == "mail.example.org:443/udp"


def test_an_association_is_the_hash_of_the_public_key_alone() -> None:
    key = keys.generate(KeyType.ECDSA_P256)
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert association(keys.pin(key)) == f"3 1 1 {hashlib.sha256(der).hexdigest()}"


def test_a_record_is_a_line_of_a_zone_file() -> None:
    record = TlsaRecord("_25._tcp.mail.example.org", "3 1 1 00ff")
    assert record.line(timedelta(hours=1)) == "_25._tcp.mail.example.org. 3600 IN TLSA 3 1 1 00ff"


def test_what_is_known_of_a_key_is_known_by_owner_name() -> None:
    one = Publication("_25._tcp.a.test", "AAAA")
    known = PublishedKeys((one,))
    assert known.find("_25._tcp.a.test", "AAAA") is one
    assert known.find("_443._tcp.a.test", "AAAA") is None
    assert one.record == TlsaRecord("_25._tcp.a.test", "3 1 1 000000")
