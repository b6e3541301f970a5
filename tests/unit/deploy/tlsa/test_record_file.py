"""The file with TLSA records that was copied to a master: what is taken from it, and what is refused, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from acmectl.deploy.tlsa.record_file import read
from acmectl.errors import ConfigurationError
from acmectl.model.tlsa import TlsaRecord

OWNER, OTHER = "_25._tcp.mail.example.org", "_465._tcp.mail.example.org"
DIGEST = "0123456789abcdef" * 4
KEY = "302a300506032b6570032100" + DIGEST


def test_lines_of_a_zone_file_are_read_as_acmectl_and_others_print_them(tmp_path: Path) -> None:
    file = tmp_path / "records"
    file.write_text(
        f"; mail: the key in use, ecdsa-p256\n{OWNER}. 3600 IN TLSA 3 1 1 {DIGEST}\n\n"
        f"{OWNER.upper()}.\tIN\t1h\tTLSA\t2 0 1 {DIGEST[:32].upper()} {DIGEST[32:]} ; the CA\r\n"
        f"{OTHER}. tlsa 3 1 0 {KEY}\n"
    )
    assert read(file, [OWNER, OTHER]) == {
        TlsaRecord(OWNER, f"3 1 1 {DIGEST}"),
        TlsaRecord(OWNER, f"2 0 1 {DIGEST}"),
        TlsaRecord(OTHER, f"3 1 0 {KEY}"),
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("www.example.org. 3600 IN A 192.0.2.1", "no TLSA record"),
        (f"{OWNER}. 3600 IN TLSA 4 1 1 {DIGEST}", "no TLSA record"),
        (f"{OWNER}. 3600 IN TLSA 3 1 1 ( {DIGEST}", "no TLSA record"),
        (f"{OWNER}. 3600 IN TLSA 3 1 1", "no TLSA record"),
        ("$ORIGIN example.org.", "no TLSA record"),
        (f"{OWNER} 3600 IN TLSA 3 1 1 {DIGEST}", "has no dot at its end"),
        (f"_443._tcp.mail.example.org. 3600 IN TLSA 3 1 1 {DIGEST}", "is not listed in `records`"),
        (f"{OWNER}. 3600 IN TLSA 3 1 1 {DIGEST[2:]}", "62 digits long"),
        (f"{OWNER}. 3600 IN TLSA 3 1 2 {DIGEST}", "64 digits long"),
        (f"{OWNER}. 3600 IN TLSA 3 1 0 {KEY}1", "89 digits long"),
        (f"{OWNER}. 3600 IN TLSA 3 1 0 ab", "no certificate or key: it is 2 digits long"),
        (f"{OWNER}. 3600 IN TLSA 3 1 0 31{KEY[2:]}", "no certificate or key"),
        (f"{OWNER}. 3600 IN TLSA 3 1 0 30{'00' * 70_000}", "140002 digits long"),
    ],
)
def test_whatever_else_stands_there_is_refused_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "records"
    file.write_text(f"; copied\n{OWNER}. 3600 IN TLSA 3 1 1 {DIGEST}\n{line}\n")
    with pytest.raises(ConfigurationError) as caught:
        read(file, [OWNER])
    (problem,) = caught.value.problems
    assert str(problem.place) == f"{file}:3"
    assert said in problem.message
    assert problem.hint


def test_a_mark_at_the_beginning_and_a_time_to_live_in_several_units_are_read(tmp_path: Path) -> None:
    file = tmp_path / "records"
    file.write_text(f"\ufeff{OWNER}. 1d2h IN TLSA 3 1 1 {DIGEST}\n", "utf-8")
    assert read(file, [OWNER]) == {TlsaRecord(OWNER, f"3 1 1 {DIGEST}")}


def test_a_file_without_records_for_a_service_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "records"
    file.write_text(f"{OWNER}. 3600 IN TLSA 3 1 1 {DIGEST}\n")
    with pytest.raises(ConfigurationError) as caught:
        read(file, [OWNER, OTHER])
    assert [str(problem.place) for problem in caught.value.problems] == [str(file)]
    assert OTHER in caught.value.problems[0].message


def test_a_file_that_is_not_there_is_a_problem_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path / "records", [OWNER])
    assert [problem.place.file for problem in caught.value.problems] == [tmp_path / "records"]
