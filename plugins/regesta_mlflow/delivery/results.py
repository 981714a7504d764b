"""What became of one try to deliver."""

from dataclasses import dataclass
from enum import Enum


class Blame(Enum):
    """What a failed try says about the next ones."""

    NOTHING = "nothing"
    LANE = "lane"  # this tenant's deliveries to this host may fare the same
    HOST = "host"  # everybody's may: there is no connection


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one try.

    `pause` are the seconds that the other side asked for. `moved_to` is another host that the delivery is for by now:
    then nothing was tried.
    """

    said: str
    final: bool = True
    blame: Blame = Blame.NOTHING
    pause: float | None = None
    moved_to: str | None = None
