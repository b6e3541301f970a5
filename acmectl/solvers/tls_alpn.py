"""tls-alpn-01 (RFC 8737) by a TLS server of our own, for hosts where port 443 is free, or passed on, and port 80 is not.

A name has room for one response at a time, because the CA does not say which one it asks for: a second one (another account's, say)
is refused until the first was removed. Like http-01 it proves addresses (RFC 8738), and no wildcards.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from acmectl.dns.endpoints import Endpoint
from acmectl.dns.options import TimeLimit
from acmectl.errors import SolverError
from acmectl.options import Options
from acmectl.solvers.base import CONTRACT, Capabilities, Failures, Response
from acmectl.solvers.http_check import look_until_seen
from acmectl.solvers.option_types import ListenForTls, TlsEndpoint
from acmectl.solvers.registry import SolverType

if TYPE_CHECKING:
    from acmectl.solvers.alpn_server import AlpnServer


class TlsAlpnOptions(Options):
    """`listen` is an address and a port (443), or several; without it, port 443 of every address, IPv6 and IPv4."""

    usual_port: ClassVar[int] = 443

    listen: ListenForTls = ()
    """Where to listen: one or several, or `systemd`; without it port 443 of every address, IPv6 and IPv4."""

    check: bool = True
    """Whether we ask before the CA is told to; without that a mistake counts as a failed validation."""

    check_address: TlsEndpoint | None = None
    """Where to ask instead of at the name itself, for hosts that cannot reach their own public address."""

    check_timeout: TimeLimit = timedelta(seconds=10)
    """How long to wait until the certificate is answered."""


class TlsAlpnSolver:
    """Starts the server with the first response and stops it with the last."""

    capabilities = Capabilities(challenge_types=("tls-alpn-01",), wildcard=False, ip=True)

    def __init__(self, options: TlsAlpnOptions) -> None:
        self._options = options
        self._published: dict[str, Response] = {}
        self._server: AlpnServer | None = None

    def publish(self, responses: Sequence[Response]) -> Failures:
        """Answer for each from now on; all fail together when the port cannot be had."""
        from acmectl.solvers.alpn_server import AlpnServer

        if not responses:
            return {}
        self._server = self._server or AlpnServer(self._options.listen)
        try:
            self._server.start()
        except SolverError as error:
            return dict.fromkeys(responses, error)
        holders = {r: self._published.setdefault(r.identifier.server_name, r) for r in responses}
        self._server.answer_for(self._published.values())
        return {response: _taken(response) for response, holder in holders.items() if holder != response}

    def seen(self, responses: Sequence[Response]) -> Failures:
        """Ask where the CA will: that our own server answers on loopback says nothing of what a firewall lets through."""
        if not responses or not self._options.check:
            return {}
        from acmectl.solvers.alpn_fetch import PORT, look

        place = self._options.check_address
        return look_until_seen(
            responses,
            lambda response: look(response, place or Endpoint(response.identifier.base, PORT)),
            timeout=self._options.check_timeout,
        )

    def remove(self, responses: Sequence[Response]) -> Failures:
        """Forget the certificates; free the port when none is left."""
        gone = set(responses)
        self._published = {name: response for name, response in self._published.items() if response not in gone}
        if self._server:
            self._server.answer_for(self._published.values())
            if not self._published:
                self._server.stop()
        return {}


def _taken(response: Response) -> SolverError:
    return SolverError(
        f"`{response.identifier}` is being proven by another challenge, and tls-alpn-01 has room for one",
        hint="it is tried again; where several accounts have one name, give them different solvers",
    )


SOLVER_TYPE = SolverType(
    TlsAlpnOptions,
    TlsAlpnSolver,
    contract=CONTRACT,
    summary="tls-alpn-01 by a TLS server of our own, which listens only while something is published",
    capabilities=TlsAlpnSolver.capabilities,
)
