from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from acmectl import keys, programs
from acmectl.errors import DeployError, ProgramFailed
from acmectl.model.certificates import KeyType

NO_KEY = "(a private key, left out here)"
SOON = timedelta(seconds=20)


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pid: int, *, within: float = 10) -> bool:
    deadline = time.monotonic() + within
    while is_running(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_program_gets_its_words_and_its_output_comes_back() -> None:
    assert programs.run(["printf", "%s|", "a b", "$HOME", "*"], timeout=SOON) == b"a b|$HOME|*|"


def test_a_program_reads_what_it_is_given_and_more_than_a_pipe_holds() -> None:
    given = b"x" * 3_000_000
    assert programs.run(["cat"], timeout=SOON, stdin=given) == given


def test_a_program_that_reads_nothing_is_no_failure() -> None:
    assert programs.run(["true"], timeout=SOON, stdin=b"x" * 1_000_000) == b""


def test_a_program_that_prints_much_on_both_streams_does_not_block() -> None:
    code = "import os\nfor n in range(50): os.write(1, b'o' * 40000); os.write(2, b'e' * 40000)"
    assert len(programs.run(python(code), timeout=SOON)) == 2_000_000


def test_a_program_sees_only_the_environment_that_it_is_given() -> None:
    os.environ["ACMECTL_SECRET"] = "secret"
    try:
        output = programs.run(["env"], timeout=SOON, environment={"NAME": "value"}).decode()
    finally:
        del os.environ["ACMECTL_SECRET"]
    names = {line.partition("=")[0] for line in output.splitlines()}
    assert {"NAME", "PATH"} <= names <= {"NAME", "PATH", "HOME", "LANG", "PWD", "SHLVL", "_"}


@pytest.fixture
def path_of_cron() -> Iterator[None]:
    before = os.environ["PATH"]
    os.environ["PATH"] = "/usr/bin:/bin"
    yield
    os.environ["PATH"] = before


@pytest.mark.usefixtures("path_of_cron")
def test_programs_of_services_are_found_with_the_path_that_cron_gives() -> None:
    assert programs.run(["useradd", "--help"], timeout=SOON)  # in /usr/sbin
    assert programs.lack("useradd") is None
    path = programs.run(["sh", "-c", "echo $PATH"], timeout=SOON).decode().strip().split(":")
    assert path[:2] == ["/usr/bin", "/bin"]
    assert {"/usr/sbin", "/sbin", "/usr/local/sbin"} < set(path)


def test_why_a_program_cannot_be_started_is_said_without_starting_it(tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    assert programs.lack(str(hook)) == f"there is no program `{hook}` on this host"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o600)
    assert programs.lack(str(hook)) == f"`{hook}` is not executable"
    hook.chmod(0o700)
    assert programs.lack(str(hook)) is None
    assert programs.lack(str(tmp_path)) == f"there is no program `{tmp_path}` on this host"
    assert programs.lack("no-such-program") == "there is no program `no-such-program` on this host"


def test_a_missing_program_is_named_with_a_hint() -> None:
    with pytest.raises(ProgramFailed) as raised:
        programs.run(["no-such-program", "a b"], timeout=SOON)
    assert raised.value.message == "cannot run `no-such-program 'a b'`: no such file or directory"
    assert raised.value.hint == "is `no-such-program` installed and executable?"


def test_words_that_cannot_be_run_are_an_error_of_ours() -> None:
    with pytest.raises(ProgramFailed, match="cannot run"):
        programs.run(["a\0b"], timeout=SOON)


def test_a_failure_quotes_what_the_program_said() -> None:
    with pytest.raises(DeployError) as raised:
        programs.run(["sh", "-c", "echo out; echo bad thing >&2; exit 3"], timeout=SOON, error=DeployError)
    assert raised.value.message == "`sh -c 'echo out; echo bad thing >&2; exit 3'` failed with exit status 3: bad thing"


def test_a_failure_without_complaints_quotes_the_output() -> None:
    with pytest.raises(ProgramFailed, match=r"failed with exit status 1: only out$"):
        programs.run(["sh", "-c", "echo only out; exit 1"], timeout=SOON)


def test_lines_that_a_program_wrote_for_a_terminal_are_quoted_as_lines() -> None:
    with pytest.raises(ProgramFailed, match=r"exit status 3: one\ntwo$"):
        programs.run(["script", "-qec", "echo one; echo two >&2; exit 3", "/dev/null"], timeout=SOON)


def test_what_is_quoted_of_long_output_begins_with_words() -> None:
    with pytest.raises(ProgramFailed) as raised:
        programs.run(python(r"import sys; sys.exit('first' + '\n' * 100 + 'last ' * 399)"), timeout=SOON)
    said = raised.value.message.partition("exit status 1: ")[2]
    assert said == ("last " * 399).rstrip()


def test_what_a_failure_quotes_is_short_and_has_no_control_characters() -> None:
    with pytest.raises(ProgramFailed) as raised:
        programs.run(
            python(r"import os, sys; os.write(2, b'\x1b[31m' + b'y' * 100000 + b'\xff end'); sys.exit(1)"), timeout=SOON
        )
    quoted = raised.value.message.rpartition(": ")[2]
    assert quoted.endswith("\\xff end")
    assert len(quoted) <= 2000
    assert "\x1b" not in raised.value.message


@pytest.mark.parametrize("kind", [KeyType.ECDSA_P256, KeyType.RSA_2048])
@pytest.mark.parametrize(
    ("printed", "quoted"),
    [
        ("cat key; echo is bad", f"{NO_KEY}\nis bad"),
        ("echo before; cat key key; echo after", f"before\n{NO_KEY}\n{NO_KEY}\nafter"),
        ("echo before; head -2 key", f"before\n{NO_KEY}"),
        ("echo before:; tail -n +2 key; echo after", f"before:{NO_KEY}\nafter"),
        ("tail -c 90 key", NO_KEY),
        ("printf 'it ends with: '; tail -c 90 key", f"it ends with: {NO_KEY}"),
        ("printf 'key = \"%s\"\\n' \"$(tr '\\n' '|' <key)\"", f'key = "{NO_KEY}|"'),
        ("cat key; head -c 1900 /dev/zero | tr '\\0' x", f"{NO_KEY}\n{'x' * 1900}"),
        ("cat key; head -c 65400 /dev/zero | tr '\\0' x", "x" * 2000),
        ("cat public", "public"),
    ],
)
def test_a_private_key_is_not_quoted_and_neither_is_a_part_of_one(
    tmp_path: Path, kind: KeyType, printed: str, quoted: str
) -> None:
    key = keys.generate(kind)
    (tmp_path / "key").write_bytes(keys.to_pem(key))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    (tmp_path / "public").write_text(public)
    for stream in (1, 2):
        with pytest.raises(ProgramFailed) as raised:
            programs.run(
                ["sh", "-c", f'cd "$1"; {{ {printed}; }} >&{stream}; exit 1', "sh", str(tmp_path)], timeout=SOON
            )
        said = raised.value.message.partition("failed with exit status 1: ")[2]
        assert said == (public.strip() if quoted == "public" else quoted)


@pytest.mark.parametrize("kind", [KeyType.ECDSA_P256, KeyType.RSA_2048])
@pytest.mark.parametrize(
    "printed",
    [
        "cat text",
        "cat text | sed 's/^/hook: /'",
        "cat text | head -4",
        "cat text | tail -n +4",
        "cat text | tail -c +60",
        "cat text | head -c 120",
        "cat text | sed 's/$/\\r/'",
        "tr '\\n' @ <text | sed 's/@/\\\\n/g'",
        "cat text text",
    ],
)
def test_the_numbers_of_a_private_key_are_not_quoted_and_neither_is_a_part_of_them(
    tmp_path: Path, kind: KeyType, printed: str
) -> None:
    key = keys.generate(kind)
    (tmp_path / "key").write_bytes(keys.to_pem(key))
    text = ["openssl", "pkey", "-noout", "-text", "-in", str(tmp_path / "key"), "-out", str(tmp_path / "text")]
    programs.run(text, timeout=SOON)
    with pytest.raises(ProgramFailed) as raised:
        programs.run(["sh", "-c", f'cd "$1"; {{ {printed}; }} >&2; exit 1', "sh", str(tmp_path)], timeout=SOON)
    said = raised.value.message.partition("failed with exit status 1: ")[2]
    assert "(hex digits, left out here)" in said
    assert re.search(r"(?:[0-9a-f]{2}:){15}", (tmp_path / "text").read_text())
    assert not re.search(r"(?:[0-9a-f]{2}:){15}", said)
    assert not re.search(r"(?m)^ +[0-9a-f]{2}:", said)
    if printed == "cat text" and kind is KeyType.ECDSA_P256:
        dump = "    (hex digits, left out here)"
        lines = ["Private-Key: (256 bit)", "priv:", dump, "pub:", dump, "ASN1 OID: prime256v1", "NIST CURVE: P-256"]
        assert said.splitlines() == lines


@pytest.mark.parametrize(
    "said",
    [
        "fingerprint 12:34:56:78:9a:bc:de:f0:12:34:56:78:9a:bc:de:f0",
        "12:34:56:78:9a:bc:de:f0:12:34:56:78:9a:bc:de:f0\nis not 12:34:56:78:9a:bc:de:f0:12:34:56:78:9a:bc:de:00: why?",
        "SHA1 Fingerprint=" + ":".join(["AB"] * 20),
        "02:42:ac:11:00:02:\nfe80::42:acff:fe11:2",
    ],
)
def test_fingerprints_and_addresses_are_quoted(said: str) -> None:
    with pytest.raises(ProgramFailed, match=rf"status 1: {re.escape(said)}$"):
        programs.run(["sh", "-c", 'printf "%s\n" "$1"; exit 1', "sh", said], timeout=SOON)


def test_a_private_key_is_not_quoted_of_a_program_that_was_stopped_either() -> None:
    with pytest.raises(ProgramFailed, match=rf"was stopped: {re.escape(NO_KEY)}$"):
        programs.run(
            ["sh", "-c", "echo -----BEGIN EC PRIVATE KEY-----; echo c2VjcmV0; exec sleep 60"],
            timeout=timedelta(seconds=0.5),
        )


def test_a_signal_is_named() -> None:
    with pytest.raises(ProgramFailed, match=r"was ended by signal 9$"):
        programs.run(["sh", "-c", "kill -9 $$"], timeout=SOON)


def test_a_program_that_runs_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/self; wait"
    began = time.monotonic()
    with pytest.raises(ProgramFailed, match=r"did not finish within 0\.5 s and was stopped"):
        programs.run(["sh", "-c", script], timeout=timedelta(seconds=0.5))
    assert time.monotonic() - began < 5
    assert all(gone(int((tmp_path / name).read_text())) for name in ("child", "self"))


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    script = f"trap '' TERM; echo $$ > {tmp_path}/self; while :; do sleep 1; done"
    with pytest.raises(ProgramFailed, match="was stopped"):
        programs.run(["sh", "-c", script], timeout=timedelta(seconds=0.3))
    assert gone(int((tmp_path / "self").read_text()))


def test_a_daemon_that_keeps_the_pipes_open_is_neither_waited_for_nor_ended(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/daemon; echo started"
    began = time.monotonic()
    assert programs.run(["sh", "-c", script], timeout=timedelta(seconds=30)) == b"started\n"
    took = time.monotonic() - began
    daemon = int((tmp_path / "daemon").read_text())
    try:
        assert is_running(daemon)
        assert took < 5
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_a_daemon_that_keeps_printing_is_not_listened_to(tmp_path: Path) -> None:
    script = f"yes & echo $! > {tmp_path}/daemon"
    began = time.monotonic()
    programs.run(["sh", "-c", script], timeout=timedelta(seconds=30))
    assert time.monotonic() - began < 10
    assert gone(int((tmp_path / "daemon").read_text())), "the closed pipe ends it"


def test_a_program_that_closes_its_pipes_is_waited_for(tmp_path: Path) -> None:
    programs.run(["sh", "-c", f"exec <&- >&- 2>&-; sleep 0.3; touch {tmp_path}/done"], timeout=SOON)
    assert (tmp_path / "done").exists()


def test_a_program_that_closes_its_pipes_still_has_a_time_limit() -> None:
    with pytest.raises(ProgramFailed, match="was stopped"):
        programs.run(["sh", "-c", "exec <&- >&- 2>&-; sleep 60"], timeout=timedelta(seconds=0.3))


def test_programs_run_side_by_side_from_several_threads() -> None:
    outputs: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: outputs.append(programs.run(["cat"], timeout=SOON, stdin=b"x" * 100_000)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outputs == [b"x" * 100_000] * 4
