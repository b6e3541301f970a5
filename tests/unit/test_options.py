from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from acmectl.errors import Place
from acmectl.options import (
    Argv,
    ConfigPath,
    Duration,
    InvalidOption,
    Mode,
    Options,
    Port,
    SecretFile,
    SecretPath,
    Text,
    describe,
    format_duration,
    nearest,
    parse_duration,
    parse_path,
)


class Example(Options):
    duration: Duration | None = None
    path: ConfigPath | None = None
    secret: SecretFile | None = None
    late: SecretPath | None = None
    mode: Mode | None = None
    argv: Argv | None = None
    port: Port | None = None
    words: tuple[str, ...] = ()
    either: tuple[str, ...] | str | None = None
    mutable: list[str] | None = None


def read(**values: Any) -> Example:
    return Example.model_validate(values)


def refusal(**values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Example.model_validate(values)
    (detail,) = caught.value.errors()
    return str(detail["ctx"]["error"]) if detail["type"] == "value_error" else detail["type"]


def hint(**values: Any) -> str | None:
    with pytest.raises(ValidationError) as caught:
        Example.model_validate(values)
    (detail,) = caught.value.errors()
    error = detail["ctx"]["error"]
    assert isinstance(error, InvalidOption)
    return error.hint


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("12h", 43200), ("30d", 2592000), ("1d12h", 129600), ("0s", 0), ("1.5h", 5400), ("1w", 604800)],
)  # fmt: skip
def test_a_duration_is_numbers_with_units(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "5 m", "m", "-5m", "1:30", "5M", "1d ", "five minutes", "\u0661s", "9" * 400 + "d", "1e9d"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a duration|longer than a hundred years"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**9))
def test_a_duration_can_be_written_and_read_again(seconds: int) -> None:
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


def test_a_number_without_a_unit_is_refused() -> None:
    assert refusal(duration=5).startswith("not a duration: write a number and a unit")


def test_a_text_knows_its_place_and_is_a_string() -> None:
    text = Text("a", Place(Path("config.yaml"), 7))
    assert text == "a"
    assert str(text.place) == "config.yaml:7"


def test_a_relative_path_belongs_to_the_file_that_names_it() -> None:
    assert read(path=Text("b/c", Place(Path("/etc/acmectl/config.yaml")))).path == Path("/etc/acmectl/b/c")
    assert read(path=Text("/b", Place(Path("/etc/acmectl/config.yaml")))).path == Path("/b")
    assert read(path=Text("b", Place(Path("config.yaml")))).path == Path.cwd() / "b"


def test_a_path_of_the_program_itself_stays_as_it_is() -> None:
    assert read(path=Path("b")).path == Path("b")
    assert parse_path("~/b") == Path.home() / "b"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "not a path"),
        ("a\0b", "not a path"),
        ("~no-user-has-this-name/a", "not a path: there is no home directory of that user"),
        (5, "expected a path, found a number"),
        (["a"], "expected a path, found a list"),
    ],
)
def test_what_is_no_path_is_refused(value: Any, message: str) -> None:
    assert refusal(path=value) == message


@pytest.mark.parametrize(("text", "mode"), [("0640", 0o640), ("600", 0o600), ("0644", 0o644)])
def test_a_mode_is_octal_in_quotes(text: str, mode: int) -> None:
    assert read(mode=text).mode == mode


@pytest.mark.parametrize("value", [640, 416, "0888", "64", "01777", "rw", None.__class__])
def test_anything_else_is_no_mode(value: Any) -> None:
    assert refusal(mode=value).startswith("not a file mode")


def test_a_command_is_a_list_of_words() -> None:
    assert read(argv=["systemctl", "reload", "postfix"]).argv == ("systemctl", "reload", "postfix")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("systemctl reload", "a command is a list of words, such as"),
        ([], "a command is a list of words, and this one is empty"),
        (["a", 5], "a command is a list of words, and one of these is a number"),
        (5, "a command is a list of words, and this is a number"),
        ({"/bin/true": 5}, "a command is a list of words, and this is a mapping"),
        (["", "a"], "the first word of a command names a program"),
        (["a", "b\0"], "a word of a command cannot have a NUL character"),
        ([["a", "b"]], "a command is a list of words, and one of these is a list"),
    ],
)
def test_what_cannot_be_run_is_no_command(value: Any, message: str) -> None:
    assert refusal(argv=value).startswith(message)


@pytest.mark.parametrize("port", [0, 65536, "25", 2.5, True])
def test_a_port_is_a_number_that_ports_have(port: Any) -> None:
    assert refusal(port=port) in {"greater_than_equal", "less_than_equal", "int_type", "int_from_float"}
    assert read(port=25).port == 25


def test_a_list_is_taken_where_frozen_options_hold_a_tuple() -> None:
    options = read(words=["a", "b"], either=["c"], mutable=["d"])
    assert (options.words, options.either, options.mutable) == (("a", "b"), ("c",), ["d"])
    assert read(either="e").either == "e"
    assert refusal(words="abc") == "tuple_type"
    assert refusal(words=["a", 5]) == "string_type"


def test_options_refuse_unknown_keys_and_changes() -> None:
    assert refusal(what=1) == "extra_forbidden"
    with pytest.raises(ValidationError):
        read().words = ("a",)  # type: ignore[misc]  # that is the point
    with pytest.raises(ValidationError):
        Example.model_validate(["words"])


def secret_file(directory: Path, mode: int) -> Path:
    file = directory / "tsig.key"
    file.touch(mode=0o600)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_secret_is_a_file_that_only_we_can_read(tmp_path: Path, mode: int) -> None:
    file = secret_file(tmp_path, mode)
    assert read(secret=str(file)).secret == file
    assert read(secret=Text("tsig.key", Place(tmp_path / "config.yaml"))).secret == file


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o660, 0o666, 0o777])
def test_a_secret_that_others_can_read_or_write_is_none(tmp_path: Path, mode: int) -> None:
    file = secret_file(tmp_path, mode)
    message = f"the secret file `{file}` can be read or written by others (mode {mode:04o})"
    assert refusal(secret=str(file)) == message
    assert hint(secret=str(file)) == f"`chmod 600 {file}`, and consider it known to others"


def test_a_link_does_not_hide_that_others_can_read_the_secret(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(secret_file(tmp_path, 0o644))
    assert "can be read or written by others" in refusal(secret=str(tmp_path / "link"))


def test_what_is_no_file_is_no_secret(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert refusal(secret=str(tmp_path)) == f"`{tmp_path}` is no regular file"
    assert refusal(secret=str(tmp_path / "fifo")) == f"`{tmp_path}/fifo` is no regular file"
    assert refusal(secret=str(tmp_path / "none")) == f"there is no file `{tmp_path}/none`"
    assert refusal(secret=str(tmp_path / ("n" * 300))) == "cannot read the secret file: file name too long"
    assert refusal(secret=5) == "expected a path, found a number"


@pytest.mark.parametrize("secret", ["c2VjcmV0c2VjcmV0c2VjcmV0", "/c2Vj/cmV0==", "kZ+0/kZ0kZ0kZ0kZ0kZ0kZ0kZ0k"])
def test_a_secret_in_place_of_its_file_is_not_repeated(secret: str) -> None:
    assert refusal(secret=secret) == "there is no file of that name"
    assert (
        hint(secret=secret) == "if this is the secret itself, write it to a file of mode 0600, and name that file here"
    )


def test_the_nearest_word_is_suggested() -> None:
    assert nearest("solver_s", ["solvers", "master"]) == "did you mean `solvers`?"
    assert nearest("WEBROOT", ["webroot"]) == "did you mean `webroot`?"
    assert nearest("zzz", ["solvers", "master"]) is None
    assert nearest("tlsserv", ["tlsserver"], likeness=0.95) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "a truth value"),
        (5, "a number"),
        (0.5, "a number"),
        ("secret", "a text"),
        (["secret"], "a list"),
        ({"secret": 1}, "a mapping"),
        (b"secret", "a value of type bytes"),
    ],
)
def test_a_value_is_described_and_not_shown(value: Any, words: str) -> None:
    assert describe(value) == words


def test_a_credential_of_systemd_is_a_secret_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    file = secret_file(tmp_path, 0o400)
    assert read(secret=f"credential:{file.name}").secret == file
    assert refusal(secret="credential:none") == "systemd gives this service no credential `none`"
    assert "LoadCredential=none:" in str(hint(secret="credential:none"))
    file.chmod(0o444)
    assert "can be read or written by others" in refusal(secret=f"credential:{file.name}")


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "../tsig", "a b"])
def test_the_name_of_a_credential_leads_nowhere_else(name: str) -> None:
    assert refusal(secret=f"credential:{name}").startswith("not the name of a credential")


def test_a_credential_outside_of_the_service_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    missing = "credential:acmectl-test-without-such-a-file"
    assert refusal(secret=missing).endswith("is with systemd, which did not start this process")
    assert "/etc/credstore" in str(hint(secret=missing))


def test_a_secret_that_is_read_late_may_be_missing_for_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Example.model_validate({"late": str(tmp_path / "x.key")}).late == tmp_path / "x.key"
    assert Example.model_validate({"late": str(tmp_path / ("x" * 300))}).late
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Example.model_validate({"late": "credential:tsig"}).late == tmp_path / "tsig"
    (tmp_path / "tsig").touch()
    assert Example.model_validate({"late": "credential:tsig"}).late == tmp_path / "tsig"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert Example.model_validate({"late": "credential:tsig"}).late == Path("/etc/credstore/tsig")
    assert refusal(late="c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0") == "there is no file of that name"
