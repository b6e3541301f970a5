from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acmectl import files


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_a_temporary_name_is_recognised_as_a_leftover(name: str) -> None:
    assert files.is_leftover(files.temporary_name(Path("/x") / f"n{name}").name)


@pytest.mark.parametrize(
    "name", ["a", ".a.tmp", ".a.0123456.tmp", "a.01234567.tmp", ".01234567.tmp", ".a.01234567.tmpx"]
)
def test_no_other_name_is_taken_for_a_leftover(name: str) -> None:
    assert not files.is_leftover(name)
