"""Reasons of revocation have the numbers of RFC 5280 section 5.3.1."""

from __future__ import annotations

from cryptography import x509

from acmectl.model.renewals import Reason


def test_every_reason_has_the_number_and_the_name_that_certificates_use() -> None:
    known = {flag.value: code for code, flag in _codes().items()}
    assert {reason.value: reason.code for reason in Reason} == {
        name: code for name, code in known.items() if name in {*Reason}
    }
    assert len({reason.code for reason in Reason}) == len(Reason)


def _codes() -> dict[int, x509.ReasonFlags]:
    """RFC 5280 section 5.3.1."""
    flags = x509.ReasonFlags
    return {
        0: flags.unspecified,
        1: flags.key_compromise,
        2: flags.ca_compromise,
        3: flags.affiliation_changed,
        4: flags.superseded,
        5: flags.cessation_of_operation,
        6: flags.certificate_hold,
    }
