"""Debian's slapd on free ports of 127.0.0.1, with `cn=config` in a directory of its own, and run by its own user."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.servers.commands import checking
from tests.servers.daemon import path, require, unused_ports
from tests.servers.detached import Detached, running_detached

USER = "openldap"
_CONFIGURATION = """dn: cn=config
objectClass: olcGlobal
cn: config
olcPidFile: {place}/run/slapd.pid
olcTLSCertificateFile: {file}
olcTLSCertificateKeyFile: {file}

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif

dn: olcDatabase={{0}}config,cn=config
objectClass: olcDatabaseConfig
olcDatabase: {{0}}config
olcAccess: to * by dn.exact=gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth manage
"""
# Replacing the attributes by what they are makes slapd read the files again, where SIGHUP would end it.
_READ_AGAIN = """dn: cn=config
changetype: modify
replace: olcTLSCertificateFile
olcTLSCertificateFile: {file}
-
replace: olcTLSCertificateKeyFile
olcTLSCertificateKeyFile: {file}
"""


@dataclass(frozen=True)
class Slapd:
    """A running slapd: LDAP with STARTTLS, LDAP with TLS at once, and a socket for its administrator."""

    service: Detached
    place: Path
    ldap: int
    ldaps: int

    @property
    def configuration(self) -> Path:
        """The first file of `cn=config`."""
        return self.place / "conf" / "cn=config.ldif"

    @property
    def check(self) -> list[str]:
        return checking("slapd", "-F", self.place / "conf")

    @property
    def restart(self) -> list[str]:
        return self.service.command("restart")

    @property
    def read_again(self) -> list[str]:
        """What makes it read its files again without a restart."""
        return ["ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", _socket(self.place), "-f", str(self.place / "again.ldif")]


@contextlib.contextmanager
def running_slapd(place: Path, file: Path) -> Iterator[Slapd]:
    """slapd with this file of a key and its chain, until the end of the block; it must be there."""
    require("ldapmodify", "ldap-utils")
    ldap, ldaps = ports = unused_ports(2)
    for folder in ("conf", "run"):
        (place / folder).mkdir()
    (place / "init.ldif").write_text(_CONFIGURATION.format(place=place, file=file))
    (place / "again.ldif").write_text(_READ_AGAIN.format(file=file))
    _done(require("slapadd", "slapd"), "-n0", "-F", f"{place}/conf", "-l", f"{place}/init.ldif")
    _done("chown", "-R", f"{USER}:{USER}", f"{place}/conf", f"{place}/run")
    listen = f"ldap://127.0.0.1:{ldap} ldaps://127.0.0.1:{ldaps} {_socket(place)}"
    start = f"slapd -F {place}/conf -u {USER} -g {USER} -h '{listen}'"
    with running_detached(place, start, pid_file=place / "run" / "slapd.pid", ports=ports) as service:
        yield Slapd(service, place, *ports)


def _done(*argv: str) -> None:
    subprocess.run(argv, check=True, env={"PATH": path()}, timeout=60)


def _socket(place: Path) -> str:
    return f"ldapi://{quote(str(place / 'run' / 'ldapi'), safe='')}"
