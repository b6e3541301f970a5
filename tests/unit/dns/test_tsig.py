from __future__ import annotations

import base64
import traceback
from pathlib import Path

import pytest

from acmectl.dns.tsig import TsigKey, load_key_file, load_secret_file
from acmectl.errors import DNSError

OCTETS = bytes(range(32))
SECRET = base64.b64encode(OCTETS).decode("ascii")
SLASHES = base64.b64encode(b"\xff" * 33).decode("ascii")


def write(directory: Path, text: str | bytes) -> Path:
    path = directory / "tsig.key"
    path.touch(mode=0o600)
    path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        f'key "acmectl" {{\n\talgorithm hmac-sha256;\n\tsecret "{SECRET}";\n}};\n',
        f"key acmectl {{ secret {SECRET}; algorithm HMAC-SHA256; }};",
        f'# made by hand\nkey "acmectl." {{ // the name\n algorithm "hmac-sha256"; /* of\nRFC 8945 */ secret "{SECRET}"; }};',
        f'key "acmectl" {{ algorithm hmac-sha256; secret "{SECRET}"; }};\noptions {{ default-key "acmectl"; }};',
    ],
)
def test_a_key_is_read_from_a_file_as_bind_writes_it(tmp_path: Path, text: str) -> None:
    assert load_key_file(write(tmp_path, text)) == TsigKey("acmectl", "hmac-sha256", OCTETS)


@pytest.mark.parametrize("secret", [f'"{SLASHES}"', f"abcd{SLASHES}"])
def test_slashes_in_a_secret_are_no_comment(tmp_path: Path, secret: str) -> None:
    path = write(tmp_path, f"key k {{ algorithm hmac-sha512; secret {secret}; }};")
    assert load_key_file(path).secret.endswith(b"\xff" * 33)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have one key, found: none"),
        ("hello world", "must have one key, found: none"),
        (
            f"key a {{ algorithm hmac-sha256; secret {SECRET}; }}; key b {{ algorithm hmac-sha256; secret {SECRET}; }};",
            "must have one key, found: `a`, `b`",
        ),
        (f"key a {{ algorithm hmac-md5; secret {SECRET}; }};", "uses `hmac-md5`, which is too weak"),
        (f"key a {{ algorithm hmac-sha1; secret {SECRET}; }};", "uses `hmac-sha1`, which is too weak"),
        (f"key a {{ algorithm rot13; secret {SECRET}; }};", "has no known algorithm"),
        (f"key a {{ secret {SECRET}; }};", "has no known algorithm"),
        ("key a { algorithm hmac-sha256; };", "is no base64 text of 16 octets or more"),
        ("key a { algorithm hmac-sha256; secret c2hvcnQ=; };", "is no base64 text of 16 octets or more"),
        (f"key a {{ algorithm hmac-sha256; secret {SECRET}!!; }};", "is no base64 text of 16 octets or more"),
        (f"key a {{ algorithm hmac-sha256; secret {SECRET};", "ends within `key a`"),
        (f'\nkey a {{ algorithm hmac-sha256; secret "{SECRET};\n', ":2` has a quote that does not end"),
        (f'key "a b" {{ algorithm hmac-sha256; secret "{SECRET}"; }};', "has no name that is a domain name"),
        (b"\x00\xff\xfe", "is no text"),
    ],
)
def test_a_file_without_a_usable_key_is_explained_and_the_secret_is_not_quoted(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DNSError) as caught:
        load_key_file(path)
    assert message in caught.value.message
    assert str(path) in caught.value.message
    shown = "".join(traceback.format_exception(caught.value)) + str(caught.value.hint)
    assert SECRET not in shown


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, f"key a {{ algorithm hmac-sha256; secret {SECRET}; }};")
    path.chmod(0o644)
    with pytest.raises(DNSError, match="can be read or written by others") as caught:
        load_key_file(path)
    assert caught.value.hint
    assert "chmod 600" in caught.value.hint


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DNSError, match=r"cannot read the TSIG key file `.*tsig\.key`: [Nn]o such file"):
        load_key_file(tmp_path / "tsig.key")


def test_a_secret_alone_in_a_file_makes_a_key_with_the_name_and_algorithm_of_the_configuration(tmp_path: Path) -> None:
    path = write(tmp_path, SECRET + "\n")
    assert load_secret_file(path, name="k.example", algorithm="hmac-sha384") == TsigKey(
        "k.example", "hmac-sha384", OCTETS
    )


def test_a_key_does_not_show_its_secret() -> None:
    shown = repr(TsigKey("acmectl", "hmac-sha256", OCTETS))
    assert "acmectl" in shown
    assert SECRET not in shown
    assert repr(OCTETS) not in shown


def test_dnspython_gets_the_same_key() -> None:
    key = TsigKey("acmectl", "hmac-sha256", OCTETS).for_dnspython()
    assert (key.name.to_text(), key.algorithm.to_text(), key.secret) == ("acmectl.", "hmac-sha256.", OCTETS)
