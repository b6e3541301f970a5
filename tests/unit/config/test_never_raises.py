"""Whatever the files hold, the answer is an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acmectl.config import Loaded

Load = Callable[[dict[str, str | bytes]], Loaded]

relaxed = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
snippets = st.sampled_from(
    [
        "a ",
        "b: ",
        "- ",
        "  ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "*a",
        "&a ",
        "<<: ",
        "!!int ",
        "!x ",
        "'",
        '"',
        "\\",
        ">-\n",
        "0640",
        "12:30:00",
        "no",
        "~",
        "1e5",
        ".inf",
        "._",
        "0b_",
        "2001-99-99",
        "? ",
        "# ",
        "%YAML 1.1\n",
        "---\n",
        "...\n",
        "names: ",
        "master: ",
        "authorize: ",
        "certificates: ",
        "accounts: ",
        "solver",
        "\t",
        "\x85",
        "é",
        "\ufeff",
        "=",
        "@",
        "`",
        "\n",
    ]
)
words = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "authority",
            "letsencrypt",
            "master",
            "authorize",
            "names",
            "names_file",
            "solver",
            "solvers",
            "accounts",
            "account",
            "certificates",
            "deploy",
            "type",
            "follower",
            "grace",
            "15m",
            "~",
            "~x/y",
            "*.a.b",
            "a.b",
            "https://[",
            "http://127.0.0.1:x",
            "a@b.c",
            "default",
            "config.yaml",
            "contact",
            "key",
        ]
    ),
    st.just("9" * 400 + "d"),
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), words, st.dates(), st.binary(max_size=4), st.datetimes()
)
trees = st.recursive(
    scalars,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(words, children, max_size=4),
    max_leaves=20,
)
top_keys = (
    "authority",
    "profile",
    "contact",
    "state_directory",
    "accounts",
    "solvers",
    "master",
    "certificates",
    "follower",
)


def check(answer: Loaded) -> None:
    assert (answer.config is None) == bool(answer.problems)
    for problem in answer.problems:
        assert "\n" not in str(problem)
        assert problem.message[:1].lower() == problem.message[:1]


@relaxed
@given(content=st.binary(max_size=60))
def test_bytes_are_answered(loaded: Load, content: bytes) -> None:
    check(loaded({"config.yaml": content}))


@relaxed
@given(content=st.one_of(st.text(max_size=60), st.lists(snippets, max_size=20).map("".join)))
def test_text_is_answered(loaded: Load, content: str) -> None:
    check(loaded({"config.yaml": content.encode("utf-8", "surrogatepass")}))


@relaxed
@given(tree=st.fixed_dictionaries({}, optional=dict.fromkeys(top_keys, trees)))
def test_any_value_at_any_key_is_answered(loaded: Load, tree: dict[str, Any]) -> None:
    check(loaded({"config.yaml": yaml.safe_dump(tree, allow_unicode=True)}))


@relaxed
@given(item=trees, entry=st.dictionaries(st.sampled_from(["names", "names_file", "solver", "account"]), trees))
def test_any_entry_is_answered(loaded: Load, item: Any, entry: dict[str, Any]) -> None:
    tree = {"authority": "letsencrypt", "master": {"authorize": [item, entry]}, "certificates": {"a": entry, "b": item}}
    check(loaded({"config.yaml": yaml.safe_dump(tree, allow_unicode=True)}))


@relaxed
@given(content=st.one_of(st.binary(max_size=60), st.text(max_size=60)))
def test_any_file_of_names_is_answered(loaded: Load, content: str | bytes) -> None:
    main = "authority: letsencrypt\nsolvers: {a: {type: b}}\nmaster: {authorize: [{names_file: n.txt, solver: a}]}\n"
    check(loaded({"config.yaml": main, "n.txt": content}))
