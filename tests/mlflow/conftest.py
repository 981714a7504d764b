"""Both kinds of clients on a real mongod, and in memory for what needs no transactions."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.kept_database import database
from tests.mlflow.application import Both, both
from tests.models.application import OLD_BEANIE

__all__ = ["database"]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these tests store models within documents."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(OLD_BEANIE)


@pytest.fixture
async def registry(database: Any) -> AsyncIterator[Both]:
    """On a real mongod."""
    async with both(database) as opened:
        yield opened


@pytest.fixture
async def any_registry(any_database: Any) -> AsyncIterator[Both]:
    """The test runs twice: on a real mongod and in memory."""
    async with both(any_database) as opened:
        yield opened
