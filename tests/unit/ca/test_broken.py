"""Failures that cannot be made on loopback without leaving it, as `requests` and `urllib3` raise them."""

from __future__ import annotations

import socket
import ssl

import pytest
import requests
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NameResolutionError, ReadTimeoutError
from urllib3.exceptions import SSLError as PoolSSLError

from acmectl.ca.broken import ConnectionBroken, explain
from acmectl.errors import CAUnreachable

URL = "https://ca.example.com/directory"


def wrapped(reason: Exception) -> MaxRetryError:
    return MaxRetryError(None, URL, reason)  # type: ignore[arg-type]  # the pool is only kept, never used


def test_a_name_that_does_not_resolve_is_told_from_a_closed_port() -> None:
    unresolved = NameResolutionError("ca.example.com", HTTPConnection("ca.example.com"), socket.gaierror(-2, "unknown"))

    error = explain(requests.ConnectionError(wrapped(unresolved)), URL, None)

    assert isinstance(error, ConnectionBroken)
    assert "the name `ca.example.com` cannot be resolved" in error.message
    assert "getent hosts ca.example.com" in str(error.hint)


@pytest.mark.parametrize("kind", [ssl.SSLEOFError, ssl.SSLZeroReturnError])
def test_a_handshake_that_breaks_off_may_be_tried_again(kind: type[ssl.SSLError]) -> None:
    error = explain(requests.exceptions.SSLError(wrapped(PoolSSLError(kind(8, "EOF")))), URL, None)

    assert isinstance(error, ConnectionBroken)
    assert error.by_peer


@pytest.mark.parametrize(
    "cause",
    [requests.ReadTimeout("slow"), ReadTimeoutError(None, URL, "slow")],  # type: ignore[arg-type]  # as above
)
def test_silence_after_the_request_is_not_tried_again_at_once(cause: Exception) -> None:
    error = explain(cause, URL, None)

    assert type(error) is CAUnreachable
    assert "no answer" in error.message


def test_an_address_where_nobody_answers_is_named() -> None:
    error = explain(requests.ConnectTimeout(wrapped(TimeoutError("timed out"))), URL, None)

    assert error.message == f"cannot reach `{URL}`: nobody answers at this address"


def test_an_unusable_proxy_is_not_taken_for_an_unusable_url() -> None:
    error = explain(requests.exceptions.InvalidProxyURL("x"), URL, None)

    assert "proxy" in error.message
    assert "https_proxy" in str(error.hint)


def test_what_nobody_foresaw_is_still_an_error_of_ours() -> None:
    error = explain(OSError(24, "Too many open files"), URL, None)

    assert error.message == f"cannot reach `{URL}`: too many open files"
