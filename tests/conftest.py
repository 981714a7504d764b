"""Databases for tests: a real mongod per session (per xdist worker), and one in memory."""

import asyncio
import gc
import io
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest

from regesta.store import LocalServer, memory_client, open_store
from tests.serving import kept_service, service_address

__all__ = ["kept_service", "service_address"]

LONGEST = ("test_schemathesis.py", "test_conformance.py", "test_mlflow_sklearn.py")

# A database is dropped after each test, and that waits for the journal, which is written each 100 ms by default.
JOURNAL = ("--journalCommitInterval", "10")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests come first, so that other workers have something to do beside them."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what is imported, which is most of what there is: it took a quarter of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded as their `summary`."""
    for report in terminalreporter.getreports("passed"):
        for name, said in report.user_properties:
            if name == "summary":
                terminalreporter.section(report.nodeid)
                terminalreporter.write_line(str(said))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Of a test that hung, show what its tasks wait for: the stack shows the event loop only."""
    report = yield
    if report.failed and "Timeout" in str(report.longrepr):
        waiting = io.StringIO()
        for task in list(asyncio.tasks._all_tasks):  # type: ignore[attr-defined] # all_tasks() wants a running loop
            task.print_stack(file=waiting)
        report.sections.append(("Tasks of asyncio", waiting.getvalue()))
    return report


@pytest.fixture(scope="session")
def mongod_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real mongod, a replica set of one, for the whole session."""
    with LocalServer(tmp_path_factory.mktemp("mongod"), mongod_args=JOURNAL) as server:
        yield server.uri


@pytest.fixture
async def database(mongod_uri: str) -> AsyncIterator[Any]:
    """A fresh database on the real mongod, through the lane's client, which is open until the test ends."""
    async with open_store(mongod_uri, database=f"test_{uuid.uuid4().hex}") as store:
        yield store.database
        await store.client.drop_database(store.database.name)


@pytest.fixture
def memory_database() -> Any:
    """A fresh database in this process: no transactions, no watch."""
    return memory_client()["test"]


@pytest.fixture(params=["local", "memory"])
def any_database(request: pytest.FixtureRequest) -> Any:
    """The test runs twice: on a real mongod and in memory."""
    return request.getfixturevalue("database" if request.param == "local" else "memory_database")
