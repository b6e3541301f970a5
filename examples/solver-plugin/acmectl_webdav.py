"""http-01 through a web server on another host that takes files by WebDAV (PUT and DELETE).

An example of a solver that is a package of its own; it is complete, and can be used. What a solver promises is in the docstring of
`acmectl.solvers.base`.
"""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator

from acmectl.errors import SolverError
from acmectl.options import InvalidOption, SecretFile
from acmectl.solvers.base import HTTP_01, Capabilities, Failures, Response
from acmectl.solvers.failures import one_by_one
from acmectl.solvers.http_check import HttpCheck, HttpCheckOptions
from acmectl.solvers.option_types import TimeLimit
from acmectl.solvers.registry import SolverType


def _url(value: str) -> str:
    if not value.startswith(("http://", "https://")) or "@" in value:
        raise InvalidOption("not the URL of a directory", hint="such as `https://upload.example.com/acme-challenge`")
    return value.rstrip("/")


class WebdavOptions(HttpCheckOptions):
    """The keys of a `type: webdav` solver; those of the check are shared with the other solvers for http-01."""

    url: Annotated[str, AfterValidator(_url)]
    """The directory that the web server shows as `/.well-known/acme-challenge/`."""

    user: str = "acmectl"
    """Who may write there."""

    password_file: SecretFile
    """A file that holds the password, which nobody else may read."""

    timeout: TimeLimit = timedelta(seconds=10)
    """How long one request may take."""


class WebdavSolver:
    """Puts and deletes the files."""

    capabilities = Capabilities((HTTP_01,), wildcard=False)

    def __init__(self, options: WebdavOptions) -> None:
        self._options = options
        self._check = HttpCheck(options)

    def publish(self, responses: Sequence[Response]) -> Failures:
        """Put a file for each; `one_by_one` makes a failure of every error of ours, and goes on."""
        return one_by_one(responses, lambda r: self._ask("PUT", r, r.key_authorization.encode("ascii")))

    def seen(self, responses: Sequence[Response]) -> Failures:
        """Ask for each at its name, as the CA will."""
        return self._check.seen(responses)

    def remove(self, responses: Sequence[Response]) -> Failures:
        """Delete each file; one that is not there is gone already."""
        return one_by_one(responses, lambda r: self._ask("DELETE", r, None, gone=(404,)))

    def _ask(self, method: str, response: Response, body: bytes | None, *, gone: tuple[int, ...] = ()) -> None:
        url = f"{self._options.url}/{response.token}"
        request = urllib.request.Request(url, data=body, method=method)  # noqa: S310  # `_url` has looked at it
        request.add_header("Authorization", f"Basic {self._credentials()}")
        try:
            urllib.request.urlopen(request, timeout=self._options.timeout.total_seconds()).close()  # noqa: S310  # as above
        except urllib.error.HTTPError as cause:
            with cause:
                if cause.code not in gone:
                    raise SolverError(
                        f"`{self._options.url}` answers {cause.code} to {method}",
                        hint="may `user` write there, with the password in `password_file`?"
                        if cause.code in {401, 403}
                        else None,
                    ) from cause
        except OSError as cause:
            raise SolverError(f"`{self._options.url}` cannot be reached: {getattr(cause, 'reason', cause)}") from cause

    def _credentials(self) -> str:
        try:
            password = self._options.password_file.read_text("utf-8").strip()
        except OSError as cause:
            raise SolverError(f"cannot read `{self._options.password_file}`: {cause.strerror}") from cause
        return base64.b64encode(f"{self._options.user}:{password}".encode()).decode("ascii")


SOLVER_TYPE = SolverType(
    WebdavOptions,
    WebdavSolver,
    contract=1,  # the version that this was written for: `acmectl.solvers.base.CONTRACT` of that time
    summary="http-01 through a web server that takes files by WebDAV",
    capabilities=WebdavSolver.capabilities,
)
