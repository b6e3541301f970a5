"""Debian's ejabberd on free ports of 127.0.0.1, with a node, a store and a configuration of its own.

`ERL_DIST_PORT` spares it epmd, the daemon that all Erlang nodes of a host share and that would outlive the test. A cookie of
its own lets `ejabberdctl` talk to it and to no other node.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.daemon import require, running_daemon, unused_ports
from tests.servers.xmpp_server import XmppServer

_AS_EJABBERD = ("setpriv", "--reuid", "ejabberd", "--regid", "ejabberd", "--init-groups")


@dataclass(frozen=True)
class Ejabberd(XmppServer):
    """A running ejabberd."""

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.directory / "conf" / "ejabberd.yml"

    def ejabberdctl(self, *arguments: str) -> list[str]:
        """The command line of its own `ejabberdctl`."""
        return [*_ejabberdctl(self.directory), *arguments]

    def log(self) -> str:
        """What it has logged."""
        return (self.directory / "logs" / "ejabberd.log").read_text("utf-8", "replace")


@contextlib.contextmanager
def running_ejabberd(directory: Path, certificates: str, *hosts: str) -> Iterator[Ejabberd]:
    """Serve virtual hosts with the certificates in these files (`*` may be in it), until the end of the block."""
    client, server, direct, erlang = unused_ports(4)
    for name in ("conf", "logs", "spool"):
        (directory / name).mkdir()
    (directory / "conf" / "ejabberd.yml").write_text(f"""
hosts: [{", ".join(hosts)}]
loglevel: info
certfiles: ["{certificates}"]
acme: {{auto: false}}
listen:
  - {{port: {client}, ip: 127.0.0.1, module: ejabberd_c2s, starttls_required: true}}
  - {{port: {direct}, ip: 127.0.0.1, module: ejabberd_c2s, tls: true}}
  - {{port: {server}, ip: 127.0.0.1, module: ejabberd_s2s_in}}
s2s_use_starttls: required
api_permissions:
  "console commands": {{from: [ejabberd_ctl], who: all, what: "*"}}
modules: {{}}
""")
    (directory / "conf" / "inetrc").write_text(Path("/etc/ejabberd/inetrc").read_text())
    (directory / "conf" / "ctl.cfg").write_text(f"""
ERLANG_NODE=test{erlang}@localhost
ERL_DIST_PORT={erlang}
INET_DIST_INTERFACE=127.0.0.1
ERL_OPTIONS="-setcookie {secrets.token_hex(8)} -env ERL_CRASH_DUMP_BYTES 0"
""")
    for name in ("conf", "logs", "spool"):
        for each in (directory / name, *(directory / name).iterdir()):
            shutil.chown(each, "ejabberd", "ejabberd")
    # by setpriv, since `ejabberdctl` would use `su`, which stands between us and the node, in a session of its own
    argv = [*_AS_EJABBERD, *_ejabberdctl(directory), "foreground"]
    log = directory / "output"
    with running_daemon(argv, log=log, ports=[client, server, direct], package="ejabberd") as daemon:
        yield Ejabberd(daemon, directory, client, server, direct)


def _ejabberdctl(directory: Path) -> list[str]:
    conf = directory / "conf"
    files = ["-f", f"{conf}/ejabberd.yml", "-c", f"{conf}/ctl.cfg", "-d", str(conf)]
    return [require("ejabberdctl", "ejabberd"), "-s", f"{directory}/spool", "-l", f"{directory}/logs", *files]
