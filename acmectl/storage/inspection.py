"""What lies in the folder of a generation: whole or damaged, and what its certificate says."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from acmectl import files, keys
from acmectl.errors import KeyMaterialError, StorageError
from acmectl.model.certificates import Installed
from acmectl.storage import folders

KEY, CSR, LEAF, CHAIN, FULLCHAIN = "privkey.pem", "csr.pem", "cert.pem", "chain.pem", "fullchain.pem"
CURRENT = "current"
PARTS = (KEY, LEAF, CHAIN, FULLCHAIN)
KEYLESS = (CSR, LEAF, CHAIN, FULLCHAIN)
"""The files of a generation that was issued for a person's CSR: the private key is not on this host."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Why a generation cannot be used."""

    reason: str


def stamp_of(directory: Path) -> str | Damage:
    """Sizes and times of the files of a generation, which change with their content; or what is missing."""
    with folders.translated(f"read `{directory}`"):
        if folders.is_blocked(directory):
            return Damage(f"`{directory}` is no folder")
    stamps = []
    for name in _parts(directory):
        try:
            status = (directory / name).stat()
        except FileNotFoundError:
            return Damage(f"`{directory / name}` is missing")
        except OSError as cause:
            if cause.errno == errno.ELOOP:
                return Damage(f"`{directory / name}` is a link that leads to itself")
            raise StorageError(
                f"cannot read `{directory}`: {files.reason(cause)}", hint=files.hint_for(cause)
            ) from cause
        if not status.st_size and name != CHAIN:  # a CA without an intermediate has no chain
            return Damage(f"`{directory / name}` is empty")
        stamps.append(f"{status.st_size}@{status.st_mtime_ns}")
    return " ".join(stamps)


def parse(label: str, generation: int, directory: Path) -> Installed | Damage:
    """Parse a generation, and compare its files.

    The key (or the CSR it was issued for) is compared with the certificate, and the full chain with its two parts: services
    get whatever is in it, and a server without its intermediates is trusted by few.
    """
    has_key = _parts(directory) is PARTS
    try:
        leaf_pem, chain, full = (
            files.read(directory / name, what="the certificate") for name in (LEAF, CHAIN, FULLCHAIN)
        )
        leaf = keys.read_chain(leaf_pem, what=f"`{directory / LEAF}`")
        spki = _pin(directory, has_key=has_key)
    except (KeyMaterialError, StorageError) as cause:
        return Damage(cause.message)
    if leaf.spki != spki:
        return Damage(f"key and certificate in `{directory}` do not belong together")
    if full != leaf_pem + chain:  # byte for byte, as they were written
        return Damage(f"`{directory / FULLCHAIN}` is not `{LEAF}` and `{CHAIN}` together: one of them is damaged")
    return Installed(
        label=label,
        generation=generation,
        names=leaf.names,
        key_type=leaf.key_type,
        serial=leaf.serial,
        fingerprint=leaf.fingerprint,
        issuer=leaf.issuer,
        not_before=leaf.not_before,
        not_after=leaf.not_after,
        spki=leaf.spki,
        has_key=has_key,
    )


def _parts(directory: Path) -> tuple[str, ...]:
    with folders.translated(f"read `{directory}`"):
        if not folders.exists(directory / KEY) and folders.exists(directory / CSR):
            return KEYLESS
        return PARTS


def _pin(directory: Path, *, has_key: bool) -> str:
    if has_key:
        key_file = directory / KEY
        return keys.pin(keys.from_pem(files.read(key_file, what="the private key"), what=f"`{key_file}`"))
    csr_file = directory / CSR
    return keys.read_csr(files.read(csr_file, what="the CSR"), what=f"`{csr_file}`").spki
