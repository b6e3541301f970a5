"""The protocols that a service can be asked in: TLS from the first byte, or what speaks in the clear before STARTTLS."""

from __future__ import annotations

from enum import StrEnum


class Protocol(StrEnum):
    """What is spoken at a port. `tls` is TLS from the first byte: HTTPS, IMAPS, submissions, direct TLS of XMPP, TURN over TLS."""

    TLS = "tls"
    SMTP = "smtp"
    SUBMISSION = "submission"
    IMAP = "imap"
    POP3 = "pop3"
    SIEVE = "sieve"
    LDAP = "ldap"
    XMPP_CLIENT = "xmpp-client"
    XMPP_SERVER = "xmpp-server"
    POSTGRES = "postgres"
    FTP = "ftp"

    @property
    def default_port(self) -> int:
        """Where it is spoken unless somebody says otherwise (IANA's registry; 443 for `tls`)."""
        return _PORTS[self]


_PORTS = {
    Protocol.TLS: 443,
    Protocol.SMTP: 25,
    Protocol.SUBMISSION: 587,
    Protocol.IMAP: 143,
    Protocol.POP3: 110,
    Protocol.SIEVE: 4190,
    Protocol.LDAP: 389,
    Protocol.XMPP_CLIENT: 5222,
    Protocol.XMPP_SERVER: 5269,
    Protocol.POSTGRES: 5432,
    Protocol.FTP: 21,
}
