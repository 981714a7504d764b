"""The time of events is the database's, not that of a worker whose clock is wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from regesta.store import _clock


async def test_a_clock_that_is_wrong_is_corrected(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Behind(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) - timedelta(hours=1)

    monkeypatch.setattr(_clock, "_correction", timedelta(0))
    monkeypatch.setattr(_clock, "datetime", Behind)
    assert datetime.now(UTC) - _clock.now() > timedelta(minutes=59)

    await _clock.ask_hello(database.client)

    assert abs(datetime.now(UTC) - _clock.now()) < timedelta(minutes=1)


async def test_a_clock_that_is_right_is_left_alone(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clock, "_correction", timedelta(hours=1))
    monkeypatch.setattr(_clock, "TOLERATED", timedelta(minutes=1))

    await _clock.ask_hello(database.client)

    assert _clock._correction == timedelta(0)
