"""Rows of a query or a pipeline, as many as fit into memory: documents may have 16 MB each.

Drivers decode whole batches, which may have 16 MB as well. Here they are decoded piece by piece, up to the limit.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bson

from regesta.pacing import Pace
from regesta.store._driver import Atomicity, _awaited, atomicity_of

Documents = list[dict[str, Any]]

# Bytes of BSON in one answer; a single document may have more.
MOST_BYTES = 4 * 1024 * 1024
# What is decoded at once: so the event loop is not held up.
DECODED_BYTES = 256 * 1024
LENGTH = 4
# What MongoDB answers first, if it is not told a number.
USUAL_BATCH = 101


@dataclass(frozen=True, slots=True)
class Rows:
    """Some documents in order. `more`: there are others behind them, or there may be."""

    documents: Documents
    more: bool


async def read_rows(
    collection: Any,
    filter: Mapping[str, Any],
    *,
    count: int,
    projection: Mapping[str, int] | None = None,
    sort: Sequence[tuple[str, int]] = (),
    session: Any = None,
    most: int = MOST_BYTES,
) -> Rows:
    """The first `count` documents that match, fewer if they have more than `most` bytes, but one at least."""
    find: dict[str, Any] = {"projection": projection, "sort": list(sort) or None, "limit": count + 1}
    if await atomicity_of(collection) is Atomicity.LOCK:
        found: Documents = await collection.find(filter, session=session, **find).to_list(None)
        return Rows(found[:count], len(found) > count)
    # A batch larger than the limit: the server sees the end at once and keeps no cursor.
    find |= {"session": session, "batch_size": count + 2}
    key = (id(collection.database.client), collection.full_name, tuple(projection or ()))
    if _are_small(key, count, most):
        rows = await _read_small(collection.find(filter, **find), count)
        if rows is not None:
            return rows
    return await _read(collection.find_raw_batches(filter, **find), collection.codec_options, count, most, key)


# The largest row that was seen of a collection, and how many reads may still rely on it. Drivers decode whole replies
# in less time than it takes to look at them raw.
_seen: dict[Any, tuple[int, int]] = {}
RELY, MOST_SEEN = 64, 1000


def _are_small(key: Any, count: int, most: int) -> bool:
    """Whether so many rows surely fit, as far as was seen lately."""
    largest, left = _seen.get(key, (0, 0))
    if not left or largest * (count + 1) > most:
        return False
    _seen[key] = (largest, left - 1)
    return True


async def _read_small(cursor: Any, count: int) -> Rows | None:
    """All rows, out of a single reply; None if that is full, as they are large after all."""
    first = await anext(cursor, None)
    if first is None:
        return Rows([], more=False)
    if cursor.cursor_id:
        await cursor.close()
        return None
    documents = [first, *await cursor.to_list(None)]
    return Rows(documents[:count], len(documents) > count)


def _remember(key: Any, batch: memoryview) -> None:
    if len(_seen) >= MOST_SEEN:
        _seen.clear()
    start, largest = 0, 1
    while start < len(batch):
        size = int.from_bytes(batch[start : start + LENGTH], "little")
        start, largest = start + size, max(largest, size)
    _seen[key] = (largest, RELY)


async def aggregated_rows(
    collection: Any, pipeline: Sequence[Mapping[str, Any]], seconds: float, *, count: int, most: int = MOST_BYTES
) -> Rows:
    """As `read_rows`, of what a pipeline makes; MongoDB gives up after `seconds`, and never uses its disk."""
    limits: dict[str, Any] = {"allowDiskUse": False, "maxTimeMS": max(int(seconds * 1000), 1)}
    if await atomicity_of(collection) is Atomicity.LOCK:
        cursor = await _awaited(collection.aggregate(list(pipeline), **limits))
        found: Documents = await cursor.to_list(None)
        return Rows(found[:count], len(found) > count)
    cursor = await _awaited(collection.aggregate_raw_batches(list(pipeline), **limits))
    return await _read(cursor, collection.codec_options, count, most)


async def row_groups(
    collection: Any,
    filter: Mapping[str, Any],
    *,
    count: int,
    sort: Sequence[tuple[str, int]],
    session: Any = None,
    most: int = MOST_BYTES,
) -> AsyncGenerator[Documents]:
    """All documents that match, at most `count` at a time, fewer if they have more than `most` bytes together."""
    if await atomicity_of(collection) is Atomicity.LOCK:
        found = collection.find(filter, session=session, sort=list(sort))
        while documents := await found.to_list(count):
            yield documents
        return
    cursor = collection.find_raw_batches(filter, session=session, sort=list(sort), batch_size=max(count, USUAL_BATCH))
    try:
        async for batch in cursor:
            left = memoryview(batch)  # a part of bytes would be a copy
            while left:
                size = _fitting(left, most, count, at_least=True)
                yield bson.decode_all(left[:size], collection.codec_options)
                left = left[size:]
    finally:
        await cursor.close()


async def _read(cursor: Any, options: Any, count: int, left: int, key: Any = None) -> Rows:
    pace = Pace()
    documents: Documents = []
    async for reply in cursor:
        batch = memoryview(reply)  # a part of bytes would be a copy
        if key is not None:
            _remember(key, batch)
        size = len(batch) if len(batch) <= left else _fitting(batch, left, len(batch), at_least=not documents)
        if size <= DECODED_BYTES:
            documents += bson.decode_all(batch[:size], options)
        else:
            for piece in decoded(batch[:size], options):
                documents += piece
                await pace.rest()
        left -= size
        if size < len(batch) or (left <= 0 and cursor.alive):
            await cursor.close()
            return Rows(documents[:count], more=True)
    return Rows(documents[:count], len(documents) > count)


def _fitting(batch: memoryview, most: int, count: int, *, at_least: bool) -> int:
    """The size of the first `count` documents in a batch, if they have at most so many bytes; `at_least`: of one."""
    end = 0
    while end < len(batch) and count:
        count -= 1
        size = int.from_bytes(batch[end : end + LENGTH], "little")
        if end + size > most and (end or not at_least):
            break
        end += size
    return end


def decoded(batch: memoryview, options: Any) -> Iterator[Documents]:
    """The documents in a batch of BSON, in pieces of about DECODED_BYTES."""
    start = end = 0
    while end < len(batch):
        end += int.from_bytes(batch[end : end + LENGTH], "little")
        if end - start >= DECODED_BYTES or end == len(batch):
            yield bson.decode_all(batch[start:end], options)
            start = end
