"""What a benchmark prints: the machine, a table, and the ratios with their targets."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from .load import Sample
from .workloads import AUDITED, BATCH, BATCH_EACH, CREATE, GET, LIST, ONE_BY_ONE, WORKLOADS, Workload

Samples = Mapping[tuple[str, str], Sequence[Sample]]
"""By the names of workload and application; one sample for each round."""

PACKAGES = (
    "fastapi",
    "starlette",
    "pydantic",
    "beanie",
    "pymongo",
    "orjson",
    "uvicorn",
    "uvloop",
    "httptools",
)


@dataclass(frozen=True, slots=True)
class Target:
    """A promise: ours does at least `least` times the requests of `peer`; or the documents of `against`.

    Without `least` nothing is promised, and the ratio is worth knowing.
    """

    workload: Workload
    peer: str
    least: float | None
    against: Workload | None = None

    @property
    def name(self) -> str:
        """What is compared with what."""
        if self.against:
            return f"{self.workload.name} / {self.against.name}"
        return f"{self.workload.name} ours/{self.peer}"

    def ratio(self, samples: Samples) -> float:
        """The median of the rounds' ratios: both samples of a round met the machine in the same mood."""
        return self._documents * median(mine.rate / theirs.rate for mine, theirs in self._rounds(samples))

    def cpu_ratio(self, samples: Samples) -> float:
        """The same by processor time of the server, which a busy machine disturbs less."""
        return self._documents * median(theirs.server_us / mine.server_us for mine, theirs in self._rounds(samples))

    def measured(self, samples: Samples) -> bool:
        """Whether both sides were."""
        return (self.workload.name, "ours") in samples and (self._other.name, self.peer) in samples

    @property
    def _other(self) -> Workload:
        return self.against or self.workload

    @property
    def _documents(self) -> float:
        return self.workload.documents / self._other.documents

    def _rounds(self, samples: Samples) -> Iterator[tuple[Sample, Sample]]:
        ours, peer = samples[self.workload.name, "ours"], samples[self._other.name, self.peer]
        return zip(ours, peer, strict=True)


TARGETS = (
    Target(GET, "raw", 0.95),
    Target(LIST, "raw", 0.80),
    Target(LIST, "beanie", 2.5),
    Target(GET, "beanie", 1.0),
    Target(CREATE, "beanie", 0.9),
    Target(AUDITED, "raw", 0.85),
    Target(BATCH, "ours", 8.0, against=ONE_BY_ONE),
    Target(BATCH_EACH, "ours", 8.0, against=ONE_BY_ONE),
    Target(BATCH, "ours", None, against=AUDITED),
    Target(BATCH_EACH, "ours", None, against=AUDITED),
)


def machine(mongodb: str) -> Iterator[str]:
    """The facts without which nobody can judge a number."""
    yield f"machine   {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    yield f"python    {platform.python_implementation()} {platform.python_version()}"
    yield f"packages  {', '.join(f'{name} {version(name)}' for name in PACKAGES)}"
    yield f"mongodb   {mongodb}"


def table(samples: Samples) -> Iterator[str]:
    """One line for each workload and application: medians over the rounds."""
    columns = f"{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'server us':>11}{'client CPU':>12}"
    yield f"{'workload':<20}{'app':<9}{columns}"
    for workload in WORKLOADS:
        for app in workload.apps:
            rounds = samples.get((workload.name, app))
            if rounds:
                rate, p50, p99, server_us, cpu = _medians(rounds)
                numbers = f"{rate:>11,.0f}{p50:>9.2f}{p99:>9.2f}{server_us:>11,.0f}{cpu:>12.0%}"
                yield f"{workload.title:<20}{app:<9}{numbers}"


def ratios(samples: Samples) -> Iterator[str]:
    """One line for each target of which both sides were measured."""
    yield f"{'ratio of requests/s':<29}{'measured':>9}{'target':>9}{'':9}{'of server us':>14}"
    for target in TARGETS:
        if target.measured(samples):
            ratio = target.ratio(samples)
            verdict, least = "", ""
            if target.least is not None:
                verdict = "  met" if ratio >= target.least else "  MISSED"
                least = f">={target.least:.2f}"
            yield f"{target.name:<29}{ratio:>9.3f}{least:>9}{verdict:<9}{target.cpu_ratio(samples):>14.3f}"


def _medians(rounds: Sequence[Sample]) -> Iterator[float]:
    columns = ((one.rate, one.p50_ms, one.p99_ms, one.server_us, one.cpu) for one in rounds)
    return (median(column) for column in zip(*columns, strict=True))


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
