"""The model registry on a real mongod, and in memory for what needs no transactions."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.kept_database import database
from tests.models.application import OLD_BEANIE, Service, serve

__all__ = ["database"]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these tests store models within documents."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(OLD_BEANIE)


@pytest.fixture
async def service(database: Any) -> AsyncIterator[Service]:
    """On a real mongod."""
    async with serve(database) as opened:
        yield opened


@pytest.fixture
async def any_service(any_database: Any) -> AsyncIterator[Service]:
    """The test runs twice: on a real mongod and in memory."""
    async with serve(any_database) as opened:
        yield opened


@pytest.fixture
async def memory_service(memory_database: Any) -> AsyncIterator[Service]:
    """In memory: for tests of validation."""
    async with serve(memory_database) as opened:
        yield opened
