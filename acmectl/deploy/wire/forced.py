"""A look that takes one kind of key only, in a process of its own.

In TLS 1.2 the ciphers choose the kind of certificate. In TLS 1.3 only the signature algorithms of the client do, and Python's
ssl cannot set those. OpenSSL itself can, for all connections of a process, by a configuration file named in
its environment (config(5), "SSL Configuration"): `ecdsa.cnf` and `rsa.cnf` beside this module. So the same look is made by a child that
was started with one of them, for both versions. No secret is involved; a start takes some 60 ms, and only
services with certificates of both kinds need it.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from acmectl import programs, workers
from acmectl.deploy.wire.handshake import HandshakeRefused, Served
from acmectl.deploy.wire.stream import WireError
from acmectl.deploy.wire.visit import Visit

_STARTING = timedelta(seconds=20)  # for a process to start, on a machine that is busy


def see_forced(visit: Visit) -> Served:
    """As `visit.see`, for a visit with a family. Raises WireError, HandshakeRefused."""
    order = asdict(visit) | {"timeout": visit.timeout.total_seconds()}
    told = programs.run(
        [sys.executable, "-P", "-m", "acmectl.deploy.wire.child"],
        timeout=visit.timeout + _STARTING,
        environment={
            "OPENSSL_CONF": str(Path(__file__).with_name(f"{visit.family}.cnf")),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),  # where we are installed
        },
        stdin=json.dumps(order).encode("ascii"),
        error=WireError,
        stop=workers.is_abandoned,
    )
    answer = json.loads(told)
    if "refused" in answer:
        raise HandshakeRefused(answer["refused"])
    if "failed" in answer:
        raise WireError(answer["failed"], hint=answer["hint"])
    return Served(visit.version, tuple(base64.b64decode(one) for one in answer["chain"]), answer["refusal"])
