"""Keys that are no generation's yet: placed by a person, made ahead, or given as files; and those never to be used again.

`certificates/LABEL/placed-key.pem` is a key that two hosts share on purpose; `next-key.pem` is the one made ahead, whose pin
people publish before it is used. Both lie beside the generations, where no pruning looks. `certificates/.distrusted-keys` lists pins.
Which key is in a file is remembered with the file's size and times, so that a run with nothing due parses nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acmectl import files, keys
from acmectl.errors import KeyMaterialError, StorageError
from acmectl.model.certificates import CertificateSpec, ImposedKey, KeyType
from acmectl.model.names import Identifier
from acmectl.policy.key_choice import KeyAtHand, KeysAtHand
from acmectl.storage import folders
from acmectl.storage.inspection import CSR, CURRENT, KEY
from acmectl.storage.memory import Memory
from acmectl.storage.published_keys import PublishedKeysStore

PLACED, PREPARED = "placed-key.pem", "next-key.pem"
_DISTRUSTED = ".distrusted-keys"


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a file with a key or a CSR holds; `names` are those of a CSR."""

    spki: str
    key_type: KeyType | None
    names: frozenset[Identifier] | None = None


class CertificateKeys:
    """The keys beside the generations. Whatever changes them needs the lock of the state directory."""

    def __init__(self, directory: Path, memory: Memory) -> None:
        """`directory` is that of all certificates; `memory` keeps which key a file holds."""
        self._directory = directory
        self._memory = memory
        self.published = PublishedKeysStore(directory)

    def path(self, label: str, name: str) -> Path:
        """Where `name` (such as PLACED or PREPARED) of a certificate lies."""
        return self._directory / folders.check_name(label, what="a certificate") / name

    def place(self, label: str, pem: bytes) -> None:
        """From its next issue on, the certificate has this key (0600, whole or not there). Raises StorageError, KeyMaterialError."""
        self._write(label, PLACED, pem)

    def placed(self, label: str) -> bytes | None:
        """The key that was placed for a certificate. Raises StorageError where it may not be read, or others may read it."""
        return self._read(label, PLACED)

    def prepare(self, label: str, pem: bytes) -> None:
        """Keep this key (0600) for the next key change, in place of an earlier one. Raises StorageError, KeyMaterialError."""
        self._write(label, PREPARED, pem)

    def prepared(self, label: str) -> bytes | None:
        """The key made ahead. Raises StorageError as `placed` does."""
        return self._read(label, PREPARED)

    def next_pin(self, label: str) -> str | None:
        """The pin of the key made ahead, for people who publish it before it is used; None without such a key."""
        found = self._at_hand(label, PREPARED)
        return found.spki if found else None

    def distrust(self, spki: str) -> None:
        """Never again use the key with this pin: it was revoked as compromised. Raises StorageError."""
        files.make_directory(self._directory.parent)
        files.make_directory(self._directory)
        pins = sorted({*self.distrusted(), spki})
        files.write_atomically(self._directory / _DISTRUSTED, "".join(f"{pin}\n" for pin in pins).encode("ascii"))

    def distrusted(self) -> frozenset[str]:
        """The pins of keys that were revoked as compromised."""
        path = self._directory / _DISTRUSTED
        with folders.translated(f"read `{path}`"):
            if not folders.exists(path):
                return frozenset()
        return frozenset(files.read(path, what="the list of distrusted keys").decode("ascii", "replace").split())

    def imposed(self, spec: CertificateSpec) -> ImposedKey | None:
        """The key that a person wants the certificate to have: of its CSR, its key file, or placed for it.

        Raises StorageError and KeyMaterialError for a file that cannot be used.
        """
        if spec.csr_file is not None:
            found = self._csr(Path(spec.csr_file))
            return ImposedKey(f"the CSR `{spec.csr_file}`", found.spki, found.names)
        if spec.key_file is not None:
            return ImposedKey(f"`{spec.key_file}`", self._key(Path(spec.key_file)).spki)
        placed = self._at_hand(spec.label, PLACED)
        if placed is None:
            return None
        if placed.key_type is not spec.key_type:
            raise KeyMaterialError(
                f"the key that was placed for `{spec.title}` is of type {placed.key_type or 'unknown'}, not {spec.key_type}",
                hint=f"set `key: {placed.key_type}` for this certificate" if placed.key_type else None,
            )
        return ImposedKey(f"`{self.path(spec.label, PLACED)}` was placed for it", placed.spki)

    def at_hand(self, spec: CertificateSpec) -> KeysAtHand:
        """What there is to choose the next key from. Raises as `imposed` does.

        A key that was made ahead while keys were published is there for when that in use was compromised, whatever is configured now.
        """
        published, in_use, distrusted = self.published.known(spec.label), self._in_use(spec.label), self.distrusted()
        takes_prepared = spec.prepare_key or (spec.pinned and in_use is not None and in_use.spki in distrusted)
        return KeysAtHand(
            imposed=self.imposed(spec),
            in_use=in_use,
            prepared=self._at_hand(spec.label, PREPARED) if takes_prepared else None,
            distrusted=distrusted,
            usable=published.usable if spec.pinned else None,
            left=published.left,
            elsewhere=self._elsewhere(spec.label) if spec.pinned and in_use is None else None,
        )

    def in_use(self, label: str) -> Path:
        """Where the key of the generation in use lies, if it is on this host."""
        return self.path(label, CURRENT) / KEY

    def _in_use(self, label: str) -> KeyAtHand | None:
        """The key in use, also where certificates beside it are missing; None where it is damaged itself."""
        with folders.translated(f"read `{self.in_use(label)}`"), contextlib.suppress(FileNotFoundError):
            self.in_use(label).stat()
            with contextlib.suppress(KeyMaterialError):
                found = self._key(self.in_use(label))
                return KeyAtHand(found.spki, found.key_type)
        return None

    def _elsewhere(self, label: str) -> str | None:
        """The pin of the key in use, where a person's CSR is all that is on this host."""
        path = self.path(label, CURRENT) / CSR
        with folders.translated(f"read `{path}`"):
            return self._csr(path).spki if folders.exists(path) else None

    def _at_hand(self, label: str, name: str) -> KeyAtHand | None:
        path = self.path(label, name)
        with folders.translated(f"read `{path}`"):
            if not folders.exists(path):
                return None
        found = self._key(path)
        return KeyAtHand(found.spki, found.key_type)

    def _key(self, path: Path) -> _Facts:
        def parse() -> _Facts:
            key = keys.from_pem(files.read_secret(path, what="the private key"), what=f"`{path}`")
            return _Facts(keys.pin(key), keys.key_type_of(key))

        return self._remembered("key", path, parse)

    def _csr(self, path: Path) -> _Facts:
        def parse() -> _Facts:
            csr = keys.read_csr(files.read(path, what="the CSR"), what=f"`{path}`")
            return _Facts(csr.spki, csr.key_type, csr.names)

        return self._remembered("csr", path, parse)

    def _remembered(self, kind: str, path: Path, parse: Callable[[], _Facts]) -> _Facts:
        """What `parse` said of the file as a `kind`: a CSR is no key, although both tell a pin."""
        try:
            status = path.stat()
        except OSError as cause:
            raise StorageError(f"cannot read `{path}`: {files.reason(cause)}", hint=files.hint_for(cause)) from cause
        stamp = f"{status.st_size}@{status.st_mtime_ns}@{status.st_ctime_ns}"  # a mode that changed is looked at again
        fact = f"{kind}/{path}"
        known = self._memory.fact(fact)
        if known is not None and (found := _decode(known, stamp)) is not None:
            return found
        found = parse()
        with contextlib.suppress(StorageError):  # only saves time; a read-only state directory can be looked at
            self._memory.set_fact(fact, _encode(found, stamp))
        return found

    def _read(self, label: str, name: str) -> bytes | None:
        path = self.path(label, name)
        with folders.translated(f"read `{path}`"):
            if not folders.exists(path):
                return None
        return files.read_secret(path, what="the private key")

    def _write(self, label: str, name: str, pem: bytes) -> None:
        path = self.path(label, name)
        keys.from_pem(pem, what=f"the key for `{label}`")
        for directory in (self._directory.parent, self._directory, path.parent):
            files.make_directory(directory)
        folders.sweep(path.parent)
        files.write_atomically(path, pem)


def _encode(facts: _Facts, stamp: str) -> str:
    names = None if facts.names is None else sorted(name.value for name in facts.names)
    return json.dumps([stamp, facts.spki, facts.key_type, names])


def _decode(text: str, stamp: str) -> _Facts | None:
    seen, spki, key_type, names = json.loads(text)
    if seen != stamp:
        return None
    listed = None if names is None else frozenset(Identifier(name) for name in names)
    return _Facts(spki, KeyType(key_type) if key_type else None, listed)
