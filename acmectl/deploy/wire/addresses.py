"""The addresses of an endpoint: all that its name resolves to on this host, by /etc/hosts as much as by DNS."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta

from acmectl.deploy.wire.deadline import Deadline
from acmectl.deploy.wire.stream import WireError

_MOST = 16  # a name with more is a mistake, or a cloud


def _system(host: str) -> Iterable[str]:
    return (str(place[0]) for *_, place in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))


def addresses(host: str, *, timeout: timedelta, resolve: Callable[[str], Iterable[str]] = _system) -> tuple[str, ...]:
    """The addresses of `host`, in the resolver's order; an address is its own. Raises WireError, Interrupted.

    The system's resolver knows no time limit, so it is asked by a thread that is left to itself when time is over,
    or when the run is given up.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return (host,)
    answers: list[tuple[str, ...] | OSError] = []
    asking = threading.Thread(target=_ask, args=(host, resolve, answers), daemon=True)
    asking.start()
    deadline = Deadline(timeout)
    while asking.is_alive() and deadline.left():
        asking.join(deadline.slice())
    if not answers:
        raise WireError(f"has a name that was not resolved within {deadline}")
    if isinstance(found := answers[0], OSError):
        reason = found.strerror or str(found)
        raise WireError(f"has a name that cannot be resolved: {reason[:1].lower()}{reason[1:]}") from found
    return found[:_MOST]


def _ask(host: str, resolve: Callable[[str], Iterable[str]], answers: list[tuple[str, ...] | OSError]) -> None:
    try:
        answers.append(tuple(dict.fromkeys(resolve(host))))
    except OSError as error:
        answers.append(error)
    except UnicodeError as error:  # a label that is too long
        answers.append(OSError(str(error)))
