"""The target `files`: copies of key and certificates where a service looks for them, with its owner and modes.

All copies are written and synced beside their targets before the first is renamed; then the key goes first and the full chain last,
microseconds apart. No rename can put two files in place at once, so a service that reads by itself in that moment
can see a new key with an old certificate. Services that read when they are told to (`reload`) cannot; those that
watch the certificate find its key already there. A run killed in between leaves the deployment unfinished
in the state, and the next run installs all files again.

A symbolic link at the place of a copy is replaced by the copy, never followed: the folder can belong to the service's user, who
could point root's pen anywhere. A link to the folder itself is the administrator's, and is followed.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

from pydantic import Field, field_validator

from acmectl import files
from acmectl.errors import DeployError
from acmectl.options import Argv, ConfigPath, Duration, Mode, Options

_ORDER = ("privkey", "chain", "cert", "fullchain")


class FileNames(Options):
    """Under which names to install which parts; a part that is left out is not installed."""

    privkey: str | None = None
    chain: str | None = None
    cert: str | None = None
    fullchain: str | None = None

    @field_validator("*")
    @classmethod
    def _plain(cls, name: str | None) -> str | None:
        if name is not None and (not name or "/" in name or "\0" in name or name in {".", ".."}):
            raise ValueError("not a file name: write it without a directory, such as `tls.key`")
        return name


_ALL = FileNames(privkey="privkey.pem", chain="chain.pem", cert="cert.pem", fullchain="fullchain.pem")


class FilesOptions(Options):
    """The options of a target `files`. `owner` and `group` are names or numbers; without them we own the copies."""

    directory: ConfigPath
    files: FileNames = _ALL
    key_mode: Mode = 0o600
    certificate_mode: Mode = 0o644
    owner: str | None = None
    group: str | None = None
    reload: Argv | None = None
    reload_timeout: Duration = Field(default=timedelta(minutes=1), gt=timedelta(0))

    @field_validator("key_mode")
    @classmethod
    def _secret(cls, mode: int) -> int:
        if mode & 0o007:
            raise ValueError('a key must not be readable by everybody: use "0600", or "0640" with a `group`')
        return mode

    @field_validator("files")
    @classmethod
    def _distinct(cls, names: FileNames) -> FileNames:
        chosen = [name for part in _ORDER if (name := getattr(names, part))]
        if not chosen or len(set(chosen)) < len(chosen):
            raise ValueError("name at least one file, and each differently")
        return names

    @property
    def copies(self) -> tuple[Path, ...]:
        """The files that the target writes, in this order."""
        return tuple(self.directory / name for part in _ORDER if (name := getattr(self.files, part)))

    def beside(self, suffix: str) -> FilesOptions:
        """The same with a suffix to every name, such as `privkey-rsa.pem`: for a second certificate in the same directory."""
        names = {part: _suffixed(name, suffix) for part in _ORDER if (name := getattr(self.files, part))}
        return self.model_copy(update={"files": FileNames(**names)})


def _suffixed(name: str, suffix: str) -> str:
    path = Path(name)
    return f"{path.stem}-{suffix}{path.suffix}"


class FilesTarget:
    """One configured folder of copies."""

    def __init__(self, options: FilesOptions) -> None:
        """Nothing is looked up or made yet."""
        self._options = options

    @property
    def reload_command(self) -> tuple[str, ...] | None:
        """What makes the service read its files again; targets that share it need it once."""
        return self._options.reload

    @property
    def reload_timeout(self) -> timedelta:
        """How long the reload may take."""
        return self._options.reload_timeout

    @property
    def digest(self) -> str:
        """A hash of all options: a target whose digest changed is deployed anew."""
        return hashlib.sha256(self._options.model_dump_json().encode("utf-8")).hexdigest()

    def stamp(self) -> str:
        """Sizes and times of the copies as they are now: another one means that somebody touched, or removed, a copy."""
        return " ".join(_stamp(copy) for copy in self._options.copies)

    def install(self, generation: Path) -> None:
        """Copy the files of a generation's folder, making the directory (0755) if there is none.

        Installing the same twice is no failure. The key of a generation that is for a person's CSR is not here to be copied. Raises DeployError: unknown owner or group, a directory that cannot be written,
        a full disk. Every old copy is then still in place.
        """
        options = self._options
        uid = files.user_id(options.owner, of="the target", error=DeployError)
        gid = files.group_id(options.group, of="the target", error=DeployError)
        parts = [
            (part, name) for part in _ORDER if (name := getattr(options.files, part)) and _is_there(generation, part)
        ]
        if not parts:
            raise DeployError(
                "the target wants the private key alone, and the certificate is for a CSR whose key is not on this host",
                hint="name other parts in its `files`, or remove the target",
            )
        copies = [
            files.NewFile(
                options.directory / name,
                files.read(generation / f"{part}.pem", what=f"the {part} to deploy", error=DeployError),
                options.key_mode if part == "privkey" else options.certificate_mode,
            )
            for part, name in parts
        ]
        files.make_directory(options.directory, mode=0o755, error=DeployError)
        for copy in copies:
            files.remove_leftovers(copy.path, error=DeployError)
        files.write_together(copies, uid=uid, gid=gid, error=DeployError)


def _stamp(copy: Path) -> str:
    try:
        status = copy.lstat()
    except OSError:
        return "-"
    return f"{status.st_size}@{status.st_mtime_ns}"


def _is_there(generation: Path, part: str) -> bool:
    return part != "privkey" or not (generation / "csr.pem").exists() or (generation / "privkey.pem").exists()
