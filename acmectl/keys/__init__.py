"""Private keys, CSRs, and whether a key and a chain belong together.

Two hosts that share an account and a set of names can share an order, and the certificate that comes back can be the
other host's (Boulder, observed): a chain is never taken without comparing its key with ours. cryptography is imported inside the
functions, because a run that finds nothing due must not pay its 90 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.keys.chains import LeafFacts, certifies, covers, matches, read_chain, split_chain, unreadable
from acmectl.keys.private import from_pem, generate, key_type_of, pin, thumbprint, to_pem
from acmectl.keys.signing_requests import SigningRequest, csr_der, general_name, read_csr

if TYPE_CHECKING:
    from acmectl.keys.private import PrivateKey, PublicKey

__all__ = [
    "LeafFacts",
    "PrivateKey",
    "PublicKey",
    "SigningRequest",
    "certifies",
    "covers",
    "csr_der",
    "from_pem",
    "general_name",
    "generate",
    "key_type_of",
    "matches",
    "pin",
    "read_chain",
    "read_csr",
    "split_chain",
    "thumbprint",
    "to_pem",
    "unreadable",
]
