"""The command line, and the order in which things are measured."""

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from pymongo import MongoClient
from pymongo.database import Database

from . import hostile, large, report
from .checks import BenchmarkError, audit_is_complete, same_answers
from .load import Sample
from .servers import Server, load, serve
from .workloads import APPS, AUDITED, MODULES, PAGE, WORKLOADS, Pace, Workload, empty, job, seed


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. The exit code tells whether every response was right, never how fast it came."""
    options = _parser().parse_args(arguments)
    try:
        with ExitStack() as stack:
            uri = options.uri or stack.enter_context(_local_server())
            client: MongoClient[dict[str, Any]] = stack.enter_context(MongoClient(uri))
            database = client[f"benchmark_{uuid4().hex[:12]}"]
            stack.callback(client.drop_database, database.name)
            if options.large:
                _print(report.machine(client.server_info()["version"]), [""], large.measure(options, uri, database))
                return 0
            if options.hostile is not None:
                _print(report.machine(client.server_info()["version"]), [""])
                for line in hostile.measure(uri, database, options.hostile):
                    print(line, flush=True)
                return 0
            if options.mlflow:
                from . import mlflow  # installs MLflow

                pace = {"rounds": options.rounds, "connections": options.connections, "seconds": options.seconds}
                table = mlflow.measure(uri, database.name, **pace)
                _print(report.machine(client.server_info()["version"]), [""], table)
                return 0
            seed(database, options.documents)
            servers = {app: stack.enter_context(serve(MODULES[app], uri, database.name)) for app in options.apps}
            _print(report.machine(client.server_info()["version"]), [""])
            _measure(options, servers, database)
    except BenchmarkError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


def _measure(options: argparse.Namespace, servers: Mapping[str, Server], database: Database[dict[str, Any]]) -> None:
    same_answers(servers)
    pace = Pace(options.connections, min(1.0, options.seconds / 4), options.seconds)
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    event_sizes: dict[str, int] = {}
    for workload in WORKLOADS:
        for number in range(options.rounds):
            print(f"{workload.title}: round {number + 1} of {options.rounds}", file=sys.stderr)
            # One application after the other within each round: a machine that slows down slows all of them.
            for app in (app for app in workload.apps if app in servers):
                samples[workload.name, app].append(_run(workload, app, servers[app], pace, options.documents))
                if workload.collection == AUDITED.collection:
                    event_sizes[app] = audit_is_complete(app, database)
                if workload.creates:
                    empty(workload, database)
    rounds = f"{options.rounds} rounds of {pace.seconds} s"
    _print(
        [f"{pace.connections} connections, {rounds}, {options.documents} documents"],
        [""],
        report.table(samples),
        [""],
        report.ratios(samples),
        [""],
        ["audit event, bytes of BSON: " + ", ".join(f"{app} {size}" for app, size in event_sizes.items())],
    )


def _run(workload: Workload, app: str, server: Server, pace: Pace, documents: int) -> Sample:
    sample = load(job(workload, server.port, pace, documents), server)
    if sample.errors:
        raise BenchmarkError(f"{app}, {workload.title}: {sample.errors} errors, the first: {sample.first_error}")
    return sample


@contextmanager
def _local_server() -> Iterator[str]:
    # Imported late: with --uri the benchmark of the peers needs nothing of ours.
    from regesta.store import LocalServer

    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory, LocalServer(Path(directory)) as local:
        yield local.uri


def _print(*blocks: Iterable[str]) -> None:
    for block in blocks:
        print("\n".join(block), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="measured time of one run (default: 2)")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each app and workload (default: 7)")
    parser.add_argument("--connections", type=int, default=16, help="requests under way at a time (default: 16)")
    parser.add_argument("--documents", type=int, default=10_000, help=f"at least {PAGE} (default: 10000)")
    parser.add_argument("--apps", nargs="+", choices=APPS, default=list(APPS), help="which to measure (default: all)")
    parser.add_argument(
        "--large",
        type=int,
        metavar="COUNT",
        help=f"measure a collection of so many documents instead (the promises: 1000000; at least {large.LEAST})",
    )
    parser.add_argument(
        "--mlflow",
        action="store_true",
        help="measure the routes of MLflow's protocol beside `mlflow server` instead; it is installed where "
        "REGESTA_MLFLOW_CACHE says, else for this run",
    )
    parser.add_argument(
        "--hostile",
        nargs="?",
        const="",
        metavar="KIND",
        help="measure requests that mean to stop the others instead; KIND is a regular expression that titles are "
        "searched for",
    )
    parser.add_argument(
        "--uri",
        help="a replica set to use instead of starting a server; the benchmark database "
        "gets a random name and is dropped at the end",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
