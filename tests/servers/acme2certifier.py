"""acme2certifier, an ACME server that shares no code and no author with Pebble and the sandbox, on a free port of 127.0.0.1.

    with running_acme2certifier(tmp_path, trust=True) as server:
        Session(server.directory_url, ca_bundle=server.ca_bundle, key=key)

It is a WSGI application with a CA key in a file and a database in SQLite; werkzeug serves it over TLS in a process of its own.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers.pebble import free_ports
from tests.servers.tls import server_tls

_START_SECONDS = 30.0
_NOBODY = "127.53.53.53"  # it always asks port 53, and at this address nobody answers there
_RISK = "ACME2CERTIFIER_I_KNOW_THE_RISK"
_SERVE = """
import sys
from werkzeug.serving import run_simple
from acme2certifier.share.acme2certifier_wsgi import application
port, certificate, key = sys.argv[1:]
run_simple("127.0.0.1", int(port), application, threaded=True, ssl_context=(certificate, key))
"""


@dataclass(frozen=True, slots=True)
class Acme2certifier:
    """A running acme2certifier; `log` has what it printed."""

    directory_url: str
    ca_bundle: Path
    log: Path


@contextmanager
def running_acme2certifier(
    directory: Path, *, trust: bool = False, authorization: Mapping[str, str] | None = None
) -> Iterator[Acme2certifier]:
    """An acme2certifier with its state in `directory`, until the end of the block; with `trust` it believes every answer.

    `authorization` is the section of its configuration: `validity` in seconds, `prevalidated_domainlist` in JSON.
    """
    if find_spec("acme2certifier") is None:
        raise RuntimeError("`acme2certifier` is needed for this test: `pip install -e '.[dev]'`")
    tls = server_tls(directory / "acme2certifier-tls")
    config, log = _write_config(directory, authorization or {}, trust=trust), directory / "acme2certifier.log"
    (port,) = free_ports(1)
    environment = {"PATH": os.environ["PATH"], "ACME_SRV_CONFIGFILE": str(config)} | ({_RISK: "1"} if trust else {})
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(port), tls.certificate, tls.key],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _await_listening(process, port, log)
        yield Acme2certifier(f"https://127.0.0.1:{port}/directory", tls.bundle, log)
    finally:
        process.kill()
        process.wait()


def _write_config(directory: Path, authorization: Mapping[str, str], *, trust: bool) -> Path:
    key, certificate = _make_authority(directory)
    config = ConfigParser()
    config.read_dict(
        {
            "DEFAULT": {"debug": "False", "dns_server_list": json.dumps([_NOBODY])},
            "Directory": {"tos_url": "https://ca.test/terms"},
            "DBhandler": {"handler": "wsgi", "dbfile": str(directory / "acme2certifier.db")},
            "CAhandler": {
                "handler_module": "acme2certifier.cahandlers.openssl_ca_handler",
                "issuing_ca_key": str(key),
                "issuing_ca_cert": str(certificate),
                "issuing_ca_crl": str(directory / "none.crl"),  # must be named, need not exist
                "ca_cert_chain_list": "[]",
                "cert_save_path": str(directory),
                "cert_validity_days": "90",
            },
            "Authorization": authorization,
            "Challenge": {"challenge_validation_disable": str(trust)},
        }
    )
    path = directory / "acme_srv.cfg"
    with path.open("w") as file:
        config.write(file)
    return path


def _make_authority(directory: Path) -> tuple[Path, Path]:
    """The key and the certificate of a root."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root of acme2certifier")])
    now, day = datetime.now(UTC), timedelta(days=1)
    root = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + 400 * day)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "issuer-key.pem", directory / "issuer.pem"
    encoding, unencrypted = serialization.Encoding.PEM, serialization.NoEncryption()
    paths[0].write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, unencrypted))
    paths[1].write_bytes(root.public_bytes(encoding))
    return paths


def _await_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)  # bounded polling for a condition
    raise RuntimeError(f"acme2certifier did not start:\n{log.read_text(errors='replace')}")
