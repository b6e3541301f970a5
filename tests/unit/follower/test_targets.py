"""What is told of targets that a run looked at twice."""

from __future__ import annotations

from acmectl.follower.targets import DeployResult, last_of_each


def test_of_two_rounds_what_was_done_last_is_told_and_not_that_it_was_left_alone_then() -> None:
    done, failed = DeployResult("a", "files[0]"), DeployResult("a", "files[0]", "no")
    other = DeployResult("a", "files[1]", "no", attempted=False)
    pausing = DeployResult("a", "files[0]", "no", attempted=False)
    assert last_of_each([failed], [done]) == (done,)
    assert last_of_each([done], [failed]) == (failed,)
    assert last_of_each([failed, other], [pausing]) == (failed, other)
    assert last_of_each([failed], [pausing, other]) == (failed, other)
    assert last_of_each([], [pausing]) == (pausing,)
