"""Which changes of a solver's options mean that it works at another place."""

from __future__ import annotations

from typing import Any

import pytest

from acmectl.solvers.marks import mark

OPTIONS = {"server": "ns.example.test", "timeout": "5s", "tsig_key_file": "key"}


@pytest.mark.parametrize("changed", [{"timeout": "9s"}, {"tsig_key_file": "other"}, {"propagation": {"timeout": "1s"}}])
def test_how_a_solver_works_is_no_other_place(changed: dict[str, Any]) -> None:
    assert mark("rfc2136", OPTIONS | changed) == mark("rfc2136", OPTIONS)


@pytest.mark.parametrize("changed", [{"server": "ns2.example.test"}, {"zone": "acme.test"}, {"port": 53}])
def test_where_a_solver_works_is_another_place(changed: dict[str, Any]) -> None:
    assert mark("rfc2136", OPTIONS | changed) != mark("rfc2136", OPTIONS)


def test_the_same_options_of_another_type_are_another_place() -> None:
    assert mark("lexicon", OPTIONS) != mark("rfc2136", OPTIONS)
