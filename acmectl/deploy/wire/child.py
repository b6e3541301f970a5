"""The process that `forced` starts: a look from stdin, what came of it to stdout, both in JSON."""

from __future__ import annotations

import base64
import json
import sys
from datetime import timedelta
from typing import Any

from acmectl.deploy.wire.handshake import HandshakeRefused
from acmectl.deploy.wire.protocols import Protocol
from acmectl.deploy.wire.stream import WireError
from acmectl.deploy.wire.visit import Visit, see


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """What came of the visit that `order` describes."""
    visit = Visit(
        **order | {"protocol": Protocol(order["protocol"]), "timeout": timedelta(seconds=order["timeout"])},
    )
    try:
        served = see(visit)
    except HandshakeRefused as error:
        return {"refused": error.message}
    except WireError as error:
        return {"failed": error.message, "hint": error.hint}
    return {"chain": [base64.b64encode(one).decode("ascii") for one in served.chain], "refusal": served.refusal}


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
