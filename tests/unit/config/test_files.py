"""What can be wrong with the files themselves: the main one, those of conf.d, and those of names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from acmectl.config import Loaded, load

Complain = Callable[[dict[str, str | bytes]], list[str]]

MAIN = """\
authority: letsencrypt
solvers: {web: {type: webroot, path: /srv}}
master:
  authorize:
    - {names_file: customers.txt, solver: web}
"""


def only_problem(answer: Loaded) -> str:
    assert answer.config is None
    (problem,) = answer.problems
    return str(problem)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything: be somebody else for a moment."""
    before = os.geteuid()
    os.seteuid(65534 if before == 0 else before)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_missing_file_says_how_to_name_another(tmp_path: Path) -> None:
    assert only_problem(load(tmp_path / "config.yaml")) == (
        f"{tmp_path}/config.yaml: there is no such file"
        " (name yours with `--config FILE` or `ACMECTL_CONFIG`, or begin with `acmectl init`)"
    )


def test_a_missing_file_is_one_problem_whatever_lies_in_conf_d(complaints: Complain) -> None:
    assert len(complaints({"conf.d/more.yaml": "what: 1"})) == 1


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    assert only_problem(load(tmp_path)) == f"{tmp_path}: a directory, where a file is expected"


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.yaml")
    assert only_problem(load(tmp_path / "config.yaml")) == f"{tmp_path}/config.yaml: no regular file"


def test_a_link_to_itself_is_no_configuration(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.symlink_to(file)
    what_to_do = "a symbolic link on that way leads to itself: remove it"
    assert only_problem(load(file)) == f"{file}: cannot be read: too many levels of symbolic links ({what_to_do})"


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b"])
def test_a_name_that_no_file_can_have_is_a_problem(tmp_path: Path, name: str) -> None:
    assert "cannot be read: " in only_problem(load(tmp_path / name))


def test_a_file_that_we_may_not_read_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.touch(mode=0)
    with as_nobody():
        answer = load(file)
    assert only_problem(answer).startswith(f"{file}: cannot be read: permission denied (run as the user who owns it")


def test_conf_d_must_be_a_directory(complaints: Complain) -> None:
    assert complaints({"config.yaml": MAIN, "customers.txt": "a.example.com", "conf.d": ""}) == [
        "conf.d: cannot be read: not a directory"
    ]


def test_a_file_of_another_ending_is_not_passed_over(complaints: Complain) -> None:
    files: dict[str, str | bytes] = {
        "config.yaml": MAIN,
        "customers.txt": "a.example.com",
        "conf.d/more.yml": "what: 1",
    }
    assert complaints(files) == [
        "conf.d/more.yml: not read: only files that end in `.yaml` are (`mv conf.d/more.yml conf.d/more.yaml`)"
    ]


def test_a_key_defined_in_two_files_names_both_places(complaints: Complain) -> None:
    more = "authority: google\nsolvers:\n  web: {path: /other}\n  dns: {type: rfc2136}\n"
    lists = "master:\n  authorize: []\n  every: 1h\nsolvers: []\n"
    assert complaints({"config.yaml": MAIN, "customers.txt": "a.b", "conf.d/1.yaml": more, "conf.d/2.yaml": lists}) == [
        "conf.d/1.yaml:1: `authority`: defined twice, first at config.yaml:1",
        "conf.d/1.yaml:3: `solvers.web.path`: defined twice, first at config.yaml:2",
        "conf.d/2.yaml:2: `master.authorize`: defined twice, first at config.yaml:4",
        "conf.d/2.yaml:4: `solvers`: defined twice, first at config.yaml:2",
    ]


def test_a_certificate_in_two_files_is_told_to_have_one_list_of_targets(complaints: Complain) -> None:
    certificate = "certificates:\n  mail:\n    names: [mail.example.com]\n    deploy: [{type: %s}]\n"
    assert complaints(
        {
            "config.yaml": "authority: letsencrypt\n",
            "conf.d/dovecot.yaml": certificate % "dovecot",
            "conf.d/postfix.yaml": certificate % "postfix",
        }
    ) == [
        f"conf.d/postfix.yaml:{line}: `certificates.mail.{key}`: defined twice, first at conf.d/dovecot.yaml:{line}"
        " (write a certificate in one place, and list the targets of all its services under its `deploy`)"
        for line, key in ((3, "names"), (4, "deploy"))
    ]


def test_problems_of_conf_d_have_its_places(complaints: Complain) -> None:
    more = "# more\ncertificates:\n  mail:\n    names: [mail]\n    what: 1\n"
    assert complaints({"config.yaml": MAIN, "customers.txt": "a.b", "conf.d/more.yaml": more}) == [
        (
            "conf.d/more.yaml:4: `certificates.mail.names[0]`: `mail` has only one label"
            " (write the full name, such as `mail.example.com`)"
        ),
        (
            "conf.d/more.yaml:5: `certificates.mail.what`: unknown key `what`"
            " (known here: `names`, `key`, `reuse_key`, `prepare_key`, `key_file`, `csr_file`, `preferred_chain`,"
            " `account`, `profile`, `solver`, `tlsa`, `deploy`, `onchange`)"
        ),
    ]


def test_problems_come_in_the_order_of_files_and_lines(loaded: Callable[[dict[str, str]], Loaded]) -> None:
    files = {
        "config.yaml": MAIN + "b: 1\na: 1\n",
        "customers.txt": "a\nb\n",
        "conf.d/2.yaml": "d: 1\nc: 1\n",
        "conf.d/1.yaml": "f: 1\ne: 1\n",
    }
    places = [(problem.place.file.name, problem.place.line) for problem in loaded(files).problems]
    assert places == [
        *[("config.yaml", 6), ("config.yaml", 7)],
        *[("1.yaml", 1), ("1.yaml", 2), ("2.yaml", 1), ("2.yaml", 2)],
        *[("customers.txt", 1), ("customers.txt", 2)],
    ]


def test_a_line_that_is_no_name_has_its_number(complaints: Complain) -> None:
    names = "# ours\na.example.com\nb_.example.com  # new\n\na.example.com c.example.com\nA.example.com\n"
    assert complaints({"config.yaml": MAIN, "customers.txt": names}) == [
        (
            "customers.txt:3: `b_.example.com` is no host name: the label `b_`"
            " has characters other than letters, digits and hyphens"
        ),
        (
            "customers.txt:5: `a.example.com c.example.com` is no host name: the label `com c`"
            " has characters other than letters, digits and hyphens"
        ),
        "customers.txt:6: `a.example.com` is listed twice for the account `default`, first at customers.txt:2",
    ]


def test_a_name_in_the_file_and_in_another_entry_is_listed_twice(complaints: Complain) -> None:
    main = MAIN + "    - {names: [a.example.com], solver: web}\n"
    assert complaints({"config.yaml": main, "customers.txt": "a.example.com\n"}) == [
        (
            "config.yaml:6: `master.authorize[1].names[0]`: `a.example.com` is listed twice for the account `default`,"
            " first at customers.txt:1"
        )
    ]


@pytest.mark.parametrize("content", ["", "# nobody yet\n\n"])
def test_a_file_without_a_name_is_a_mistake(complaints: Complain, content: str) -> None:
    assert complaints({"config.yaml": MAIN, "customers.txt": content}) == [
        "customers.txt: no name in this file (write one a line, or remove the `names_file`)"
    ]


def test_a_missing_file_of_names_is_placed_where_it_is_named(complaints: Complain) -> None:
    assert complaints({"config.yaml": MAIN}) == [
        "config.yaml:5: `master.authorize[0].names_file`: `customers.txt`: there is no such file"
    ]


def test_a_directory_is_no_file_of_names(complaints: Complain) -> None:
    assert complaints({"config.yaml": MAIN, "customers.txt/x": ""}) == [
        "config.yaml:5: `master.authorize[0].names_file`: `customers.txt`: a directory, where a file is expected"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a.example.com\n\x00\n", "customers.txt:2: binary: the character U+0000 is no text"),
        (b"a.example.com\nb\xfc.example.com\n", "customers.txt:2: not UTF-8 text (save the file as UTF-8)"),
        (
            "a.example.com".encode("utf-16"),
            "customers.txt:1: the file is UTF-16 (save it as UTF-8: `iconv -f utf-16 -t utf-8 customers.txt`)",
        ),
        (
            b"#" * (16 * 1024 * 1024 + 1),
            "config.yaml:5: `master.authorize[0].names_file`: `customers.txt`: larger than 16 MB",
        ),
    ],
)
def test_a_file_of_names_is_text(complaints: Complain, content: bytes, message: str) -> None:
    assert complaints({"config.yaml": MAIN, "customers.txt": content}) == [message]


def test_a_file_that_is_something_else_does_not_flood_the_answer(complaints: Complain) -> None:
    found = complaints({"config.yaml": MAIN, "customers.txt": "no name\n" * 1000})
    assert len(found) == 21
    assert found[-1] == "customers.txt:21: 980 more problems in this file, from here on"


def test_a_long_file_of_names_is_read(loaded: Callable[[dict[str, str]], Loaded]) -> None:
    names = "".join(f"host{number}.customers.example.com\n" for number in range(30_000))
    master = loaded({"config.yaml": MAIN, "customers.txt": names}).require().master
    assert master
    assert len(master.authorize[0].names) == 30_000


def test_a_link_to_nowhere_in_conf_d_is_a_problem_of_its_own(complaints: Complain, tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/gone.yaml").symlink_to(tmp_path / "nowhere")
    assert complaints({"config.yaml": MAIN, "customers.txt": "a.example.com"}) == [
        "conf.d/gone.yaml: there is no such file"
    ]


def test_the_files_of_conf_d_are_read_in_alphabetical_order(loaded: Callable[[dict[str, str]], Loaded]) -> None:
    names = [f"{number:02}.yaml" for number in range(20)]
    answer = loaded({"config.yaml": MAIN, **{f"conf.d/{name}": "what: 1" for name in reversed(names)}})
    assert [file.name for file in answer.files] == ["config.yaml", *names, "customers.txt"]
