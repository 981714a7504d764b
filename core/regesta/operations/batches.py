"""Many writes of one request: all or none of them, or each by itself.

Both go through the same operations as single writes. What makes them fast is the unit: it holds new documents
and audit events back and sends them together.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from regesta.errors import Invalid, Issue, Location, ProblemError, TooLarge, Unavailable, Unsupported
from regesta.operations.creates import Written
from regesta.operations.deadlines import LATE, MIN_SECONDS, atomicity_in, bounded
from regesta.operations.gathering import done_in
from regesta.operations.locations import relocated
from regesta.operations.pending import ItemFailed, NotRecorded
from regesta.operations.unit import Unit
from regesta.operations.writes import Operations
from regesta.pacing import Pace
from regesta.schemas import MAX_ISSUES, shortened
from regesta.store import TRANSACTION_TOO_LARGE, Atomicity

R = TypeVar("R")

# One write of a batch, in a unit or by itself, then perhaps with `validate_only`; None is what a delete leaves.
Work = Callable[[Unit | None, bool], Awaitable[Written[Any] | None]]
Outcome = Written[Any] | ProblemError | None
# What is kept of the outcome of the write at this position. A batch may have many outcomes, and they may be large.
Keep = Callable[[int, Outcome], R]


@dataclass(frozen=True, slots=True)
class Settled(Generic[R]):
    """In place of a write that is not to be tried: what is kept of its outcome."""

    kept: R


@dataclass(frozen=True, slots=True)
class Bracket(Generic[R]):
    """What is done in the transaction before and after the writes, and stands or falls with them."""

    begin: Callable[[Unit], Awaitable[None]]
    end: Callable[[Unit, Sequence[R]], Awaitable[None]]


class Failures:
    """What is wrong with some of many writes. It keeps no more than the one answer to all of them has."""

    def __init__(self) -> None:
        self._first: ProblemError | None = None
        self._issues: list[Issue] = []
        self._count = 0

    def add(self, index: int, error: ProblemError) -> None:
        """Add the problem of the write at this position."""
        error = located(index, error)
        if self._first is None:
            # Without the frames that it went through: these hold what was sent.
            error.__traceback__ = error.__context__ = error.__cause__ = None
            self._first = error
        if isinstance(error, Invalid):
            self._count += len(error.issues)
            self._issues += error.issues[: MAX_ISSUES - len(self._issues)]

    def check(self) -> None:
        """Raise the first of them, if there is one; if it is Invalid, with everything else that is."""
        first, self._first = self._first, None
        if isinstance(first, Invalid):
            raise Invalid.of(shortened(self._issues, self._count))
        if first is not None:
            try:
                raise first
            finally:
                del first  # its traceback holds this frame


# How often the writes that fail are left out and the others tried again, before each goes by itself.
MAX_ATTEMPTS = 4


def located(index: int, error: ProblemError) -> ProblemError:
    """The problem of a write, with pointers into the body of the batch."""
    above: Location = ("body", "operations", index)
    relocated(error, lambda loc: (*above, *_within(loc)))
    error.issues = error.issues or (Issue(above, error.detail or error.title, error.code.lower()),)
    error.detail = f"operations.{index}: {error.detail or error.title}"
    return error


def whole(index: int, outcome: Outcome) -> Outcome:
    """All of the outcome: a Keep."""
    return located(index, outcome) if isinstance(outcome, ProblemError) else outcome


async def all_or_nothing(
    operations: Operations[Any],
    works: Sequence[Work],
    keep: Keep[R],
    subject: Any = None,
    *,
    bracket: Bracket[R] | None = None,
    validate_only: bool = False,
) -> Sequence[R]:
    """Do all of `works` in one transaction, together with `bracket`; what is kept of each outcome.

    Raises the problem of the first that fails, with all that is found invalid, as `located` puts it; Unsupported
    where several would need a transaction that the store does not have.
    """
    if await atomicity_in(operations.collection, operations.resource.timeout) is not Atomicity.TRANSACTIONS:
        if len(works) > 1 or bracket:
            raise Unsupported("this store has no transactions", code="TRANSACTIONS_UNSUPPORTED")
        deadline = time.monotonic() + operations.resource.timeout
        (outcome,) = await _one_by_one(works, deadline, whole, validate_only=validate_only)
        if isinstance(outcome, ProblemError):
            raise outcome
        return [keep(0, outcome)]

    async def work(unit: Unit) -> Sequence[R]:
        failures = Failures()
        if bracket:
            await bracket.begin(unit)

        def kept(index: int, outcome: Outcome) -> list[R]:
            if isinstance(outcome, ProblemError):
                failures.add(index, outcome)
                return []
            return [keep(index, outcome)]

        found = await _done(operations, unit, dict(enumerate(works)), kept)
        failures.check()
        outcomes = [one for index in range(len(works)) for one in found[index]]
        if bracket:
            await bracket.end(unit, outcomes)
        return outcomes

    try:
        return await operations.run(work, subject, validate_only=validate_only)
    except ItemFailed as failed:
        raise located(failed.index, _as_raised(failed)) from None
    except NotRecorded as failed:
        raise failed.taken() from None


async def each_by_itself(
    operations: Operations[Any],
    works: Sequence[Work | Settled[R]],
    keep: Keep[R],
    subject: Any = None,
    *,
    bracket: Bracket[R] | None = None,
    validate_only: bool = False,
) -> Sequence[R]:
    """Do each of `works` whatever becomes of the others; what is kept of each outcome, as if they were done in turn.

    They are tried in one transaction. What fails there is left out and the others are tried again; if that happens
    too often, or if MongoDB has no room for all of them in one, each goes by itself. With `bracket` it always is one
    transaction. Raises Unavailable; TooLarge with `bracket`.
    """
    deadline = time.monotonic() + operations.resource.timeout
    atomicity = await atomicity_in(operations.collection, operations.resource.timeout)
    settled = {index: found.kept for index, found in enumerate(works) if isinstance(found, Settled)}
    if bracket or atomicity is Atomicity.TRANSACTIONS:
        attempts = len(works) + 1 if bracket else MAX_ATTEMPTS
        for _ in range(attempts):
            left = {
                index: found
                for index, found in enumerate(works)
                if not isinstance(found, Settled) and index not in settled
            }

            async def work(unit: Unit, left: dict[int, Work] = left) -> Sequence[R]:
                if bracket:
                    await bracket.begin(unit)
                outcomes = settled | await _done(operations, unit, left, keep)
                ordered = [outcomes[index] for index in range(len(works))]
                if bracket:
                    await bracket.end(unit, ordered)
                return ordered

            seconds = max(deadline - time.monotonic(), MIN_SECONDS)
            try:
                return await operations.run(work, subject, validate_only=validate_only, seconds=seconds)
            except ItemFailed as found:
                settled[found.index] = keep(found.index, _as_raised(found))
            except NotRecorded as found:
                if bracket:
                    raise found.taken() from None
                break
            except TooLarge as error:
                # Each may fit by itself.
                if bracket or error.code != TRANSACTION_TOO_LARGE:
                    raise
                break
    return await _one_by_one(works, deadline, keep, validate_only=validate_only)


async def _done(
    operations: Operations[Any], unit: Unit, works: Mapping[int, Work], keep: Callable[[int, Outcome], R]
) -> dict[int, R]:
    in_unit = {index: partial(_in_unit, work) for index, work in works.items()}
    return await done_in(unit, in_unit, operations.send, keep=keep)


def _in_unit(work: Work, unit: Unit) -> Awaitable[Written[Any] | None]:
    return work(unit, unit.validate_only)


async def _one_by_one(
    works: Sequence[Work | Settled[R]], deadline: float, keep: Keep[R], *, validate_only: bool
) -> list[R]:
    pace, outcomes = Pace(), list[R]()
    for index, work in enumerate(works):
        await pace.rest()
        seconds = deadline - time.monotonic()
        if isinstance(work, Settled):
            outcomes.append(work.kept)
            continue
        outcome: Outcome
        if seconds <= 0:
            outcome = Unavailable("there was no time left for it; nothing was done", code="TIMEOUT")
        else:
            try:
                async with bounded(seconds, LATE):
                    outcome = await work(None, validate_only)
            except ProblemError as error:
                outcome = error
        outcomes.append(keep(index, outcome))
    return outcomes


def _within(loc: Location) -> Location:
    """Where in an operation of a batch is what a single request has in its path, its header or its body."""
    if loc[0] == "path":
        return ("key",)
    return ("if_match",) if loc[0] == "header" else loc


def _as_raised(failed: ItemFailed) -> ProblemError:
    """The problem of a write. Raises what is none: the driver's own errors."""
    error = failed.taken()
    if isinstance(error, ProblemError):
        return error
    try:
        raise error
    finally:
        del error  # its traceback holds this frame
