"""That the benchmark runs and reports. Never how fast anything is: that is for a quiet machine."""

import re
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient

from . import hostile, large
from .__main__ import main
from .report import TARGETS
from .workloads import WORKLOADS


def test_the_benchmark_measures_every_workload_without_errors(capsys: pytest.CaptureFixture[str]) -> None:
    tiny = ["--seconds", "0.2", "--rounds", "1", "--connections", "4", "--documents", "200"]

    assert main(tiny) == 0, capsys.readouterr().err

    printed = capsys.readouterr().out
    for workload in WORKLOADS:
        for app in workload.apps:
            rate = re.search(rf"^{workload.title} +{app} +([\d,]+) ", printed, re.MULTILINE)
            assert rate, (workload, app, printed)
            assert int(rate[1].replace(",", "")) > 0
    for target in TARGETS:
        ratio = re.search(rf"^{target.name} +([\d.]+) ", printed, re.MULTILINE)
        assert ratio, (target, printed)
        assert float(ratio[1]) > 0


def test_the_benchmark_of_a_large_collection_measures_every_promise(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--large", str(large.LEAST), "--rounds", "1"]) == 0, capsys.readouterr().err

    printed = capsys.readouterr().out
    for promised in ("export / bare", "memory that exports took", "page 20 / page 1, sort=price", "count=estimated"):
        assert re.search(rf"^{promised}.* (?:met|MISSED)$", printed, re.MULTILINE), (promised, printed)


def test_the_benchmark_of_hostile_requests_measures_holds_and_memory(mongod_uri: str) -> None:
    only = "^create, 1 MB of digits|^query: sort|^schema|^delete of a model"
    with MongoClient[dict[str, Any]](mongod_uri) as client:
        database = client[f"benchmark_{uuid4().hex[:12]}"]
        lines = list(hostile.measure(mongod_uri, database, only, share=0.01))
        client.drop_database(database.name)

    measured = [
        re.search(r"^(\w+).*? (\d{3}) +(\d+) +(\d+) +200(?: +-?\d+ +200)?(?:  MISSED)?$", row.rstrip())
        for row in lines[1:]
    ]
    assert [(found[1], found[2]) for found in measured if found] == [
        ("create", "413"),
        ("query", "422"),
        ("schema", "200"),
        ("delete", "204"),
    ], lines
