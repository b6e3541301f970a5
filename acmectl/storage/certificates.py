"""Certificates on disk, as generations: `certificates/LABEL/7/` with its files, and the link `current -> 7`.

A generation begins as a draft, a folder with a key (or a person's CSR) alone, which is safe on disk before a CA hears of it. It is complete once it has its
`fullchain.pem`, written last, and is in use once `current` points to it: one rename, so that key and chain change together.
What a certificate says is remembered with sizes and times of its files, so that a run with nothing due parses nothing.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from acmectl import files, keys
from acmectl.errors import KeyMaterialError, StorageError
from acmectl.model.certificates import Installed
from acmectl.storage import folders, inspection
from acmectl.storage.certificate_keys import CertificateKeys
from acmectl.storage.inspection import CHAIN, CSR, CURRENT, FULLCHAIN, KEY, LEAF, PARTS, Damage
from acmectl.storage.lineages import Lineages
from acmectl.storage.memory import Memory

_PUBLIC = 0o644  # of certificates; the folders around them are 0700


@dataclass(frozen=True, slots=True)
class Draft:
    """A generation that has a key, or a person's CSR, and no certificate yet. One of both is empty; `spki` is the key's pin."""

    label: str
    generation: int
    directory: Path
    key_pem: bytes = field(repr=False)
    csr_pem: bytes = field(default=b"", repr=False)

    @property
    def spki(self) -> str:
        """The pin of its key. Raises KeyMaterialError."""
        if self.csr_pem:
            return keys.read_csr(self.csr_pem, what="the CSR of the draft").spki
        return keys.pin(keys.from_pem(self.key_pem, what="the private key"))


class Certificates:
    """The certificates of this host. Whatever changes them needs the lock of the state directory."""

    def __init__(self, directory: Path, memory: Memory) -> None:
        """`directory` is made by the first draft, `live` beside it by the first link; `memory` keeps what parsing said."""
        self._directory = directory
        self._memory = memory
        self.keys = CertificateKeys(directory, memory)
        self.lineages = Lineages(directory.with_name("live"), directory)

    def place_key(self, label: str, pem: bytes) -> None:
        """From its next issue on, the certificate has this key. Raises StorageError, KeyMaterialError."""
        self.keys.place(label, pem)

    def placed_key(self, label: str) -> bytes | None:
        """The key that was placed for a certificate, in PEM."""
        return self.keys.placed(label)

    def labels(self) -> tuple[str, ...]:
        """The labels that something lies here of, sorted: some may have drafts only, and some be no folder."""
        return tuple(name for name in folders.entries(self._directory) if folders.is_name(name))

    def generations(self, label: str) -> tuple[int, ...]:
        """The complete generations, in use or not, ascending."""
        found = ((number, self.generation_directory(label, number)) for number in self._numbers(label))
        with folders.translated(f"read `{self._folder(label)}`"):
            return tuple(number for number, place in found if place.is_dir() and folders.exists(place / FULLCHAIN))

    def current_directory(self, label: str) -> Path:
        """Where services find the certificate in use: the path of the link `current`, which may not exist yet."""
        return self._folder(label) / CURRENT

    def generation_directory(self, label: str, generation: int) -> Path:
        """Where one generation lies."""
        return self._folder(label) / str(generation)

    def current(self, label: str) -> Installed | None:
        """The certificate in use; None if there is none, or it is damaged (see `damage`).

        Raises StorageError where we may not look.
        """
        found = self._inspect_current(label)
        return found if isinstance(found, Installed) else None

    def installed(self, label: str, generation: int) -> Installed | None:
        """One complete generation, in use or not; None if it is missing, unfinished or damaged."""
        found = self._inspect(label, generation)
        return found if isinstance(found, Installed) else None

    def in_use(self, label: str) -> int | None:
        """The number of the generation in use, damaged or not. Raises StorageError."""
        return self._current_number(label)

    def damage(self, label: str, *, deep: bool = False) -> str | None:
        """Why the generation in use cannot be used; None if it can, or if there is none.

        Files that changed since they were last parsed are parsed, and their key compared; `deep` does so in any case.
        """
        found = self._inspect_current(label, deep=deep)
        return found.reason if isinstance(found, Damage) else None

    def begin(self, label: str, key_pem: bytes) -> Draft:
        """The next generation, with its key on disk (0600 in 0700, synced). Raises StorageError."""
        return self._begin(label, KEY, key_pem)

    def begin_for_csr(self, label: str, csr_pem: bytes) -> Draft:
        """The next generation for a person's CSR: its private key is not on this host. Raises StorageError."""
        return self._begin(label, CSR, csr_pem)

    def _begin(self, label: str, name: str, content: bytes) -> Draft:
        folder = self._folder(label)
        for directory in (self._directory.parent, self._directory, folder):
            files.make_directory(directory)
        folders.sweep(folder)
        used = [*self._numbers(label), self._current_number(label) or 0]
        directory = folder / str(max(used) + 1)
        folders.put(folders.build(directory, {name: content}), directory)
        return _draft(label, max(used) + 1, directory, name, content)

    def draft(self, label: str, generation: int) -> Draft | None:
        """An unfinished generation; None if there is none, it was completed, or its key is not usable any more."""
        directory = self.generation_directory(label, generation)
        with folders.translated(f"read `{directory}`"):
            if folders.exists(directory / FULLCHAIN):
                return None
            name = next((name for name in (KEY, CSR) if folders.exists(directory / name)), None)
        if name is None:
            return None
        draft = _draft(label, generation, directory, name, files.read_secret(directory / name, what="the private key"))
        try:
            draft.spki  # noqa: B018  # whether it can be told
        except KeyMaterialError:
            return None
        return draft

    def complete(self, draft: Draft, chain_pem: bytes) -> Installed:
        """Write the certificates beside the key, after checking that they belong together.

        Raises KeyMaterialError for a chain that cannot be read, or certifies another key (two hosts that share an
        order: one gets the other's certificate); StorageError. A completed draft is not yet in use: `switch`.
        """
        facts = keys.read_chain(chain_pem)
        if facts.spki != draft.spki:
            raise KeyMaterialError(
                f"the certificate that came for `{draft.label}` is for another key than ours"
                f" (serial {facts.serial}): another host finalized the same order"
            )
        leaf, *rest = keys.split_chain(chain_pem)
        folders.sweep(draft.directory)
        parts = {LEAF: leaf, CHAIN: b"".join(rest), FULLCHAIN: b"".join([leaf, *rest])}
        for name, content in parts.items():  # the full chain last: it makes the generation complete
            files.write_atomically(draft.directory / name, content, mode=_PUBLIC)
        found = self._inspect(draft.label, draft.generation)
        if isinstance(found, Damage):
            raise StorageError(f"`{draft.directory}` changed while it was written: {found.reason}")
        return found

    def switch(self, label: str, generation: int) -> None:
        """Make a complete generation the one in use, by one rename. Raises StorageError, and changes nothing then."""
        found = self._inspect(label, generation)
        if isinstance(found, Damage):
            raise StorageError(f"generation {generation} of `{label}` cannot be used: {found.reason}")
        link = self.current_directory(label)
        with folders.translated(f"switch `{link}`"):
            if link.is_dir() and not link.is_symlink():
                hint = f"a copy that followed links leaves it so: `mv {link} {link}.away`, and then `acmectl run`"
                raise StorageError(
                    f"`{link}` is a directory, where the link to the generation in use belongs", hint=hint
                )
            temporary = files.temporary_name(link)
            temporary.symlink_to(str(generation))
            try:
                temporary.replace(link)
            except BaseException:
                temporary.unlink()
                raise
            files.sync_directory(link.parent)

    def drop(self, draft: Draft) -> None:
        """Remove an unfinished generation with its key; one that is gone is no error. Raises StorageError."""
        with folders.translated(f"read `{draft.directory}`"):
            there = folders.exists(draft.directory)
            complete = folders.exists(draft.directory / FULLCHAIN)
        if complete:
            raise StorageError(f"`{draft.directory}` is no draft: it has a certificate")
        if there:
            folders.remove(draft.directory)

    def remove(self, label: str) -> None:
        """Remove all of a certificate, with its keys; nothing there is no error. Raises StorageError."""
        folder = self._folder(label)
        self.lineages.remove(label)
        with folders.translated(f"read `{folder}`"):
            there = folders.exists(folder)
        if there:
            folders.remove(folder)
        with folders.translated(f"read `{self._directory}`"):
            if folders.exists(self._directory):
                folders.sweep(self._directory)  # what a run left that was killed while it removed one

    def prune(self, label: str, keep: int) -> tuple[int, ...]:
        """Remove old generations and return their numbers.

        Kept are the newest `keep`, the one in use, the one before it (for a rollback), and drafts
        newer than the one in use. Raises StorageError.
        """
        complete, current = self.generations(label), self._current_number(label)
        if current is None:
            return ()
        before = [number for number in complete if number < current][-1:]
        kept = {*complete[-max(keep, 1) :], *before, current}
        doomed = tuple(n for n in self._numbers(label) if n not in kept and (n in complete or n < current))
        for number in doomed:
            folders.remove(self.generation_directory(label, number))
        folders.sweep(self._folder(label))
        if doomed:
            self._memory.forget_parsed(label, doomed)
        return doomed

    def _folder(self, label: str) -> Path:
        return self._directory / folders.check_name(label, what="a certificate")

    def _numbers(self, label: str) -> tuple[int, ...]:
        """All generations, complete or not."""
        with folders.translated(f"read `{self._folder(label)}`"):
            if folders.is_blocked(self._folder(label)):
                return ()
        names = folders.entries(self._folder(label))
        return tuple(sorted(int(name) for name in names if name.isdecimal() and name.isascii()))

    def _current_number(self, label: str) -> int | None:
        """The generation that `current` names; None if there is no such link, or it names none."""
        link = self.current_directory(label)
        with folders.translated(f"read `{link}`"):
            name = str(link.readlink()) if link.is_symlink() else ""
        return int(name) if name.isdecimal() and name.isascii() else None

    def _inspect_current(self, label: str, *, deep: bool = False) -> Installed | Damage | None:
        number, link = self._current_number(label), self.current_directory(label)
        if number is not None:
            return self._inspect(label, number, deep=deep)
        with folders.translated(f"read `{link}`"):
            if folders.is_blocked(link.parent):
                return Damage(f"`{link.parent}` is no folder")
            exists = folders.exists(link)
        return Damage(f"`{link}` is no link to a generation") if exists else None

    def _inspect(self, label: str, generation: int, *, deep: bool = False) -> Installed | Damage:
        """What lies in a generation: remembered if its files are unchanged, else parsed and remembered."""
        directory = self.generation_directory(label, generation)
        stamp = inspection.stamp_of(directory)
        if isinstance(stamp, Damage):
            return stamp
        known = None if deep else self._memory.parsed_certificate(label, generation, stamp=stamp)
        if known:
            return known
        found = inspection.parse(label, generation, directory)
        if isinstance(found, Installed):
            with contextlib.suppress(StorageError):  # only saves time; a read-only state directory can be looked at
                self._memory.remember_parsed(found, stamp=stamp)
        return found


def _draft(label: str, generation: int, directory: Path, name: str, content: bytes) -> Draft:
    key_pem, csr_pem = (content, b"") if name == KEY else (b"", content)
    return Draft(label, generation, directory, key_pem, csr_pem)


__all__ = ["CHAIN", "CSR", "FULLCHAIN", "KEY", "LEAF", "PARTS", "Certificates", "Draft"]
