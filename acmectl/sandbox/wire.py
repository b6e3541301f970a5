"""HTTP of the sandbox: routes, nonces, headers, problem documents; a request in, a response out, and counted.

Only requests for a loopback host are answered, so that no web page can reach the sandbox through a name that it made
resolve to this machine.
"""

from __future__ import annotations

import ipaddress
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.http import http_date
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.wrappers import Response

from acmectl.sandbox import documents
from acmectl.sandbox.counts import Counts, Seen
from acmectl.sandbox.gate import Gate
from acmectl.sandbox.management import Management
from acmectl.sandbox.nonces import Nonces
from acmectl.sandbox.problems import Refused, document, refuse
from acmectl.sandbox.registration import Registration
from acmectl.sandbox.replies import Reply
from acmectl.sandbox.resources import Resources
from acmectl.sandbox.urls import DIRECTORY_PATHS, NEW_AUTHZ_PATH, Urls

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from acmectl.sandbox.authority import Authority

_ROUTES = Map(
    [
        Rule("/directory", endpoint="directory", methods=["GET"]),
        Rule("/terms", endpoint="terms", methods=["GET"]),
        Rule(DIRECTORY_PATHS["newNonce"], endpoint="newNonce", methods=["GET", "HEAD"]),
        Rule(DIRECTORY_PATHS["newAccount"], endpoint="newAccount", methods=["POST"]),
        Rule(DIRECTORY_PATHS["newOrder"], endpoint="newOrder", methods=["POST"]),
        Rule(NEW_AUTHZ_PATH, endpoint="newAuthz", methods=["POST"]),
        Rule(DIRECTORY_PATHS["revokeCert"], endpoint="revokeCert", methods=["POST"]),
        Rule(DIRECTORY_PATHS["keyChange"], endpoint="keyChange", methods=["POST"]),
        Rule(DIRECTORY_PATHS["renewalInfo"] + "/<ari_id>", endpoint="renewalInfo", methods=["GET"]),
        Rule("/acme/account/<int:number>", endpoint="account", methods=["POST"]),
        Rule("/acme/account/<int:number>/orders", endpoint="orders", methods=["POST"]),
        Rule("/acme/order/<int:number>", endpoint="order", methods=["POST"]),
        Rule("/acme/finalize/<int:number>", endpoint="finalize", methods=["POST"]),
        Rule("/acme/authorization/<int:number>", endpoint="authorization", methods=["POST"]),
        Rule("/acme/challenge/<int:number>/<kind>", endpoint="challenge", methods=["POST"]),
        Rule("/acme/certificate/<serial>", endpoint="certificate", methods=["POST"]),
        Rule("/acme/certificate/<serial>/<int:chain>", endpoint="certificate", methods=["POST"]),
        Rule("/management", endpoint="management", methods=["GET"], defaults={"knob": ""}),
        Rule("/management/<knob>", endpoint="management", methods=["GET", "POST"]),
    ],
    strict_slashes=False,
    redirect_defaults=False,
)
_WITHOUT_NONCE = frozenset({"directory", "terms", "renewalInfo", "management"})
_TERMS = "This is a sandbox. It is no certificate authority for anyone, and its certificates are worth nothing.\n"


@dataclass(slots=True)
class _Sight:
    """What is known of a request so far, for the counts."""

    kind: str = "unknown"
    account: int = 0


class Wire:
    """Turns requests into calls of the authority."""

    def __init__(
        self, authority: Authority, urls: Urls, counts: Counts, *, external_accounts: Mapping[str, bytes]
    ) -> None:
        self._authority = authority
        self._urls = urls
        self._counts = counts
        self._nonces = Nonces()
        self._gate = Gate(authority, self._nonces, urls)
        self._resources = Resources(authority, urls)
        self._registration = Registration(authority, urls, external_accounts)
        self._management = Management(authority, counts)
        self._needs_external_account = bool(external_accounts)
        resources, registration = self._resources, self._registration
        self._signed: Mapping[str, Callable[..., Reply]] = {
            "newAccount": registration.new_account,
            "account": registration.account,
            "keyChange": registration.key_change,
            "newOrder": resources.new_order,
            "newAuthz": resources.new_authorization,
            "order": resources.order,
            "orders": resources.orders,
            "finalize": resources.finalize,
            "authorization": resources.authorization,
            "challenge": resources.challenge,
            "certificate": resources.certificate,
            "revokeCert": resources.revoke,
        }

    def respond(self, request: Request) -> Response:
        """Answer one request; every refusal becomes a problem document."""
        seen = _Sight()
        try:
            response = self._reply(request, seen)
        except Refused as refusal:
            response = self._problem(refusal)
        except HTTPException as cause:  # werkzeug's: a body or a header that it cannot read
            response = self._problem(refuse("malformed", cause.description or cause.name, cause.code or 400))
        self._finish(response, seen.kind)
        agent = request.headers.get("User-Agent", "")
        self._counts.add(Seen(seen.kind, seen.account, agent, response.status_code))
        return response

    def _reply(self, request: Request, seen: _Sight) -> Response:
        _refuse_foreign(request)
        kind, arguments = self._route(request)
        seen.kind = kind
        act = self._signed.get(kind)
        if act is None:
            return self._response(self._unsigned(kind, request, arguments))
        content_type = request.headers.get("Content-Type", "")
        call = self._gate.open(kind, request.get_data(), content_type, self._urls.base + request.path)
        seen.account = call.account.id if call.account else 0
        if kind == "authorization" and not call.is_get:
            seen.kind = "deactivate"
        return self._response(act(call, **arguments))

    def _route(self, request: Request) -> tuple[str, dict[str, Any]]:
        try:
            kind, arguments = _ROUTES.bind_to_environ(request.environ).match()
        except MethodNotAllowed:
            raise refuse("malformed", "Method not allowed", 405) from None
        except (NotFound, RequestRedirect):
            raise refuse("malformed", "Page not found", 404) from None
        return str(kind), dict(arguments)

    def _unsigned(self, kind: str, request: Request, arguments: dict[str, Any]) -> Reply:
        if kind == "directory":
            rules = self._authority.state.rules
            return Reply(documents.directory(self._urls, rules, needs_external_account=self._needs_external_account))
        if kind == "newNonce":
            return Reply("", status=200 if request.method == "HEAD" else 204, content_type="text/plain")
        if kind == "renewalInfo":
            return self._resources.renewal_info(arguments["ari_id"])
        if kind == "management":
            return self._management.turn(arguments["knob"], request.method, request.get_data())
        return Reply(_TERMS, content_type="text/plain; charset=utf-8")

    def _response(self, reply: Reply) -> Response:
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body, indent=2) + "\n"
        response = Response(text, status=reply.status, content_type=reply.content_type)
        response.headers.extend(dict(reply.headers))
        for link in reply.links:
            response.headers.add("Link", link)
        return _retry(response, reply.retry_after)

    def _problem(self, refusal: Refused) -> Response:
        body = json.dumps(document(refusal.problem) | refusal.extra, indent=2) + "\n"
        response = Response(body, status=refusal.problem.status, content_type="application/problem+json")
        response.headers.extend(refusal.headers)
        return _retry(response, refusal.retry_after)

    def _finish(self, response: Response, kind: str) -> None:
        response.headers["Date"] = http_date(self._authority.state.clock.now())
        response.headers["Cache-Control"] = "no-store"
        if kind != "directory":
            response.headers.add("Link", f'<{self._urls.directory}>;rel="index"')
        if kind not in _WITHOUT_NONCE:
            response.headers["Replay-Nonce"] = self._nonces.new()


def _retry(response: Response, after: timedelta | None) -> Response:
    if after is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(after.total_seconds())))
    return response


def _refuse_foreign(request: Request) -> None:
    """403 for what a browser sends on behalf of a web page: another host's name, or an origin."""
    host = request.headers.get("Host", "").rpartition(":")[0] or request.headers.get("Host", "")
    if "Origin" in request.headers or not _is_loopback(host.strip("[]")):
        raise refuse("unauthorized", "this sandbox answers requests for loopback addresses only", 403)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
