from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, Field

from acmectl.config import Loaded, Section
from acmectl.errors import ConfigurationError, DNSError
from acmectl.options import Argv, ConfigPath, Duration, Mode, Options, SecretFile

Load = Callable[[dict[str, str]], Loaded]


class Inner(Options):
    servers: tuple[str, ...]
    interval: Duration = timedelta(seconds=2)


def refuse(value: str) -> str:
    raise DNSError(f"no server is called `{value}`", hint="ask another")


class Example(Options):
    server: str
    port: Annotated[int, Field(ge=1)] = 53
    key_file: SecretFile | None = None
    mode: Mode = 0o644
    directory: ConfigPath | None = None
    reload: Argv | None = None
    words: list[str] | tuple[str, ...] | None = None
    way: Literal["dns-01", "http-01"] = "dns-01"
    either: str | Inner | int | None = None
    inner: Inner | None = None
    ratio: Annotated[float, Field(multiple_of=0.5)] = 1.0
    refused: Annotated[str, AfterValidator(refuse)] | None = None


@pytest.fixture
def section(loaded: Load) -> Callable[[str], Section]:
    def solver(options: str) -> Section:
        """The solver `x`, of type `example`, with one option a line from line 4 on."""
        text = "authority: letsencrypt\nsolvers:\n  x: # line 3\n" + "".join(
            f"    {line}\n" for line in options.splitlines()
        )
        return loaded({"config.yaml": text + "    type: example\n", "key": "secret"}).sections.solvers["x"]

    return solver


@pytest.fixture
def refusal(section: Callable[[str], Section], tmp_path: Path) -> Callable[[str], list[str]]:
    def complain(options: str) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            section(options).check(Example)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return complain


def test_options_are_checked_by_the_model_of_their_room(section: Callable[[str], Section], tmp_path: Path) -> None:
    options = section(
        "server: ns.example.com\nkey_file: key\nmode: '0640'\ndirectory: tls\nreload: [a, b]\nwords: [c, d]\n"
        "inner: {servers: [e], interval: 5s}\nratio: 2\n"
    ).check(Example)
    assert options == Example(
        server="ns.example.com",
        key_file=tmp_path / "key",
        mode="0640",  # type: ignore[arg-type]  # as it is written
        directory=tmp_path / "tls",
        reload=("a", "b"),
        words=("c", "d"),
        inner=Inner(servers=("e",), interval=timedelta(seconds=5)),
        ratio=2.0,
    )
    assert options.mode == 0o640


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("port: 53", ["config.yaml:3: `solvers.x`: the key `server` is missing"]),
        (
            "server: a\nprot: 53\nport: 0",
            [
                "config.yaml:6: `solvers.x.port`: must be at least 1",
                "config.yaml:5: `solvers.x.prot`: unknown key `prot` (did you mean `port`?)",
            ],
        ),
        (
            "server: 5\nport: '53'",
            [
                "config.yaml:4: `solvers.x.server`: expected a text, found a number (write it in quotes)",
                "config.yaml:5: `solvers.x.port`: expected a whole number, found a text (write it without quotes)",
            ],
        ),
        (
            "server: a\nway: dns-1",
            ["config.yaml:5: `solvers.x.way`: expected one of `dns-01`, `http-01` (did you mean `dns-01`?)"],
        ),
        (
            "server: a\neither: [1]",
            ["config.yaml:5: `solvers.x.either`: expected a text or a mapping or a whole number, found a list"],
        ),
        (
            "server: a\ninner:\n  servers: [a, 5]\n  intervall: 5s",
            [
                "config.yaml:6: `solvers.x.inner.servers[1]`: expected a text, found a number (write it in quotes)",
                "config.yaml:7: `solvers.x.inner.intervall`: unknown key `intervall` (did you mean `interval`?)",
            ],
        ),
        (
            "server: a\nreload: systemctl reload x\nmode: '0999'",
            [
                (
                    'config.yaml:6: `solvers.x.mode`: not a file mode: write it in quotes, such as "0640"'
                    " (YAML reads a bare 0640 as a number)"
                ),
                (
                    "config.yaml:5: `solvers.x.reload`: a command is a list of words, such as `[systemctl, reload, postfix]`:"
                    " no shell is involved"
                ),
            ],
        ),
        (
            "server: a\nrefused: ns.example.com",
            ["config.yaml:3: `solvers.x`: no server is called `ns.example.com` (ask another)"],
        ),
        ("server: a\nkey_file: none.key", ["config.yaml:5: `solvers.x.key_file`: there is no file `none.key`"]),
        (
            "server: a\nratio: 0.7",
            ["config.yaml:5: `solvers.x.ratio`: not accepted: input should be a multiple of 0.5"],
        ),
        ("server: a\nratio: .nan", ["config.yaml:5: `solvers.x.ratio`: expected a number, found a text"]),
    ],
)
def test_a_mistake_is_placed_at_its_line_and_key(
    refusal: Callable[[str], list[str]], options: str, expected: list[str]
) -> None:
    assert refusal(options) == expected


def test_a_secret_that_others_can_read_is_refused_with_the_cure(
    section: Callable[[str], Section], tmp_path: Path
) -> None:
    example = section("server: a\nkey_file: key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ConfigurationError) as caught:
        example.check(Example)
    assert [str(problem) for problem in caught.value.problems] == [
        (
            f"{tmp_path}/config.yaml:5: `solvers.x.key_file`: the secret file `{tmp_path}/key` can be read or written by others"
            f" (mode 0644) (`chmod 600 {tmp_path}/key`, and consider it known to others)"
        )
    ]


@pytest.mark.parametrize(
    "options",
    [
        "server: a\nkey_file: c2VjcmV0c2VjcmV0c2VjcmV0",
        "server: a\nkey_file: /c2VjcmV0c2/VjcmV0c2VjcmV0==",
        "server: [c2VjcmV0c2VjcmV0c2VjcmV0]",
        "server: a\nway: c2VjcmV0c2VjcmV0c2VjcmV0",
        "server: a\nkey: c2VjcmV0c2VjcmV0c2VjcmV0",
        "server: a\nmode: c2VjcmV0c2VjcmV0c2VjcmV0",
        "server: a\ninner: c2VjcmV0c2VjcmV0c2VjcmV0",
        "server: a\ndirectory: [c2VjcmV0c2VjcmV0c2VjcmV0]",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(
    section: Callable[[str], Section], refusal: Callable[[str], list[str]], options: str
) -> None:
    assert "VjcmV0" not in " ".join(refusal(options))
    assert "VjcmV0" not in repr(section(options))


def test_a_room_can_complain_of_the_section_and_of_one_key(section: Callable[[str], Section], tmp_path: Path) -> None:
    example = section("server: ns\nport: 5")
    told = [
        example.problem("no"),
        example.problem("no", key="port", hint="yes"),
        example.problem("no", key="absent"),
        example.problem("no", key="type"),
    ]
    assert [str(problem).replace(f"{tmp_path}/", "") for problem in told] == [
        "config.yaml:3: `solvers.x`: no",
        "config.yaml:5: `solvers.x.port`: no (yes)",
        "config.yaml:3: `solvers.x.absent`: no",
        "config.yaml:6: `solvers.x.type`: no",
    ]


def test_sections_are_recognised_where_everything_else_is_wrong(loaded: Load) -> None:
    text = """\
authority: nobody
solvers: {web: {type: webroot, path: 5}, none: {path: /}, text: webroot}
master: 5
certificates:
  mail: {names: [mail], deploy: [{type: files, directory: 5}, {directory: x}, 5], what: 1}
  text: mail
"""
    answer = loaded({"config.yaml": text})
    assert answer.config is None
    assert [section.path for section in answer.sections.all()] == ["solvers.web", "certificates.mail.deploy[0]"]
