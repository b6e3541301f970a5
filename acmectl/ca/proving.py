"""Proving control (RFC 8555 sections 7.5.1 and 8): the master's side, which no follower may import."""

from __future__ import annotations

from acmectl.ca.purpose import Purpose
from acmectl.ca.reading import read_challenge
from acmectl.ca.session import Session
from acmectl.ca.unsure import until_known
from acmectl.model.names import Identifier
from acmectl.model.orders import Challenge, ChallengeStatus

_LOOK = Purpose("challenge", "to show the challenge", waits=True)


def key_authorization(session: Session, challenge: Challenge) -> str:
    """What proves that we hold the account's key (RFC 8555 section 8.1). No secret: it is published."""
    return f"{challenge.token}.{session.account_key.thumbprint}"


def answer(session: Session, challenge: Challenge, *, identifier: Identifier | None = None) -> Challenge:
    """Tell the CA that the response was published: from now on it may look, and a wrong response is a failed validation.

    `identifier` is only for the words of a refusal. Where the reply is lost, the challenge is looked at first, and answered again only if it is still pending: a
    second answer to a challenge that failed meanwhile is refused (Boulder: 400), which would hide why it failed.
    """
    from acmectl.ca import messages

    doing = f"the {challenge.type} challenge answer for {identifier or challenge.url}"
    purpose = Purpose("challenge", doing, repeatable=False)
    return until_known(
        session,
        send=lambda: read_challenge(session.post(challenge.url, messages.challenge_answer(), purpose)),
        look=lambda: read_challenge(session.post(challenge.url, None, _LOOK)),
        undone=lambda seen: seen.status is ChallengeStatus.PENDING,
    )
