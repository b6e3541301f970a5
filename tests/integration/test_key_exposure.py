"""No private key is readable by the group or others at any moment of its life, as the kernel saw it (strace).

A file is secret by what is written into it, not by its name: every file that ever got a private key must have been created
with a mode that gives nothing to others, and must never have been given more, also not under its temporary name.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CALLS = "open,openat,creat,write,pwrite64,chmod,fchmod,fchmodat,rename,renameat,renameat2,link,linkat,mkdir,mkdirat"
_OPENED = re.compile(r'open(?:at)?\(.*?"([^"]+)", ([A-Z_|]+)(?:, (0\d+))?\) = \d+<')
_WRITTEN = re.compile(r'p?write(?:64)?\(\d+<([^>]+)>, "(.*)"')
_CHANGED = re.compile(r'f?chmod(?:at)?\((?:\d+<([^>]+)>|"([^"]+)"|AT_FDCWD<[^>]*>, "([^"]+)"), (0\d+)')
_RENAMED = re.compile(r'rename(?:at2?)?\((?:AT_FDCWD<[^>]*>, )?"([^"]+)", (?:AT_FDCWD<[^>]*>, )?"([^"]+)"')
_MADE = re.compile(r'mkdir(?:at)?\((?:AT_FDCWD<[^>]*>, )?"([^"]+)", (0\d+)\)\s+= 0')
_SECRET = re.compile(r"PRIVATE KEY-----|UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW")  # plain, or in base64

# the life of the keys of a host, run under a umask that would expose everything
LIFE = """
import os, sys, pathlib
from dataclasses import replace
from datetime import UTC, datetime
os.umask(0)
from acmectl import keys
from acmectl.deploy import registry
from acmectl.deploy.files import FilesOptions
from acmectl.model.certificates import KeyType
from acmectl.storage.accounts import StoredAccount
from acmectl.storage.bundle import Bundle, read_bundle, write_bundle
from acmectl.storage.state import StateDirectory
from tests.unit.storage.certificate_maker import make_chain

base = pathlib.Path(sys.argv[1])
state = StateDirectory(base / "state")
with state.locked():
    key = keys.generate(KeyType.ECDSA_P256)
    account = StoredAccount("default", "https://d", "https://a", None, (), keys.thumbprint(key), keys.to_pem(key))
    state.accounts.save(account)
    state.accounts.save(account, replace=True)
    write_bundle(base / "plain.bundle", Bundle(account))
    write_bundle(base / "encrypted.bundle", Bundle(account), passphrase=b"correct horse")
    state.accounts.save(read_bundle(base / "plain.bundle").account, replace=True)
    new = keys.generate(KeyType.ECDSA_P256)
    state.accounts.save(replace(account, next_key_pem=keys.to_pem(new)), replace=True)
    state.accounts.save(state.accounts.load("default").rolled_over(), replace=True)
    write_bundle(base / "shared.bundle", Bundle(account, {"shared": keys.to_pem(new)}), passphrase=b"correct horse")
    for label, pem in read_bundle(base / "shared.bundle", passphrase=b"correct horse").certificate_keys.items():
        state.certificates.place_key(label, pem)
    state.accounts.archive("default", at=datetime.now(UTC))
    for name in ("one", "two", "three"):
        key = keys.generate(KeyType.ECDSA_P256)
        draft = state.certificates.begin("mail", keys.to_pem(key))
        state.certificates.complete(draft, make_chain(key))
        state.certificates.switch("mail", draft.generation)
        target = registry.build("files", FilesOptions(directory=base / "deployed"))
        target.put(target.made(state.certificates.current_directory("mail")))
    state.certificates.drop(state.certificates.begin("mail", keys.to_pem(key)))
    state.certificates.prune("mail", 1)
"""

CARELESS = """
import os, sys, pathlib
os.umask(0o022)
from acmectl import keys
from acmectl.model.certificates import KeyType
path = pathlib.Path(sys.argv[1]) / "key.pem"
path.write_bytes(keys.to_pem(keys.generate(KeyType.ECDSA_P256)))
path.chmod(0o600)
"""

WIDENING = CARELESS.replace("os.umask(0o022)", "os.umask(0o077)").replace("chmod(0o600)", "chmod(0o640)")


@dataclass
class Seen:
    """What the kernel saw: modes that each path ever had, and which paths ever held a secret."""

    modes: dict[str, set[int]] = field(default_factory=dict)
    secret: set[str] = field(default_factory=set)
    folders: dict[str, int] = field(default_factory=dict)

    @property
    def exposed(self) -> set[str]:
        return {path for path in self.secret if any(mode & 0o077 for mode in self.modes.get(path, {0o777}))}


def watch(program: str, base: Path) -> Seen:
    trace = base.with_name("trace")
    argv = ["strace", "-f", "-y", "-s", "4096", "-e", f"trace={_CALLS}", "-o", str(trace)]
    subprocess.run([*argv, sys.executable, "-c", program, str(base)], cwd=ROOT, check=True, capture_output=True)
    return read_trace(trace.read_text(errors="replace"))


def read_trace(trace: str) -> Seen:
    seen = Seen()
    for line in trace.splitlines():
        if (found := _OPENED.search(line)) and found[3]:
            seen.modes.setdefault(found[1], set()).add(int(found[3], 8))
        elif (found := _WRITTEN.search(line)) and _SECRET.search(found[2]):
            seen.secret.add(found[1])
        elif found := _CHANGED.search(line):
            seen.modes.setdefault(found[1] or found[2] or found[3], set()).add(int(found[4], 8))
        elif found := _RENAMED.search(line):
            _rename(seen, found[1], found[2])
        elif found := _MADE.search(line):
            seen.folders[found[1]] = int(found[2], 8)
    return seen


def _rename(seen: Seen, old: str, new: str) -> None:
    """A file, or all that lies in a folder, has another name now; under the old one it was what it was."""
    for path in [path for path in seen.secret if path == old or path.startswith(f"{old}/")]:
        there = new + path.removeprefix(old)
        seen.secret.add(there)
        seen.modes.setdefault(there, set()).update(seen.modes.get(path, {0o777}))


def test_no_key_is_readable_by_others_at_any_moment(tmp_path: Path) -> None:
    base = tmp_path / "host"
    base.mkdir()
    seen = watch(LIFE, base)
    assert seen.exposed == set()
    names = {Path(path).name for path in seen.secret}
    written = {"key.pem", "next-key.pem", "placed-key.pem", "privkey.pem", "plain.bundle"}
    assert written <= names, "the keys were not seen being written"
    assert not {"encrypted.bundle", "shared.bundle"} & names
    on_disk = {str(path) for path in base.rglob("*") if path.is_file() and _SECRET.search(path.read_text("latin-1"))}
    assert on_disk <= seen.secret | {str(base / "state/certificates/mail/current/privkey.pem")}, (
        "a key that strace missed"
    )
    private = {path: mode for path, mode in seen.folders.items() if path.startswith(f"{base}/state")}
    assert private
    assert set(private.values()) == {0o700}


def test_the_watcher_notices_a_key_that_was_private_a_moment_too_late(tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    assert watch(CARELESS, tmp_path / "host").exposed == {str(tmp_path / "host" / "key.pem")}


def test_the_watcher_notices_a_key_that_is_opened_up_later(tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    assert watch(WIDENING, tmp_path / "host").exposed == {str(tmp_path / "host" / "key.pem")}
