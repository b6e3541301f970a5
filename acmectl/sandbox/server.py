"""A running sandbox: start it, use its URLs, stop it; nothing is left but the root certificate in its output directory."""

from __future__ import annotations

import ssl
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from acmectl.errors import AcmectlError, UsageError
from acmectl.files import make_directory, write_atomically
from acmectl.sandbox.clock import Clock
from acmectl.sandbox.counts import Counts
from acmectl.sandbox.rules import BOULDER, Rules
from acmectl.sandbox.urls import Urls
from acmectl.sandbox.validation import HttpTarget, Looking, Trusting

if TYPE_CHECKING:
    from acmectl.sandbox.authority import Authority
    from acmectl.sandbox.issuer import Issuer
    from acmectl.sandbox.listener import Listener

_PUBLIC = 0o644
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Settings:
    """How one sandbox is started.

    `http_target` is where http-01 is asked, `resolver` (address, port) where dns-01 is; `is_trusting` skips both.
    `external_accounts` maps key identifiers to HMAC keys (RFC 8555 section 7.3.4); with any, registration needs one.
    `on_request` gets one line a request.
    """

    output: Path
    host: str = "127.0.0.1"
    port: int = 0
    rules: Rules = BOULDER
    http_target: HttpTarget = field(default=HttpTarget())
    resolver: tuple[str, int] | None = None
    is_trusting: bool = False
    external_accounts: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    on_request: Callable[[str], None] | None = None


class Sandbox:
    """A throw-away CA. A context manager; `authority`, `clock` and `counts` are for tests in the same process."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        _require_werkzeug()
        from acmectl.sandbox.authority import Authority
        from acmectl.sandbox.issuer import Issuer

        self._settings = settings
        self._issuer: Issuer = Issuer()
        self._thread: threading.Thread | None = None
        self._listener: Listener | None = None
        self.clock = clock or Clock()
        self.counts = Counts()
        validator = Trusting() if settings.is_trusting else Looking(settings.http_target, settings.resolver)
        self.authority: Authority = Authority(settings.rules, self.clock, self._issuer, validator)

    def start(self) -> None:
        """Listen, write the root certificates, and serve in threads. Raises UsageError and AcmectlError."""
        settings = self._settings
        _require_loopback(settings.host)
        self._listener = self._listen()
        make_directory(settings.output, mode=0o755)
        write_atomically(self.ca_bundle, self._issuer.root_pem.encode(), mode=_PUBLIC)
        alternate = settings.output / "alternate-root.pem"
        write_atomically(alternate, self._issuer.alternate_root_pem.encode(), mode=_PUBLIC)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(_POLL_SECONDS,), name="sandbox", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Cut every connection and end every thread; twice is no harm."""
        if self._listener is not None:
            if self._thread is not None:
                self._listener.close_all()
                self._thread.join()
            else:
                self._listener.server_close()
            self._listener = self._thread = None
        self.authority.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def urls(self) -> Urls:
        """The URLs, once started."""
        if self._listener is None:
            raise AcmectlError("the sandbox is not running")
        host, port = self._settings.host, self._listener.server_address[1]
        return Urls(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}")

    @property
    def directory_url(self) -> str:
        """The URL for `authority: {directory: ...}`."""
        return self.urls.directory

    @property
    def management_url(self) -> str:
        """Where the knobs are; GET shows them."""
        return self.urls.management

    @property
    def ca_bundle(self) -> Path:
        """The root certificate, for `authority: {ca_bundle: ...}`; also the root of what is issued."""
        return self._settings.output / "root.pem"

    def _listen(self) -> Listener:
        from acmectl.sandbox.listener import Listener
        from acmectl.sandbox.wire import Wire

        settings = self._settings
        try:
            listener = Listener((settings.host, settings.port), context=self._context(), on_request=settings.on_request)
        except OSError as cause:
            where = f"{settings.host}:{settings.port}"
            hint = "choose another port with `--listen`, or port 0 for a free one"
            raise AcmectlError(f"cannot listen on `{where}`: {cause.strerror}", hint=hint) from cause
        self._listener = listener
        wire = Wire(self.authority, self.urls, self.counts, external_accounts=settings.external_accounts)
        listener.respond = wire.respond
        return listener

    def _context(self) -> ssl.SSLContext:
        """TLS with a certificate from the root; OpenSSL reads keys from files only, so there is one for a moment."""
        key, chain = self._issuer.server_identity()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with tempfile.TemporaryDirectory(prefix="acmectl-sandbox-") as directory:
            key_file, chain_file = Path(directory, "key.pem"), Path(directory, "chain.pem")
            write_atomically(key_file, key)
            write_atomically(chain_file, chain)
            context.load_cert_chain(chain_file, key_file)
        return context


def _require_werkzeug() -> None:
    try:
        import werkzeug  # noqa: F401 - looked for, so that the message is ours
    except ModuleNotFoundError as cause:
        raise AcmectlError("the sandbox needs `werkzeug`", hint="`pip install 'acmectl[sandbox]'`") from cause


def _require_loopback(host: str) -> None:
    """A CA with no identity and no guard listens to this host only."""
    import ipaddress

    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise UsageError(f"the sandbox listens on loopback addresses only, not on `{host}`", hint="use `127.0.0.1:0`")
