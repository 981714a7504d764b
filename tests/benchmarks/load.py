"""The load generator: keep-alive HTTP/1.1 on bare sockets, in a process of its own.

An HTTP library would cost more per request than the servers under test and would measure itself. This
one reads the status and Content-Length of each response and counts whatever is not as expected as an
error: a benchmark of errors is worthless. It reads one JSON object (`Job`) from standard input and
answers with one (`Sample`) on standard output.
"""

import asyncio
import dataclasses
import itertools
import json
import math
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import uvloop

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_GRACE = 15.0  # seconds that the last responses may take before the run counts as broken


@dataclass(frozen=True, slots=True)
class Job:
    """One run against one server. `path` and `body` may hold `{key}`, a new one for each request."""

    port: int
    method: str
    path: str
    body: str
    keys: Sequence[str]
    new_keys: str  # a format such as "new-{:06d}": numbered keys instead of `keys`, each used once; or ""
    status: int
    min_bytes: int
    max_bytes: int
    connections: int
    warm_up: float
    seconds: float

    def requests(self) -> Iterator[bytes]:
        """Endless requests; repeated ones are built before the clock starts."""
        if self.new_keys:
            return (self._request(self.new_keys.format(number)) for number in itertools.count())
        ready = [self._request(key) for key in random.sample(self.keys, len(self.keys))]
        return itertools.cycle(ready)

    def _request(self, key: str) -> bytes:
        body = self.body.replace("{key}", key).encode()
        lines = [
            f"{self.method} {self.path.replace('{key}', key)} HTTP/1.1",
            "Host: localhost",
            "Accept: */*",
        ]
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run measured.

    `requests` were answered within the measured time, `answered` counts the warm-up too. `cpu` is the
    generator's own share of a core: near 1, it measured itself. `server_us` is the processor time of the
    application for one request, in microseconds: on a busy machine it says more than requests per second.
    """

    requests: int
    answered: int
    seconds: float
    errors: int
    first_error: str
    p50_ms: float
    p99_ms: float
    cpu: float
    server_us: float = math.nan

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


class Run:
    """The state that the connections of one job share."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.requests = job.requests()
        self.status = str(job.status).encode()
        self.latencies: list[float] = []
        self.answered = 0
        self.errors = 0
        self.first_error = ""
        self.begin = time.perf_counter() + job.warm_up
        self.end = self.begin + job.seconds
        self.open = job.connections
        self.closed = asyncio.get_running_loop().create_future()

    def fail(self, what: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or what

    def connection_closed(self) -> None:
        self.open -= 1
        if not self.open and not self.closed.done():
            self.closed.set_result(None)


class Connection(asyncio.Protocol):
    """One connection with one request under way at a time."""

    transport: asyncio.Transport

    def __init__(self, run: Run) -> None:
        self.run = run
        self.received = b""
        self.missing = -1  # bytes of the body still to come; -1 until the head has been read
        self.started = 0.0
        self.finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, for uvloop's transports do not subclass asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        if self.missing < 0:
            self.received += data
            head = self.received.find(b"\r\n\r\n")
            if head < 0:
                return
            length = self._judge(head)
            self.missing = length - (len(self.received) - head - 4)
        else:
            self.missing -= len(data)
        if self.missing <= 0:
            self._complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished:
            self.run.fail(f"connection lost: {exc}")
        self.run.connection_closed()

    def _judge(self, head: int) -> int:
        """The length of the body. Anything but the expected answer is counted as an error here."""
        job, received = self.run.job, self.received
        match = _CONTENT_LENGTH.search(received, 0, head + 2)
        length = int(match[1]) if match else -1
        if received[9:12] != self.run.status or not job.min_bytes <= length <= job.max_bytes:
            self.run.fail(f"{job.method} {job.path}: {received[:600].decode(errors='replace')}")
        if length < 0:  # without a length nobody knows where the next response starts
            self.finished = True
            self.transport.abort()
            return sys.maxsize
        return length

    def _send(self) -> None:
        self.received = b""
        self.missing = -1
        self.started = time.perf_counter()
        self.transport.write(next(self.run.requests))

    def _complete(self) -> None:
        now = time.perf_counter()
        run = self.run
        if self.missing < 0:
            run.fail("more bytes than Content-Length")
        run.answered += 1
        if run.begin <= now < run.end:
            run.latencies.append(now - self.started)
        if now < run.end:
            self._send()
        else:
            self.finished = True
            self.transport.close()


async def perform(job: Job) -> Sample:
    """Load the server of `job` for its time."""
    loop = asyncio.get_running_loop()
    run = Run(job)
    cpu = time.process_time()
    for _ in range(job.connections):
        await loop.create_connection(lambda: Connection(run), "127.0.0.1", job.port)
    try:
        await asyncio.wait_for(run.closed, job.warm_up + job.seconds + _GRACE)
    except TimeoutError:
        run.fail(f"{job.method} {job.path}: no answer for {_GRACE} seconds")
    cpu = time.process_time() - cpu
    latencies = sorted(run.latencies)
    if not latencies:
        run.fail(f"{job.method} {job.path}: no response within {job.seconds} seconds")
        latencies = [0.0]
    return Sample(
        requests=len(run.latencies),
        answered=run.answered,
        seconds=job.seconds,
        errors=run.errors,
        first_error=run.first_error,
        p50_ms=latencies[len(latencies) // 2] * 1000,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1000,
        cpu=cpu / (job.warm_up + job.seconds),
    )


if __name__ == "__main__":
    sample = uvloop.run(perform(Job(**json.load(sys.stdin))))
    json.dump(dataclasses.asdict(sample), sys.stdout)
