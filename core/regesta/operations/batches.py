"""Many writes of one request: all or none of them, or each by itself.

Both go through the same operations as single writes. What makes them fast is the unit: it holds new documents
and audit events back and sends them together.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from regesta.errors import Invalid, Issue, Location, ProblemError, TooLarge, Unavailable, Unsupported
from regesta.operations.creates import Written
from regesta.operations.deadlines import LATE, MIN_SECONDS, atomicity_in, bounded
from regesta.operations.gathering import done_in
from regesta.operations.locations import relocated
from regesta.operations.pending import ItemFailed, NotRecorded
from regesta.operations.unit import Unit
from regesta.operations.writes import Operations
from regesta.pacing import Pace
from regesta.schemas import shortened
from regesta.store import TRANSACTION_TOO_LARGE, Atomicity

# One write of a batch, in a unit or by itself, then perhaps with `validate_only`; None is what a delete leaves.
Work = Callable[[Unit | None, bool], Awaitable[Written[Any] | None]]
Outcome = Written[Any] | ProblemError | None
# What a problem of the write at this position says of where it is.
Place = Callable[[ProblemError, int], ProblemError]


@dataclass(frozen=True, slots=True)
class Bracket:
    """What is done in the transaction before and after the writes, and stands or falls with them."""

    begin: Callable[[Unit], Awaitable[None]]
    end: Callable[[Unit, Sequence[Outcome]], Awaitable[None]]


# How often the writes that fail are left out and the others tried again, before each goes by itself.
MAX_ATTEMPTS = 4


async def all_or_nothing(
    operations: Operations[Any],
    works: Sequence[Work],
    subject: Any = None,
    *,
    bracket: Bracket | None = None,
    validate_only: bool = False,
) -> Sequence[Outcome]:
    """Do all of `works` in one transaction, together with `bracket`; the outcomes.

    Raises the problem of the first that fails, with all that is found invalid, as `located` puts it; Unsupported
    where several would need a transaction that the store does not have.
    """
    if await atomicity_in(operations.collection, operations.resource.timeout) is not Atomicity.TRANSACTIONS:
        if len(works) > 1 or bracket:
            raise Unsupported("this store has no transactions", code="TRANSACTIONS_UNSUPPORTED")
        deadline = time.monotonic() + operations.resource.timeout
        (outcome,) = await _one_by_one(works, deadline, located, validate_only=validate_only)
        if isinstance(outcome, ProblemError):
            raise outcome
        return [outcome]

    async def work(unit: Unit) -> Sequence[Outcome]:
        if bracket:
            await bracket.begin(unit)
        outcomes = await _done(operations, unit, dict(enumerate(works)), located)
        if failures := [outcome for outcome in outcomes.values() if isinstance(outcome, ProblemError)]:
            raise merged(failures)
        if bracket:
            await bracket.end(unit, list(outcomes.values()))
        return list(outcomes.values())

    try:
        return await operations.run(work, subject, validate_only=validate_only)
    except ItemFailed as failed:
        raise _as_raised(failed, located) from None
    except NotRecorded as failed:
        raise failed.error from None


async def each_by_itself(
    operations: Operations[Any],
    works: Sequence[Work | ProblemError],
    subject: Any = None,
    *,
    bracket: Bracket | None = None,
    validate_only: bool = False,
    place: Place | None = None,
) -> Sequence[Outcome]:
    """Do each of `works` whatever becomes of the others; the outcomes, as if done one after the other.

    They are tried in one transaction. What fails there is left out and the others are tried again; if that happens
    too often, or if MongoDB has no room for all of them in one, each goes by itself. With `bracket` it always is one
    transaction. `place` is `located` unless given. Raises Unavailable; TooLarge with `bracket`.
    """
    place = place or located
    deadline = time.monotonic() + operations.resource.timeout
    atomicity = await atomicity_in(operations.collection, operations.resource.timeout)
    failed: dict[int, ProblemError] = {i: found for i, found in enumerate(works) if isinstance(found, ProblemError)}
    if bracket or atomicity is Atomicity.TRANSACTIONS:
        attempts = len(works) + 1 if bracket else MAX_ATTEMPTS
        for _ in range(attempts):
            left = {
                i: found for i, found in enumerate(works) if not isinstance(found, ProblemError) and i not in failed
            }

            async def work(unit: Unit, left: dict[int, Work] = left) -> Sequence[Outcome]:
                if bracket:
                    await bracket.begin(unit)
                outcomes = failed | await _done(operations, unit, left, place)
                ordered = [outcomes[index] for index in range(len(works))]
                if bracket:
                    await bracket.end(unit, ordered)
                return ordered

            seconds = max(deadline - time.monotonic(), MIN_SECONDS)
            try:
                return await operations.run(work, subject, validate_only=validate_only, seconds=seconds)
            except ItemFailed as found:
                failed[found.index] = _as_raised(found, place)
            except NotRecorded as found:
                if bracket:
                    raise found.error from None
                break
            except TooLarge as error:
                # Each may fit by itself.
                if bracket or error.code != TRANSACTION_TOO_LARGE:
                    raise
                break
    return await _one_by_one(works, deadline, place, validate_only=validate_only)


def merged(failures: Sequence[ProblemError]) -> ProblemError:
    """The first of them; where it says that the request is not valid, with everything else that is not."""
    first = failures[0]
    if isinstance(first, Invalid):
        invalid = [found for found in failures if isinstance(found, Invalid)]
        issues = (issue for found in invalid for issue in found.issues)
        return Invalid.of(shortened(issues, sum(len(found.issues) for found in invalid)))
    return first


def located(error: ProblemError, index: int) -> ProblemError:
    """The problem of a write, with pointers into the body of the batch."""
    above: Location = ("body", "operations", index)
    relocated(error, lambda loc: (*above, *_within(loc)))
    error.issues = error.issues or (Issue(above, error.detail or error.title, error.code.lower()),)
    error.detail = f"operations.{index}: {error.detail or error.title}"
    return error


async def _done(operations: Operations[Any], unit: Unit, works: dict[int, Work], place: Place) -> dict[int, Outcome]:
    """As `done_in`, with the problems where they belong."""
    outcomes = await done_in(unit, {i: _in_unit(work) for i, work in works.items()}, operations.send)
    return {i: place(found, i) if isinstance(found, ProblemError) else found for i, found in outcomes.items()}


def _in_unit(work: Work) -> Callable[[Unit], Awaitable[Written[Any] | None]]:
    return lambda unit: work(unit, unit.validate_only)


async def _one_by_one(
    works: Sequence[Work | ProblemError], deadline: float, place: Place, *, validate_only: bool
) -> list[Outcome]:
    pace, outcomes = Pace(), list[Outcome]()
    for index, work in enumerate(works):
        await pace.rest()
        seconds = deadline - time.monotonic()
        if isinstance(work, ProblemError):
            outcomes.append(work)
        elif seconds <= 0:
            outcomes.append(Unavailable("there was no time left for it; nothing was done", code="TIMEOUT"))
        else:
            try:
                async with bounded(seconds, LATE):
                    outcomes.append(await work(None, validate_only))
            except ProblemError as error:
                outcomes.append(place(error, index))
    return outcomes


def _within(loc: Location) -> Location:
    """Where in an operation of a batch is what a single request has in its path, its header or its body."""
    if loc[0] == "path":
        return ("key",)
    return ("if_match",) if loc[0] == "header" else loc


def _as_raised(failed: ItemFailed, place: Place) -> ProblemError:
    """The problem of a write. Raises what is none: the driver's own errors."""
    if isinstance(failed.error, ProblemError):
        return place(failed.error, failed.index)
    raise failed.error
