"""Which certificates have their TLSA records changed together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from acmectl.deploy.tlsa.options import TlsaOptions
from acmectl.deploy.tlsa.publisher import Publisher
from acmectl.follower import Wish
from acmectl.follower.key_groups import Kind, Waits, grouped
from acmectl.model.certificates import CertificateSpec, KeyType
from acmectl.model.tlsa import PublishedKeys
from acmectl.policy.tlsa import Keys

DEPLOYED = Keys("AAAA", "BBBB", deployed=True)
OWNER = "_25._tcp.mail.example.org"
NOWHERE_ELSE: Mapping[str, str] = MappingProxyType({})


def kind(label: str, *ports: int, keys: Keys = DEPLOYED, **options: Any) -> Kind:
    records = [f"mail.example.org:{port}" for port in ports]
    publisher = Publisher(TlsaOptions.model_validate({"records": records, **options}))
    spec = CertificateSpec(label, frozenset(), "default", None, KeyType.ECDSA_P256)
    return Kind(Wish(spec, ()), publisher, keys, PublishedKeys(), is_due=False, shared=frozenset())


def labels(*kinds: Kind, places: Mapping[str, str] = NOWHERE_ELSE) -> set[frozenset[str]]:
    return {frozenset(one.label for one in group.kinds) for group in grouped(kinds, places)}


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))))
def test_services_in_common_bring_certificates_together_in_whatever_order_they_come(order: tuple[int, ...]) -> None:
    kinds = [kind("a", 25), kind("b", 25, 465), kind("c", 465, 587), kind("d", 587), kind("e", 443)]
    assert labels(*(kinds[n] for n in order)) == {frozenset("abcd"), frozenset("e")}


def test_a_time_to_live_keeps_nobody_apart_and_other_means_do() -> None:
    assert labels(kind("a", 25), kind("b", 25, ttl="3s")) == {frozenset("ab")}
    assert labels(kind("a", 25), kind("b", 25, servers=["192.0.2.1"])) == {frozenset("a"), frozenset("b")}
    assert labels() == set()


def test_services_whose_records_lie_in_one_place_bring_certificates_together() -> None:
    places = {OWNER: "_dane.example.org", "_465._tcp.mail.example.org": "_dane.example.org"}
    assert labels(kind("a", 25), kind("b", 465), kind("c", 443), places=places) == {frozenset("ab"), frozenset("c")}
    publishers = {"a": kind("a", 25).publisher, "b": kind("b", 465).publisher, "c": kind("c", 443).publisher}
    (group,) = grouped([kind("a", 25)], places)
    assert group.waits(OWNER, publishers, {}) == Waits(OWNER, ("b",), apart=False)


def waits(*kinds: Kind, configured: str) -> Waits | None:
    publishers = {label: kind(label, 25).publisher for label in configured} | {"elsewhere": kind("z", 465).publisher}
    return grouped(kinds, {})[0].waits(OWNER, publishers, {"a": ["a", "a+rsa-2048"]} if "2" in configured else {})


def test_first_records_wait_for_all_certificates_of_the_service() -> None:
    behind, new = Keys("AAAA", "BBBB"), Keys(None, "BBBB")
    assert waits(kind("a", 25), configured="a") is None
    assert waits(kind("a", 25), configured="ab") == Waits(OWNER, ("b",), apart=False)
    assert waits(kind("a", 25), kind("b", 25), configured="ab") is None
    assert waits(kind("a", 25), kind("b", 25, keys=behind), configured="ab") == Waits(OWNER, ("b",), apart=False)
    assert waits(kind("a", 25), kind("b", 25, keys=new), configured="ab") is None
    apart = waits(kind("a", 25), kind("b", 25, servers=["192.0.2.1"]), configured="ab")
    assert apart == Waits(OWNER, ("b",), apart=True)
    assert "in one change" in apart.hint
    assert "a run has all certificates of the service" in Waits(OWNER, ("b",), apart=False).hint
    assert waits(kind("a", 25), configured="a2") == Waits(OWNER, ("a+rsa-2048", "2"), apart=False)
