from __future__ import annotations

import pytest

from acmectl import files
from acmectl.errors import DeployError


@pytest.mark.parametrize("number", ["0", "65534", "4294967294"])
def test_an_owner_is_known_by_number(number: str) -> None:
    assert files.user_id(number, of="the target") == files.group_id(number, of="the target") == int(number)


def test_an_owner_is_known_by_name_or_is_not_said() -> None:
    assert (files.user_id("root", of="the target"), files.group_id("root", of="the target")) == (0, 0)
    assert (files.user_id(None, of="the target"), files.group_id(None, of="the target")) == (-1, -1)


@pytest.mark.parametrize(
    "name",
    ["4294967295", "9999999999", pytest.param("9" * 5000, id="digits"), "-1", "", "\uff10", "a\0b", "root\n", "no one"],
)
def test_an_owner_that_no_file_can_have_is_unknown(name: str) -> None:
    with pytest.raises(DeployError, match="there is no user `") as refused:
        files.user_id(name, of="the target", error=DeployError)
    assert refused.value.hint == "correct the `owner` of the target"
    with pytest.raises(DeployError, match="there is no group `"):
        files.group_id(name, of="the target", error=DeployError)
