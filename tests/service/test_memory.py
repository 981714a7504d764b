"""The garbage collector while a service starts, and after."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from regesta.service.memory import without_collection


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    gc.enable()


def test_it_rests_and_goes_on_also_after_an_error() -> None:
    def start() -> None:
        with without_collection():
            assert not gc.isenabled()
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        start()
    assert gc.isenabled()


def test_it_stays_off_where_it_was_off() -> None:
    gc.disable()
    with without_collection():
        pass
    assert not gc.isenabled()


def test_a_service_that_answers_collects_nothing_of_what_was_loaded(tmp_path: Path) -> None:
    program = """
import gc
from regesta.service import Settings, create_app, server

def announce(url):
    print(gc.isenabled(), gc.get_freeze_count() > 100_000, len(gc.get_objects()) < 20_000)
    raise KeyboardInterrupt

server.run_server(create_app(Settings(store="memory://", plugins=("models",))), Settings(port=0), announce)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert done.stdout == "True True True\n", done.stderr
