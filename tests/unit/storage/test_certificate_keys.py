"""Keys that are no generation's yet: placed by a person, made ahead, given as files, or never to be used again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from acmectl import keys
from acmectl.errors import KeyMaterialError, StorageError
from acmectl.model.certificates import CertificateSpec, KeyType
from acmectl.model.names import Identifier
from acmectl.policy.key_choice import KeyAtHand
from acmectl.storage.certificates import Certificates
from acmectl.storage.state import StateDirectory
from tests.unit.storage.certificate_maker import make_chain

NAMES = frozenset({Identifier("mail.example.com")})
SPEC = CertificateSpec("mail", NAMES, "default", None)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDirectory]:
    state = StateDirectory(tmp_path / "state")
    state.create()
    yield state
    state.close()


@pytest.fixture
def certificates(state: StateDirectory) -> Certificates:
    return state.certificates


def new_key(key_type: KeyType = KeyType.ECDSA_P256) -> bytes:
    return keys.to_pem(keys.generate(key_type))


def pin(pem: bytes) -> str:
    return keys.pin(keys.from_pem(pem, what="the key"))


def write(path: Path, content: bytes, mode: int = 0o600) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def signing_request(key_pem: bytes, *names: str) -> bytes:
    sans = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(sans, critical=False)
    return builder.sign(keys.from_pem(key_pem, what="the key"), SHA256()).public_bytes(Encoding.PEM)


def issue(certificates: Certificates, key_pem: bytes, *, csr: bool = False) -> int:
    """A generation in use for this key."""
    chain = make_chain(keys.from_pem(key_pem, what="the key"))
    request = signing_request(key_pem, "mail.example.com")
    draft = certificates.begin_for_csr("mail", request) if csr else certificates.begin("mail", key_pem)
    certificates.complete(draft, chain)
    certificates.switch("mail", draft.generation)
    return draft.generation


def test_a_placed_key_is_private_and_comes_back(certificates: Certificates) -> None:
    assert certificates.placed_key("mail") is None
    pem = new_key()
    certificates.place_key("mail", pem)
    assert certificates.placed_key("mail") == pem
    path = certificates.keys.path("mail", "placed-key.pem")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    imposed = certificates.keys.imposed(SPEC)
    assert imposed is not None
    assert (imposed.spki, imposed.names) == (pin(pem), None)
    assert str(path) in imposed.origin


def test_what_is_no_key_is_not_placed(certificates: Certificates) -> None:
    with pytest.raises(KeyMaterialError, match="the key for `mail` is no private key"):
        certificates.place_key("mail", b"hunter2")
    assert certificates.placed_key("mail") is None


def test_a_placed_key_that_others_may_read_is_refused(certificates: Certificates) -> None:
    certificates.place_key("mail", new_key())
    certificates.keys.path("mail", "placed-key.pem").chmod(0o644)
    with pytest.raises(StorageError, match="can be read or written by others"):
        certificates.placed_key("mail")
    with pytest.raises(StorageError, match="can be read or written by others"):
        certificates.keys.imposed(SPEC)


def test_a_placed_key_of_another_type_than_configured_says_what_to_configure(certificates: Certificates) -> None:
    certificates.place_key("mail", new_key(KeyType.ECDSA_P384))
    with pytest.raises(KeyMaterialError, match="is of type ecdsa-p384, not ecdsa-p256") as refused:
        certificates.keys.imposed(SPEC)
    assert refused.value.hint == "set `key: ecdsa-p384` for this certificate"


def test_a_key_file_is_used_as_it_is_and_a_replaced_one_is_noticed(certificates: Certificates, tmp_path: Path) -> None:
    first, second = new_key(KeyType.ECDSA_P384), new_key()
    file = write(tmp_path / "key.pem", first)
    spec = CertificateSpec("mail", NAMES, "default", None, key_file=file)
    for pem in (first, second):
        write(tmp_path / "new.pem", pem)
        (tmp_path / "new.pem").replace(file)
        imposed = certificates.keys.imposed(spec)
        assert imposed is not None
        assert (imposed.spki, imposed.origin) == (pin(pem), f"`{file}`")


def test_a_key_file_that_is_missing_open_to_others_or_garbage_is_an_error(
    certificates: Certificates, tmp_path: Path
) -> None:
    spec = CertificateSpec("mail", NAMES, "default", None, key_file=str(tmp_path / "key.pem"))
    with pytest.raises(StorageError, match="no such file"):
        certificates.keys.imposed(spec)
    write(tmp_path / "key.pem", new_key(), 0o644)
    with pytest.raises(StorageError, match="can be read or written by others"):
        certificates.keys.imposed(spec)
    write(tmp_path / "key.pem", b"hunter2")
    with pytest.raises(KeyMaterialError, match="is no private key in PEM form"):
        certificates.keys.imposed(spec)


def test_the_csr_of_a_person_imposes_its_key_and_tells_its_names(certificates: Certificates, tmp_path: Path) -> None:
    pem = new_key()
    file = write(tmp_path / "request.csr", signing_request(pem, "mail.example.com"), 0o644)
    imposed = certificates.keys.imposed(CertificateSpec("mail", NAMES, "default", None, csr_file=file))
    assert imposed is not None
    assert (imposed.spki, imposed.names) == (pin(pem), NAMES)


def test_a_csr_that_was_read_as_one_is_no_key_file(certificates: Certificates, tmp_path: Path) -> None:
    """Both tell a pin, and what a file holds is remembered; a file is one of the two."""
    file = write(tmp_path / "request.csr", signing_request(new_key(), "mail.example.com"))
    spec = CertificateSpec("mail", NAMES, "default", None, csr_file=file)
    assert certificates.keys.imposed(spec)
    with pytest.raises(KeyMaterialError, match="is no private key in PEM form"):
        certificates.keys.imposed(replace(spec, csr_file=None, key_file=file))
    key = write(tmp_path / "key.pem", new_key())
    assert certificates.keys.imposed(replace(spec, csr_file=None, key_file=key))
    with pytest.raises(KeyMaterialError):
        certificates.keys.imposed(replace(spec, csr_file=key))


def test_what_a_key_file_holds_is_remembered_and_without_the_database_read_again(
    certificates: Certificates, state: StateDirectory, tmp_path: Path
) -> None:
    file = write(tmp_path / "key.pem", new_key())
    spec = CertificateSpec("mail", NAMES, "default", None, key_file=file)
    imposed = certificates.keys.imposed(spec)
    assert state.memory.fact(f"key/{file}")
    assert certificates.keys.imposed(spec) == imposed
    state.memory.set_fact(f"key/{file}", None)
    assert certificates.keys.imposed(spec) == imposed


def test_a_prepared_key_outlives_pruning_and_shows_its_pin(certificates: Certificates) -> None:
    assert certificates.keys.next_pin("mail") is None
    assert certificates.keys.prepared("mail") is None
    pem = new_key()
    certificates.keys.prepare("mail", pem)
    for _ in range(4):
        issue(certificates, new_key())
    assert certificates.prune("mail", 1)
    assert certificates.keys.prepared("mail") == pem
    assert certificates.keys.next_pin("mail") == pin(pem)
    assert certificates.keys.path("mail", "next-key.pem").stat().st_mode & 0o777 == 0o600


def test_distrusted_keys_are_remembered_on_disk(certificates: Certificates, state: StateDirectory) -> None:
    assert certificates.keys.distrusted() == frozenset()
    certificates.keys.distrust("b")
    certificates.keys.distrust("a")
    certificates.keys.distrust("a")
    state.close()
    (state.path / "state.db").unlink(missing_ok=True)
    assert certificates.keys.distrusted() == {"a", "b"}
    assert certificates.labels() == ()


def test_at_hand_are_the_key_in_use_and_where_it_is_wanted_the_prepared_one(certificates: Certificates) -> None:
    pem, following = new_key(), new_key()
    issue(certificates, pem)
    certificates.keys.prepare("mail", following)
    at_hand = certificates.keys.at_hand(CertificateSpec("mail", NAMES, "default", None, prepare_key=True))
    assert at_hand.in_use == KeyAtHand(pin(pem), KeyType.ECDSA_P256)
    assert at_hand.prepared == KeyAtHand(pin(following), KeyType.ECDSA_P256)
    assert certificates.keys.at_hand(SPEC).prepared is None
    (certificates.current_directory("mail") / "cert.pem").unlink()
    assert certificates.keys.at_hand(SPEC).in_use == at_hand.in_use, "a key can be used again without its certificate"
    (certificates.current_directory("mail") / "privkey.pem").write_bytes(b"hunter2")
    assert certificates.keys.at_hand(SPEC).in_use is None


def test_a_generation_for_a_csr_has_no_key_and_is_whole(certificates: Certificates) -> None:
    pem = new_key()
    generation = issue(certificates, pem, csr=True)
    folder = certificates.generation_directory("mail", generation)
    assert sorted(path.name for path in folder.iterdir()) == ["cert.pem", "chain.pem", "csr.pem", "fullchain.pem"]
    current = certificates.current("mail")
    assert current is not None
    assert (current.has_key, current.spki) == (False, pin(pem))
    assert certificates.damage("mail", deep=True) is None
    assert certificates.keys.at_hand(SPEC).in_use is None, "a key that is not here cannot be used again"


def test_a_generation_for_a_csr_is_damaged_without_it(certificates: Certificates) -> None:
    generation = issue(certificates, new_key(), csr=True)
    (certificates.generation_directory("mail", generation) / "csr.pem").unlink()
    assert "privkey.pem` is missing" in (certificates.damage("mail") or "")


def test_the_certificate_of_another_key_than_the_csrs_is_refused(certificates: Certificates) -> None:
    draft = certificates.begin_for_csr("mail", signing_request(new_key(), "mail.example.com"))
    with pytest.raises(KeyMaterialError, match="is for another key than ours"):
        certificates.complete(draft, make_chain(keys.generate(KeyType.ECDSA_P256)))
    assert certificates.draft("mail", draft.generation) == draft


def test_the_generations_of_two_kinds_of_one_certificate_lie_beside_each_other(certificates: Certificates) -> None:
    for label in ("mail", "mail+rsa-2048"):
        certificates.begin(label, new_key())
    assert certificates.labels() == ("mail", "mail+rsa-2048")
