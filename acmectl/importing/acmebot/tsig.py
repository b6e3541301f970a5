"""TSIG keys as dnssec-keygen wrote them, a pair `Kname.+163+12345.{key,private}`, in the form that BIND and we read.

Older BIND made update keys so, and acmebot's manual says to; nsupdate still reads them. The secret stands in both files.
"""

from __future__ import annotations

import re
from pathlib import Path

from acmectl import files
from acmectl.dns.tsig import ALGORITHMS
from acmectl.errors import DNSError

_PAIR = re.compile(r"K.+\.\+\d{3}\+\d{5}\.(key|private)\Z")
_RECORD = re.compile(
    r"^(?P<name>\S+)\s+(?:\d+\s+)?IN\s+KEY\s+\d+\s+\d+\s+(?P<algorithm>\d+)\s+(?P<secret>[A-Za-z0-9+/= ]+)$"
)
# IANA's DNS security algorithm numbers as dnssec-keygen used them for HMACs (bind9 lib/dns/include/dst/dst.h)
_ALGORITHMS = {
    157: "hmac-md5",
    161: "hmac-sha1",
    162: "hmac-sha224",
    163: "hmac-sha256",
    164: "hmac-sha384",
    165: "hmac-sha512",
}


def is_key_pair(file: Path) -> bool:
    """Whether this is one file of such a pair."""
    return _PAIR.match(file.name) is not None


def read_key_pair(file: Path) -> bytes:
    """The key in the form of `tsig-keygen`, a secret. Raises DNSError: no such file, no key in it, too weak."""
    path = file.with_suffix(".key")
    content = files.read(path, what="the TSIG key file", error=DNSError).decode("ascii", "replace")
    for line in content.splitlines():
        match = _RECORD.match(line.strip())
        if match is None:
            continue
        algorithm = _ALGORITHMS.get(int(match["algorithm"]), "unknown")
        if algorithm not in ALGORITHMS:
            raise DNSError(
                f"the TSIG key `{path}` uses `{algorithm}`, which is too weak",
                hint="make a new key: `tsig-keygen -a hmac-sha256 NAME`",
            )
        name, secret = match["name"].rstrip("."), "".join(match["secret"].split())
        return f'key "{name}" {{\n\talgorithm {algorithm};\n\tsecret "{secret}";\n}};\n'.encode("ascii")
    raise DNSError(f"the TSIG key file `{path}` has no KEY record")
