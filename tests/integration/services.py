"""Real services that get their certificates from a follower: what the tests of all of them have in common.

A `Desk` is a follower host whose certificates come from a CA of the test and were put into its state directory, so that a run of
`acmectl` finds nothing to issue and only deploys. What a service serves is asked with `openssl s_client`, which nobody of us wrote.
"""

from __future__ import annotations

import grp
import pwd
import socket
import ssl
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from acmectl import keys
from acmectl.model.certificates import KIND, KeyType
from acmectl.storage.state import StateDirectory
from tests.integration.hosts import Finished, Host, await_true

LABEL = "site"
NAME = "www.service.test"
ECDSA, RSA = KeyType.ECDSA_P256, KeyType.RSA_2048
_NOBODY = "https://127.0.0.1:9/directory"
_FAMILIES = {
    "ecdsa": ("-sigalgs", "ECDSA+SHA256:ECDSA+SHA384"),
    "rsa": ("-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"),
}


class Authority:
    """A root and an intermediate CA, both made anew."""

    def __init__(self) -> None:
        """With keys of its own."""
        self._root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self._root = self._ca("test root", "test root", self._root_key, self._root_key)
        self._intermediate = self._ca("test intermediate", "test root", self._key, self._root_key)

    @property
    def root_pem(self) -> bytes:
        """What clients trust."""
        return self._root.public_bytes(Encoding.PEM)

    def chain(self, key: keys.PrivateKey, names: Sequence[str]) -> bytes:
        """A certificate that is valid for sixty days, and the intermediate one."""
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        ]
        leaf = _signed("", "test intermediate", key.public_key(), self._key, extensions)
        return leaf.public_bytes(Encoding.PEM) + self._intermediate.public_bytes(Encoding.PEM)

    @staticmethod
    def _ca(
        name: str, issuer: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey
    ) -> x509.Certificate:
        return _signed(name, issuer, key.public_key(), by, [(x509.BasicConstraints(ca=True, path_length=None), True)])


def _signed(
    name: str,
    issuer: str,
    public_key: Any,
    by: ec.EllipticCurvePrivateKey,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=60))
    )
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, critical=is_critical)
    return builder.sign(by, SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])


@dataclass(frozen=True)
class Desk:
    """A follower that deploys the certificate `site` to the targets of a test."""

    host: Host
    names: tuple[str, ...]
    kinds: tuple[KeyType, ...]

    @cached_property
    def authority(self) -> Authority:
        """Who signs this desk's certificates."""
        return Authority()

    def issue(self, *kinds: KeyType) -> dict[KeyType, int]:
        """Put a new certificate of each kind (or of these) into use, as an issue would have; their serial numbers."""
        return {kind: self._issue(kind) for kind in kinds or self.kinds}

    def _issue(self, kind: KeyType) -> int:
        label = LABEL if kind is self.kinds[0] else f"{LABEL}{KIND}{kind}"
        key = keys.generate(kind)
        with closing(StateDirectory(self.host.state)) as state, state.locked():
            draft = state.certificates.begin(label, keys.to_pem(key))
            installed = state.certificates.complete(draft, self.authority.chain(key, self.names))
            state.certificates.switch(label, draft.generation)
        return int(installed.serial, 16)

    def deploy(self, *targets: dict[str, Any]) -> None:
        """Configure these targets."""
        kinds = [kind.value for kind in self.kinds]
        certificate = {"names": list(self.names), "key": kinds if len(kinds) > 1 else kinds[0], "deploy": list(targets)}
        self.host.configure(certificates={LABEL: certificate})

    def place_first(self, *targets: dict[str, Any]) -> dict[KeyType, int]:
        """Issue the first certificates, and put the files in place for services that do not run yet."""
        serials = self.issue()
        self.deploy(*({**target, "check": [], "reload": [], "verify": []} for target in targets))
        self.run()
        return serials

    def seen(self, port: int, *options: str) -> dict[KeyType, int | None]:
        """What `served` finds on a port for each kind of key."""
        return {kind: served(port, *options, name=self.names[0], family=kind.family) for kind in self.kinds}

    def serves(self, port: int, serials: Mapping[KeyType, int], *options: str) -> bool:
        """Whether that is what is seen on a port, within seconds: while workers are exchanged, those on their way out may answer too."""
        await_true(
            lambda: self.seen(port, *options) == serials, seconds=30, what=f"the second certificate on port {port}"
        )
        return True

    def client(self) -> ssl.SSLContext:
        """A client that trusts this desk's root, and nobody else."""
        return ssl.create_default_context(cadata=self.authority.root_pem.decode("ascii"))

    def run(self, *arguments: str, expect: int | None = 0) -> Finished:
        """`acmectl follower run`, or another command."""
        return self.host.run(*(arguments or ("follower", "run")), expect=expect)


def desk(directory: Path, *names: str, kinds: Sequence[KeyType] = (ECDSA, RSA)) -> Desk:
    """A follower below `directory`, for these names; its CA does not exist, so that whoever asks it fails."""
    host = Host(directory / "follower", {"authority": {"directory": _NOBODY}})
    return Desk(host, names or (NAME,), tuple(kinds))


def served(port: int, *options: str, name: str = NAME, family: str = "") -> int | None:
    """The serial number of the certificate that `openssl s_client` gets on a port of 127.0.0.1 for a name; None if it gets none.

    `options` are more of its options, such as `-starttls xmpp`; `family` asks for a certificate with such a key, `rsa` or `ecdsa`.
    """
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name]
    argv += [*_FAMILIES.get(family, ()), *options]
    done = subprocess.run(argv, input=b"", capture_output=True, check=False, timeout=60)
    if b"-----BEGIN CERTIFICATE-----" not in done.stdout:
        return None
    return x509.load_pem_x509_certificate(done.stdout).serial_number


@contextmanager
def half_a_request(desk: Desk, port: int) -> Iterator[Callable[[], bytes]]:
    """A connection on which half an HTTP request was sent; the function sends the rest, and gives the first line of the answer."""
    name = desk.names[0]
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        desk.client().wrap_socket(plain, server_hostname=name) as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\n")

        def rest() -> bytes:
            tls.sendall(f"Host: {name}\r\nConnection: close\r\n\r\n".encode())
            with tls.makefile("rb") as answer:
                return answer.readline().strip()

        yield rest


def rights(directory: Path) -> dict[str, str]:
    """Owner, group and mode of each file below a directory, such as `root:prosody 0640`."""
    found = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            owner, group = pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name
            found[str(path.relative_to(directory))] = f"{owner}:{group} {stat.S_IMODE(status.st_mode):04o}"
    return found


def contents(directory: Path) -> dict[str, bytes]:
    """What each file in a directory holds."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
