"""http-01 by a web server of our own, which listens only while something is published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from acmectl.errors import SolverError
from acmectl.solvers.base import CONTRACT, Capabilities, Failures, Response
from acmectl.solvers.http_check import HttpCheck, HttpCheckOptions
from acmectl.solvers.option_types import ListenForHttp
from acmectl.solvers.registry import SolverType


class StandaloneOptions(HttpCheckOptions):
    """`listen` is an address and a port (80), or several; without it, port 80 of every address, IPv6 and IPv4."""

    usual_port: ClassVar[int] = 80

    listen: ListenForHttp = ()
    """Where to listen: one or several, or `systemd`; without it port 80 of every address, IPv6 and IPv4."""


class StandaloneSolver:
    """Starts the server with the first response and stops it with the last."""

    capabilities = Capabilities(challenge_types=("http-01",), wildcard=False, ip=True)

    def __init__(self, options: StandaloneOptions) -> None:
        from acmectl.solvers.http_server import ChallengeServer

        self._check = HttpCheck(options)
        self._server = ChallengeServer(options.listen)

    def publish(self, responses: Sequence[Response]) -> Failures:
        """Answer each token from now on; all fail together when the port cannot be had."""
        try:
            self._server.start()
        except SolverError as error:
            return dict.fromkeys(responses, error)
        self._server.answers = {**self._server.answers, **{r.token: r.key_authorization for r in responses}}
        return {}

    def seen(self, responses: Sequence[Response]) -> Failures:
        """Ask where the CA will: that our own server answers on loopback says nothing of what a firewall lets through."""
        return self._check.seen(responses)

    def remove(self, responses: Sequence[Response]) -> Failures:
        """Forget the tokens; free the port when none is left."""
        gone = {response.token for response in responses}
        self._server.answers = {token: text for token, text in self._server.answers.items() if token not in gone}
        if not self._server.answers:
            self._server.stop()
        return {}


SOLVER_TYPE = SolverType(
    StandaloneOptions,
    StandaloneSolver,
    contract=CONTRACT,
    summary="http-01 by a web server of our own, which listens only while something is published",
    capabilities=StandaloneSolver.capabilities,
)
