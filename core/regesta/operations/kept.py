"""The stored form of a changed document, in which everything that the change leaves alone keeps its BSON.

A document reaches its new form through JSON or Python values, and both lose something: JSON shows a datetime in a
free dict as text, a model drops the members that it does not know, an Int64 becomes an int. So the new form is not
compared with what is stored, but with the old form after the same way (`before`). What both have alike was not
changed, and keeps what is `stored` of it.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

import bson

from regesta.operations.origins import Origin, OriginList, OriginObject, origin_of, origins_of_items
from regesta.operations.refusals import UNSTORABLE
from regesta.store import STANDARD

# Of more changed items in a row, it is not looked which old one is most like each.
MAX_GAP = 32


def kept(after: Any, origin: Origin | None, trace: Any = None) -> Any:
    """What is stored of `after`: of all that it has in common with its origin, what was stored before.

    `trace` is the same value on the wire as a patch left it, with an Origin for each part that the patch did not
    write. Without a trace, the items of a list are found by their values.
    """
    origin = origin_of(trace) or origin
    if origin is not None and same(origin.before, after):
        return origin.stored
    if isinstance(after, dict):
        return _members(after, origin, trace)
    if isinstance(after, list):
        return _items(after, origin, trace)
    return after


def same(one: Any, other: Any) -> bool:
    """Equal in BSON: 1, 1.0 and True are three things there, so are 0.0 and -0.0; an instant is one in every zone."""
    if (kind := type(one)) is type(other):
        if kind is list:
            return len(one) == len(other) and all(map(same, one, other))
        if kind in _EQUAL_ALIKE:
            return bool(one == other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if type(one) is type(other) and one == other and (one != 0 or type(one) is not float):
        return True
    return bool(_encoded(one) == _encoded(other))


# Types whose equal values have the same BSON, and no others have it.
_EQUAL_ALIKE = frozenset({str, int, bool, type(None)})


def _members(after: dict[str, Any], origin: Origin | None, trace: Any) -> dict[str, Any]:
    before, stored = (origin.before, origin.stored) if origin else ({}, {})
    if not (isinstance(before, dict) and isinstance(stored, dict)):
        before, stored = {}, {}
    names = trace.stored_names if isinstance(trace, OriginObject) else {}
    traces = {names.get(name, name): below for name, below in trace.items()} if isinstance(trace, dict) else {}
    found = {}
    for key, value in stored.items():
        if key in after:
            known = Origin(before[key], value) if key in before else None
            found[key] = kept(after[key], known, traces.get(key))
        elif key not in before:  # the class does not know it
            found[key] = value
    for key, value in after.items():
        # What is not stored and has not changed is a default.
        if key not in stored and not (key in before and same(before[key], value)):
            found[key] = kept(value, None, traces.get(key))
    return found


def _items(after: list[Any], origin: Origin | None, trace: Any) -> list[Any]:
    if _follows(trace, after):
        return [kept(item, None, below) for item, below in zip(after, trace, strict=True)]
    if origin is None or not (isinstance(origin.before, list) and isinstance(origin.stored, list)):
        return after
    if all(type(item) in _EQUAL_ALIKE for item in after) and same(origin.before, origin.stored):
        return after  # an item that stays has the same BSON already, wherever it is now
    origins = origins_of_items(origin.before, origin.stored)
    return [kept(item, known) for item, known in zip(after, _aligned(after, origins), strict=True)]


def _follows(trace: Any, after: list[Any]) -> bool:
    """Whether the trace is of these items, and no validator has put them into another order since."""
    if not isinstance(trace, list) or len(trace) != len(after):
        return False
    origins = list(map(origin_of, trace))
    if not (isinstance(trace, OriginList) or any(origins)):
        return False
    in_place = sum(known is not None and same(known.before, item) for known, item in zip(origins, after, strict=True))
    if in_place == sum(known is not None for known in origins):
        return True
    anywhere = Counter(_key(known.before) for known in origins if known) & Counter(map(_key, after))
    return in_place >= anywhere.total()


def _aligned(after: list[Any], origins: Sequence[Origin]) -> list[Origin | None]:
    """For each item the origin that equals it, else one that lies between the same neighbours."""
    front = _alike_in_a_row(after, origins)
    back = _alike_in_a_row(after[front:][::-1], origins[front:][::-1])
    until, end = len(after) - back, len(origins) - back
    return [*origins[:front], *_aligned_middle(after[front:until], origins[front:end]), *origins[end:]]


def _alike_in_a_row(items: Sequence[Any], origins: Sequence[Origin]) -> int:
    """How many items from the first on are what they were."""
    pairs = zip(items, origins, strict=False)
    return sum(1 for _ in takewhile(lambda pair: same(pair[1].before, pair[0]), pairs))


def _aligned_middle(after: list[Any], origins: Sequence[Origin]) -> list[Origin | None]:
    equal = _equal(list(map(_key, after)), [_key(known.before) for known in origins])
    taken = set(equal)
    found = [None if index is None else origins[index] for index in equal]
    first, gap = 0, list[int]()
    for position, index in enumerate([*equal, len(origins)]):
        if index is None:
            if isinstance(after[position], dict | list):  # nothing else has parts that it may keep
                gap.append(position)
            continue
        if gap:
            between = (origins[at] for at in takewhile(lambda at: at not in taken, range(first, len(origins))))
            free = [known for known in between if isinstance(known.before, dict | list)]
            for changed, known in _paired([(at, after[at]) for at in gap], free):
                found[changed] = known
            gap = []
        first = index + 1
    return found


def _equal(items: list[Any], known: list[Any]) -> list[int | None]:
    """For each item the index of an equal one: in its place, counted from the front or the end, else the first."""
    found: list[int | None] = [None] * len(items)
    taken: set[int] = set()
    more = len(known) - len(items)
    for position, item in enumerate(items):
        for index in (position, position + more) if more else (position,):
            if 0 <= index < len(known) and index not in taken and known[index] == item:
                found[position] = index
                taken.add(index)
                break
    waiting: defaultdict[Any, deque[int]] = defaultdict(deque)
    for index, value in enumerate(known):
        if index not in taken:
            waiting[value].append(index)
    return [
        waiting[items[position]].popleft() if index is None and waiting.get(items[position]) else index
        for position, index in enumerate(found)
    ]


def _paired(items: list[tuple[int, Any]], origins: list[Origin]) -> Iterator[tuple[int, Origin]]:
    """Changed items with the origins that have most in common with them; the rest one by one, if it is as many."""
    if 1 < max(len(items), len(origins)) <= MAX_GAP:
        for index, item in tuple(items):
            best = max(origins, key=lambda known: _in_common(known.before, item), default=None)
            if best is not None and _in_common(best.before, item):
                items.remove((index, item))
                origins.remove(best)
                yield index, best
    if len(items) == len(origins):
        yield from ((index, known) for (index, _), known in zip(items, origins, strict=True))


def _in_common(one: Any, other: Any) -> int:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return 0
    return sum(key in other and same(one[key], other[key]) for key in one)


def _key(value: Any) -> Any:
    """Return what is equal for values that are equal in BSON, and for no others."""
    kind = type(value)
    return (kind, value) if kind in _EQUAL_ALIKE else _encoded(value)


def _encoded(value: Any) -> Any:
    """Its BSON; of what cannot be stored an object that equals no other."""
    try:
        return bson.encode({"": value}, codec_options=STANDARD)
    except UNSTORABLE:
        return object()
