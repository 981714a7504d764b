"""The model registry on a real mongod, and in memory for what needs no transactions."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.models.application import Service, serve


@pytest.fixture
def plugins() -> tuple[object, ...]:
    """Further plugins: a test module may bring its own."""
    return ()


@pytest.fixture
async def service(database: Any, plugins: tuple[object, ...]) -> AsyncIterator[Service]:
    """On a real mongod."""
    async with serve(database, *plugins) as opened:
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
