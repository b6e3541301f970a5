"""What services need, as data: which files, whose they are, how to check, reload and look. Each point can be overridden.

All of them take certificate and key from the same file, so each gets one PEM with the key first (Postfix wants it first, the others
do not mind): one rename then switches both. Who configures a service with a pair of files overrides `files`.

Directories are root's, because whoever owns a directory can put a link in the place of what root writes there. Where the service reads as
root before it gives up its rights, the file is root's alone; else the service's group may read it.

Commands are as on Debian. A check fails only where the service could not start: not because of what it advises against. A reload is the
service's own command where it has one that does nothing but reload (where that refuses what it does not like, it is the check as well); `systemctl` where it has none, or where its own would
start a service that was stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from acmectl.deploy.wire.protocols import Protocol

BESIDE = "{stem}-{kind}{suffix}"
"""How the files of a further kind of key are called: `tls-rsa.pem` beside `tls.pem`."""

_ONE_PEM: Mapping[str, str] = {"privkey+fullchain": "{label}.pem"}


@dataclass(frozen=True, slots=True)
class Preset:
    """The defaults of a target type. `verify` has protocols and ports at 127.0.0.1.

    Where a certificate has two kinds of keys, the files of the second are called as `kinds` says, and with `names_each_kind` those of
    the first as well. `serves_one_kind`: the service has one certificate for a name, whatever the client can do.
    """

    service: str
    directory: str | None
    files: Mapping[str, str] = field(default_factory=lambda: _ONE_PEM)
    owner: str | None = None
    group: str | None = None
    key_mode: int = 0o600
    certificate_mode: int = 0o644
    check: tuple[str, ...] | None = None
    reload: tuple[str, ...] | None = None
    verify: tuple[tuple[Protocol, int], ...] = ()
    kinds: str = BESIDE
    names_each_kind: bool = False
    serves_one_kind: bool = False
    note: str = ""


PRESETS: Mapping[str, Preset] = {
    "apache": Preset(
        service="Apache httpd 2.4",
        directory="/etc/apache2/tls",
        check=("apachectl", "configtest"),
        # `apachectl graceful` starts an Apache that is not running, outside of its unit
        reload=("systemctl", "reload", "apache2"),
        verify=((Protocol.TLS, 443),),
        note="`configtest` does not look into certificates: one that Apache cannot read passes, and the reload after it ends Apache",
    ),
    "coturn": Preset(
        service="coturn",
        directory="/etc/coturn/tls",
        group="turnserver",
        key_mode=0o640,
        # its unit has no reload; SIGUSR2 reads the certificate again and leaves relays alone (coturn pull request 236)
        reload=("systemctl", "kill", "--signal=SIGUSR2", "coturn"),
        verify=((Protocol.TLS, 5349),),
        serves_one_kind=True,
        note="coturn has no command that checks its configuration",
    ),
    "dovecot": Preset(
        service="Dovecot 2.3 and 2.4",
        directory="/etc/dovecot/tls",
        key_mode=0o400,
        check=("doveconf", "-n"),
        reload=("doveadm", "reload"),
        verify=((Protocol.IMAP, 143),),
        note="Dovecot ends the sessions of its clients some seconds after each reload, unless it has `shutdown_clients = no`",
    ),
    "ejabberd": Preset(
        service="ejabberd",
        directory="/etc/ejabberd",
        group="ejabberd",
        key_mode=0o640,
        check=("ejabberdctl", "reload_config"),
        reload=("ejabberdctl", "reload_config"),
        verify=((Protocol.XMPP_CLIENT, 5222),),
        serves_one_kind=True,
        note="`reload_config` is check and reload in one, and is run once: it takes all, or fails and ejabberd goes on with what it has. "
        "It fails too while ejabberd is stopped: the new file is put in place by a run after it was started, which it can be without one. "
        "Where a file was removed whose time was ahead of the clock, restart ejabberd once: it reads only what is younger",
    ),
    "exim": Preset(
        service="Exim 4",
        directory="/etc/exim4/tls",
        group="Debian-exim",
        key_mode=0o640,
        check=("exim4", "-bV"),
        reload=("systemctl", "reload", "exim4"),
        verify=((Protocol.SMTP, 25),),
    ),
    "files": Preset(
        service="files in a directory of your choice",
        directory=None,
        files={part: f"{part}.pem" for part in ("privkey", "chain", "cert", "fullchain")},
    ),
    "haproxy": Preset(
        service="HAProxy",
        directory="/etc/haproxy/certs",
        check=("haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg"),
        reload=("systemctl", "reload", "haproxy"),  # SIGUSR2 to its master process: it has no command of its own
        verify=((Protocol.TLS, 443),),
        # configuration.txt, `crt`: it looks for these where there is no file of the name itself
        kinds="{stem}{suffix}.{kind}",
        names_each_kind=True,
        note="with two kinds of keys there must be no `LABEL.pem` beside `LABEL.pem.ecdsa` and `LABEL.pem.rsa`: HAProxy would take that",
    ),
    "nginx": Preset(
        service="nginx",
        directory="/etc/nginx/tls",
        check=("nginx", "-t"),
        reload=("nginx", "-s", "reload"),
        verify=((Protocol.TLS, 443),),
    ),
    "opensmtpd": Preset(
        service="OpenSMTPD",
        directory="/etc/opensmtpd/tls",
        check=("smtpd", "-n"),
        reload=("systemctl", "restart", "opensmtpd"),
        verify=((Protocol.SMTP, 25),),
        serves_one_kind=True,
        note="OpenSMTPD refuses keys that others can read, and cannot read a certificate again: it is restarted. "
        "Debian 12's (6.8.0p2, older than OpenSSL 3) cannot end a TLS handshake, whatever its certificate",
    ),
    "postfix": Preset(
        service="Postfix 3.4 and later",
        directory="/etc/postfix/tls",
        # `postfix check` says what it finds to terminals alone (and to syslog), so it gets one: else nobody knew under cron why it failed
        check=("script", "-qec", "postfix check", "/dev/null"),
        reload=("postfix", "reload"),
        verify=((Protocol.SMTP, 25),),
    ),
    "postgresql": Preset(
        service="PostgreSQL",
        directory="/etc/ssl/postgresql",  # /etc/postgresql belongs to the service's user
        group="postgres",
        key_mode=0o640,  # accepted of a file that root owns (documentation of `ssl_key_file`)
        # of all clusters on Debian; pg_ctl wants to know which, and who their user is
        reload=("systemctl", "reload", "postgresql"),
        verify=((Protocol.POSTGRES, 5432),),
        serves_one_kind=True,
        note="PostgreSQL has no command that checks its files; it goes on with what it has where it cannot use them",
    ),
    "prosody": Preset(
        service="Prosody",
        directory="/etc/prosody/certs",
        group="prosody",
        key_mode=0o640,
        # the other checks fail for old options, DNS, and certificates of other hosts: with these Prosody starts all the same
        check=("prosodyctl", "check", "disabled"),
        reload=("prosodyctl", "reload"),
        verify=((Protocol.XMPP_CLIENT, 5222),),
        # it has one certificate for a name, but for the table `certificates` that LuaSec 0.8 and later take
        note="for two kinds of keys: `ssl = { certificates = { { certificate = ..., key = ... }, ... } }`; Prosody's search takes "
        "any `*.crt` and `*fullchain*` below its `certs` before the file that `certificate` names: remove what others left there",
    ),
    "slapd": Preset(
        service="OpenLDAP's slapd",
        directory="/etc/ldap/tls",
        group="openldap",
        key_mode=0o640,
        check=("slaptest", "-u"),
        reload=("systemctl", "restart", "slapd"),
        verify=((Protocol.LDAP, 389),),
        serves_one_kind=True,
        note="SIGHUP stops slapd: it is restarted; `examples/services/slapd.yaml` has a way without",
    ),
}
