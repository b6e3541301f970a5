"""Where everything is: the URLs that the sandbox hands out."""

from __future__ import annotations

from dataclasses import dataclass

# The paths of requests that belong to no object, by the names that the directory gives them (RFC 8555 section 7.1.1).
DIRECTORY_PATHS = {
    "newNonce": "/acme/new-nonce",
    "newAccount": "/acme/new-account",
    "newOrder": "/acme/new-order",
    "revokeCert": "/acme/revoke-cert",
    "keyChange": "/acme/key-change",
    "renewalInfo": "/acme/renewal-info",
}
NEW_AUTHZ_PATH = "/acme/new-authz"  # in the directory only where the rules say so


@dataclass(frozen=True, slots=True)
class Urls:
    """URLs under one base, such as `https://127.0.0.1:14000`."""

    base: str

    @property
    def directory(self) -> str:
        """The only URL that a client is told."""
        return f"{self.base}/directory"

    @property
    def terms(self) -> str:
        """The terms of service."""
        return f"{self.base}/terms"

    @property
    def management(self) -> str:
        """Where a rehearsal turns the sandbox's knobs."""
        return f"{self.base}/management"

    def account(self, number: int | str) -> str:
        """An account; with an empty number the prefix of all."""
        return f"{self.base}/acme/account/{number}"

    def order(self, number: int) -> str:
        """An order."""
        return f"{self.base}/acme/order/{number}"

    def finalize(self, number: int) -> str:
        """Where an order is finalized."""
        return f"{self.base}/acme/finalize/{number}"

    def authorization(self, number: int) -> str:
        """An authorization."""
        return f"{self.base}/acme/authorization/{number}"

    def challenge(self, number: int, kind: str) -> str:
        """One challenge of an authorization."""
        return f"{self.base}/acme/challenge/{number}/{kind}"

    def certificate(self, serial: str, chain: int = 0) -> str:
        """A certificate with one of its chains."""
        return f"{self.base}/acme/certificate/{serial}" + (f"/{chain}" if chain else "")
