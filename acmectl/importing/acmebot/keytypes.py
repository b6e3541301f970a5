"""The kinds of keys that acmebot makes for a private key (it makes each), and where they lie.

acmebot keeps a private key over renewals until a person rolls it over, and pins depend on that. So a key that is there is used where it
is (`key_file`), and nothing of it is copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acmectl import files, keys
from acmectl.errors import KeyMaterialError, TakeoverError
from acmectl.importing.acmebot.reading import Acmebot, listed, whole_number
from acmectl.model.certificates import KeyType

_CURVES = {"secp256r1": KeyType.ECDSA_P256, "secp384r1": KeyType.ECDSA_P384}
_SIZES = {2048: KeyType.RSA_2048, 3072: KeyType.RSA_3072, 4096: KeyType.RSA_4096}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of key of a certificate.

    `suffix` is what acmebot calls it, `key_type` what a new one is, `file` the key that is there and can be used.
    """

    suffix: str
    key_type: KeyType
    file: Path | None


def kinds(acmebot: Acmebot, name: str, private_key: Mapping[str, Any], notes: list[str]) -> tuple[Kind, ...]:
    """What acmebot makes for the private key `name`, ECDSA first."""
    settings = acmebot.section("settings")
    allowed = [str(kind) for kind in listed(private_key.get("key_types", settings["key_types"]))]
    curve, size = (private_key.get(k, settings[k]) for k in ("key_curve", "key_size"))
    wanted: dict[str, KeyType] = {}
    if curve and "ecdsa" in allowed:
        wanted["ecdsa"] = _curve(name, str(curve).lower(), notes)
    if whole_number(size) and "rsa" in allowed:
        wanted["rsa"] = _size(name, whole_number(size), notes)
    return tuple(_kind(acmebot, name, suffix, key_type, notes) for suffix, key_type in wanted.items())


def _curve(name: str, curve: str, notes: list[str]) -> KeyType:
    if curve not in _CURVES:
        notes.append(f"`{name}`: keys on the curve {curve} are not made here; new ones are on secp384r1")
    return _CURVES.get(curve, KeyType.ECDSA_P384)


def _size(name: str, size: int, notes: list[str]) -> KeyType:
    if size not in _SIZES:
        notes.append(f"`{name}`: RSA keys of {size} bits are not made here; new ones have another size")
    return next((kind for bits, kind in _SIZES.items() if bits >= size), KeyType.RSA_4096)


def _kind(acmebot: Acmebot, name: str, suffix: str, key_type: KeyType, notes: list[str]) -> Kind:
    file = acmebot.path("private_key", name, suffix)
    if file is None or not file.exists():
        return Kind(suffix, key_type, None)
    try:
        key = keys.from_pem(files.read_secret(file, what="the key", error=TakeoverError), what=f"the key `{file}`")
    except (KeyMaterialError, TakeoverError) as error:
        hint = f" ({error.hint})" if error.hint else ""
        notes.append(
            f"{error.message}{hint}: until that is done, and `key_file` set, a new key is made, and pins of the old one fail"
        )
        return Kind(suffix, key_type, None)
    if keys.key_type_of(key) is None:
        notes.append(
            f"the key `{file}` is of a kind that is not used here: a new one is made, and pins of the old one fail"
        )
        return Kind(suffix, key_type, None)
    return Kind(suffix, key_type, file)
