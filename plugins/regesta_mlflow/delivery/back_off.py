"""Hosts that do not answer are left alone for a while, twice as long each time."""

import time
from collections import OrderedDict
from collections.abc import Callable

FIRST, LONGEST = 1.0, 300.0  # seconds
MOST = 1000  # that are remembered


class BackOff:
    """Which hosts rest, and for how long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, tuple[int, float]] = OrderedDict()  # failures in a row, and until when it rests

    def __len__(self) -> int:
        return len(self._known)

    def failed(self, host: str) -> None:
        """It did not answer: leave it alone."""
        failures = self._failures(host) + 1
        self._remember(host, failures, FIRST * 2.0 ** min(failures - 1, 30))

    def asked(self, host: str, seconds: float) -> None:
        """It asked to be left alone for so long."""
        self._remember(host, self._failures(host), seconds)

    def answered(self, host: str) -> None:
        """It did answer."""
        self._known.pop(host, None)

    def remaining(self, host: str) -> float:
        """For how many seconds it still rests; 0 if it does not."""
        return max(self._known[host][1] - self._clock(), 0.0) if host in self._known else 0.0

    def is_doubtful(self, host: str) -> bool:
        """Whether it failed the last time: one try is enough to see if it answers again."""
        return self._failures(host) > 0

    def resting(self) -> list[str]:
        """The hosts that rest."""
        now = self._clock()
        return [host for host, (_, until) in self._known.items() if until > now]

    def _failures(self, host: str) -> int:
        return self._known[host][0] if host in self._known else 0

    def _remember(self, host: str, failures: int, seconds: float) -> None:
        self._known[host] = (failures, self._clock() + min(seconds, LONGEST))
        self._known.move_to_end(host)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
