"""Full garbage collections are held off while a large request is under way, and for no longer."""

import gc
from collections.abc import Iterator

import pytest

from regesta import pacing
from regesta.pacing import without_full_collections


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 7)
    yield
    gc.set_threshold(*before)


def full_collections() -> int:
    return int(gc.get_stats()[2]["collections"])


def test_many_objects_that_are_needed_are_not_looked_at() -> None:
    before = full_collections()
    with without_full_collections():
        kept = [[number] for number in range(300_000)]
        assert full_collections() == before
    assert len(kept) == 300_000
    assert gc.get_threshold() == (700, 10, 7)


def test_the_last_of_several_sets_back_what_was_there() -> None:
    with without_full_collections():
        with without_full_collections():
            pass
        assert gc.get_threshold()[2] > 1_000_000
    assert gc.get_threshold() == (700, 10, 7)


def test_requests_that_overlap_for_ever_do_not_hold_it_off_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "LONGEST_WITHOUT", -1.0)
    before = full_collections()
    with without_full_collections(), without_full_collections():
        pass
    assert full_collections() == before + 1
