from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from acmectl.config import Loaded

BEGIN = "authority: letsencrypt\ncertificates:\n"


def test_commands_keep_their_words_and_names_their_order(loaded: Callable[[dict[str, str]], Loaded]) -> None:
    text = f"{BEGIN}  mail: {{names: [b.example.org, a.example.org], onchange: [[tell, b], [tell, a]]}}\n"
    config = loaded({"config.yaml": f"{text}onchange: [[sync]]\nonchange_timeout: 1m\n"}).config
    assert config is not None
    mail = config.certificates["mail"]
    assert [(each.argv, each.place.line) for each in mail.onchange] == [(("tell", "b"), 3), (("tell", "a"), 3)]
    assert [name.value for name in mail.names] == ["b.example.org", "a.example.org"]
    (sync,) = config.onchange
    assert (sync.argv, sync.place.line, config.onchange_timeout) == (("sync",), 4, timedelta(minutes=1))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "onchange: [systemctl, reload, postfix]",
            (
                "config.yaml:4: `onchange`: expected a list of commands, found a list of words"
                " (a list of commands, each a list of words: `[[systemctl, reload, postfix]]`)"
            ),
        ),
        (
            "onchange: [[tell], systemctl reload postfix]",
            "config.yaml:4: `onchange[1]`: a command is a list of words, such as `[systemctl, reload, postfix]`: no shell is involved",
        ),
        ("onchange: [[]]", "config.yaml:4: `onchange[0]`: a command is a list of words, and this one is empty"),
        (
            "onchange: [[wait, 5]]",
            "config.yaml:4: `onchange[0]`: a command is a list of words, and one of these is a number (write",
        ),
        (
            "onchange: tell",
            "config.yaml:4: `onchange`: expected a list of commands, found a text (a list of commands, each",
        ),
        ("onchange: {a: b}", "config.yaml:4: `onchange`: expected a list of commands, found a mapping (a list"),
        ("onchange:", "config.yaml:4: `onchange`: expected a list, found nothing (give it a value, or remove the key)"),
        ("onchange_timeout: 0s", "config.yaml:4: `onchange_timeout`: must be more than `0s`, and at most `1h`"),
        ("onchange_timeout: 61m", "config.yaml:4: `onchange_timeout`: must be more than `0s`, and at most `1h`"),
    ],
)
def test_a_mistake_in_commands_is_told_with_its_line(
    complaints: Callable[[dict[str, str]], list[str]], line: str, said: str
) -> None:
    (only,) = complaints({"config.yaml": f"{BEGIN}  mail: {{names: [a.example.org]}}\n{line}\n"})
    assert only.startswith(said)
