"""G16: an answer that was given is never taken back, with the primary killed. `replay_durability` has the control."""

from pathlib import Path

from tests.faults.replay_durability import CASES, run
from tests.faults.replica_set import ReplicaSet


async def test_no_answer_is_taken_back_when_the_primary_dies(tmp_path: Path) -> None:
    with ReplicaSet(tmp_path) as nodes:
        all_told = await run(nodes, CASES, control=False)

    assert [str(told) for told in all_told if not told.is_true] == []
