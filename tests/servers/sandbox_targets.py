"""What a sandbox validates against in tests: a tiny name server and a tiny web server, both on free loopback ports."""

from __future__ import annotations

import base64
import hashlib
import http.server
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass
class Zone:
    """What the name server answers: TXT values, aliases, addresses and faults by lower-case name without a dot at the end."""

    port: int = 0
    text: dict[str, list[str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, list[str]] = field(default_factory=dict)
    faults: dict[str, dns.rcode.Rcode] = field(default_factory=dict)
    garbage: bytes | None = None

    @property
    def server(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def publish(self, name: str, key_authorization: str) -> None:
        digest = hashlib.sha256(key_authorization.encode()).digest()
        owner = f"_acme-challenge.{name.removeprefix('*.')}"
        self.text.setdefault(owner, []).append(base64.urlsafe_b64encode(digest).rstrip(b"=").decode())

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        if name in self.faults:
            response.set_rcode(self.faults[name])
        elif name in self.aliases:  # without the target, as a server that serves another zone
            response.answer.append(dns.rrset.from_text(question.name, 5, "IN", "CNAME", self.aliases[name] + "."))
        elif question.rdtype == dns.rdatatype.TXT and self.text.get(name):
            values = [f'"{value}"' for value in self.text[name]]
            response.answer.append(dns.rrset.from_text(question.name, 5, "IN", "TXT", *values))
        elif question.rdtype == dns.rdatatype.A and self.addresses.get(name):
            response.answer.append(dns.rrset.from_text(question.name, 5, "IN", "A", *self.addresses[name]))
        elif name not in self.text and name not in self.addresses:
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response


@contextmanager
def running_name_server() -> Iterator[Zone]:
    zone = Zone()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, socket = self.request
            answer = zone.garbage or zone.answer(dns.message.from_wire(data)).to_wire()
            socket.sendto(answer, self.client_address)

    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler) as server:
        zone.port = server.server_address[1]
        with _serving(server):
            yield zone


@dataclass
class Site:
    """What the web server answers: status and body by path, redirects by path; and the Host headers that it saw."""

    port: int = 0
    pages: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    hosts: list[str] = field(default_factory=list)

    def publish(self, token: str, key_authorization: str) -> None:
        self.pages[f"/.well-known/acme-challenge/{token}"] = (200, key_authorization.encode())


@contextmanager
def running_web_server() -> Iterator[Site]:
    site = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.hosts.append(self.headers["Host"])
            status, body = site.pages.get(self.path, (404, b"nothing here"))
            target = site.redirects.get(self.path)
            self.send_response_only(302 if target else status)
            if target:
                self.send_header("Location", target)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 - the signature is the base's
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_address[1]
        with _serving(server):
            yield site


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
