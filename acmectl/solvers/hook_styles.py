"""How programs are told what to publish: in our own way, or as certbot, dehydrated and lego tell their hooks, so that those work unchanged.

Recorded from the programs themselves (certbot 2.1, dehydrated 0.7.0, lego 4.9) and compared with them by a test. What all three have in common: a
wildcard's hook is called with the base name. What we cannot offer is what has to do with certificates (`deploy_cert`, `CERTDIR`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from acmectl.solvers.base import DNS_01, HTTP_01, Response

Action = Literal["publish", "remove"]
Argv = Sequence[str]


@dataclass(frozen=True, slots=True)
class Call:
    """A program to run, for one response or, chained, for several."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    responses: tuple[Response, ...]


def ours(action: Action, program: Argv, responses: Sequence[Response]) -> Iterator[Call]:
    """`ACMECTL_*`, as the docstring of `acmectl.solvers.command` lists them; no arguments beyond those of the configuration."""
    for response in responses:
        environment = {
            "ACMECTL_ACTION": action,
            "ACMECTL_IDENTIFIER": response.identifier.value,
            "ACMECTL_CHALLENGE_TYPE": response.type,
            "ACMECTL_TOKEN": response.token,
            "ACMECTL_KEY_AUTHORIZATION": response.key_authorization,
        }
        if response.type == DNS_01:
            environment["ACMECTL_RECORD_NAME"] = response.identifier.challenge_record
            environment["ACMECTL_RECORD_VALUE"] = response.txt_value
        else:
            environment["ACMECTL_URL_PATH"] = response.url_path
        yield Call(tuple(program), environment, (response,))


def certbot(
    action: Action, program: Argv, responses: Sequence[Response], output: Callable[[Response], str]
) -> Iterator[Call]:
    """As `--manual-auth-hook` and `--manual-cleanup-hook` are called (certbot/_internal/plugins/manual.py).

    `output` is what the first of them printed for a response. Certbot has a shell run its hooks; we do not.
    """
    everything = ",".join(response.identifier.base for response in responses)
    for index, response in enumerate(responses):
        environment = {
            "CERTBOT_DOMAIN": response.identifier.base,
            "CERTBOT_VALIDATION": _value(response),
            "CERTBOT_ALL_DOMAINS": everything,
            "CERTBOT_REMAINING_CHALLENGES": str(len(responses) - index - 1),
        }
        if response.type == HTTP_01:
            environment["CERTBOT_TOKEN"] = response.token
        if action == "remove":
            environment["CERTBOT_AUTH_OUTPUT"] = output(response)
        yield Call(tuple(program), environment, (response,))


def dehydrated(action: Action, program: Argv, responses: Sequence[Response], *, chain: bool) -> Iterator[Call]:
    """`deploy_challenge` and `clean_challenge` with DOMAIN TOKEN VALUE; with `chain` (`HOOK_CHAIN=yes`) all in one call.

    Of what dehydrated exports, `altnames` and `CHALLENGETYPE` are given; the rest is about its own files.
    """
    word = {"publish": "deploy_challenge", "remove": "clean_challenge"}[action]
    names = " ".join(dict.fromkeys(response.identifier.value for response in responses))
    batches = [tuple(responses)] if chain and responses else [(response,) for response in responses]
    for batch in batches:
        told = [text for r in batch for text in (r.identifier.base, r.token, _value(r))]
        yield Call((*program, word, *told), {"altnames": names, "CHALLENGETYPE": batch[0].type}, batch)


def lego(action: Action, program: Argv, responses: Sequence[Response], *, raw: bool) -> Iterator[Call]:
    """The DNS provider `exec`: `present` and `cleanup` with FQDN VALUE; `raw` (`EXEC_MODE=RAW`): `-- DOMAIN TOKEN KEY-AUTHORIZATION`."""
    word = {"publish": "present", "remove": "cleanup"}[action]
    for response in responses:
        told = [f"{response.identifier.challenge_record}.", response.txt_value]
        if raw:
            told = ["--", response.identifier.base, response.token, response.key_authorization]
        yield Call((*program, word, *told), {"EXEC_MODE": "RAW" if raw else ""}, (response,))


def _value(response: Response) -> str:
    """What has to be published: the digest in the DNS, the key authorization at the URL."""
    return response.txt_value if response.type == DNS_01 else response.key_authorization
