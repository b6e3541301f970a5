"""Certificates under their own names, `live/LABEL -> ../certificates/LABEL/current`, as certbot has them.

certbot tells its hooks a folder `live/NAME`, and many take the last part of the path for the certificate's name: `current` would be the
same for all. The link is made when a command is about to be told it. It never changes at a renewal, so there is nothing to
switch; a lost or wrong one is put right by one rename.
"""

from __future__ import annotations

from pathlib import Path

from acmectl import files
from acmectl.storage import folders
from acmectl.storage.inspection import CURRENT


class Lineages:
    """The links of all certificates. Whoever makes or removes one needs the lock of the state directory."""

    def __init__(self, directory: Path, certificates: Path) -> None:
        """`directory` holds the links, and is made by the first; `certificates`, beside it, the certificates."""
        self._directory = directory
        self._certificates = certificates

    def made(self, label: str) -> Path:
        """The link of a certificate, which leads to what is in use from now on. Raises StorageError."""
        link = self._link(label)
        target = f"../{self._certificates.name}/{label}/{CURRENT}"
        if files.standing_at(link).link != target:
            files.make_directory(self._directory)
            files.remove_leftovers(link)
            files.put_back([files.Standing(link, link=target)])
        return link

    def remove(self, label: str) -> None:
        """Remove a link, and what a killed run left of it; nothing there is no error. Raises StorageError."""
        link = self._link(label)
        with folders.translated(f"read `{self._directory}`"):
            there = folders.exists(self._directory)
        if there:
            files.remove_leftovers(link)
            files.put_back([files.Standing(link)])

    def _link(self, label: str) -> Path:
        return self._directory / folders.check_name(label, what="a certificate")
