"""The parameters that every list has: sort, fields, page_size, page_token, include."""

from collections.abc import Collection, Iterable, Mapping
from itertools import permutations

from .conditions import escaped
from .parameters import Parameter

MAX_SORT_KEYS = 5
MAX_FIELDS = 100

# How much of a wrong name an error repeats: enough to know it by.
MAX_NAME_SHOWN = 64

TOKEN_PATTERN = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"  # noqa: S105 - its form
WATCH_TOKEN_PATTERN = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"  # noqa: S105 - its form


def page_token_parameter() -> Parameter:
    """`page_token`: read by PageTokens, which knows the query it must belong to."""
    return Parameter(str, {"type": "string", "pattern": TOKEN_PATTERN}, "The next_page_token of the page before.")


def after_parameter() -> Parameter:
    """`after`: where a watch begins; read by who knows the watch it must belong to."""
    described = "Where a watch begins: a watch_token, or the id of an event; Last-Event-ID goes before it."
    return Parameter(str, {"type": "string", "pattern": WATCH_TOKEN_PATTERN}, described)


def direction(name: str) -> tuple[str, int]:
    """`-year` as ("year", -1), `year` as ("year", 1)."""
    return (name[1:], -1) if name.startswith("-") else (name, 1)


def total(keys: list[tuple[str, int]], unique: Collection[str]) -> tuple[tuple[str, int], ...]:
    """The same order, made total by the id; nothing after a `unique` path can matter."""
    for index, (path, _) in enumerate(keys):
        if path in unique:
            return tuple(keys[: index + 1])
    return (*keys, ("_id", keys[-1][1]))


def sort_parameter(paths: Mapping[str, str], unique: Collection[str]) -> Parameter:
    """`sort`: by these wire names, which are stored at these paths; read into stored paths, made total."""

    def read(text: str) -> tuple[tuple[str, int], ...]:
        keys: dict[str, int] = {}
        for name, way in map(direction, text.split(",")):
            if name not in paths:
                raise ValueError(f"cannot sort by {_shown(name)}; it can by {', '.join(paths)}")
            if paths[name] in keys:
                raise ValueError(f"names {name!r} twice")
            keys[paths[name]] = way
        if len(keys) > MAX_SORT_KEYS:
            raise ValueError(f"has more than {MAX_SORT_KEYS} keys")
        return total(list(keys.items()), unique)

    one = f"-?(?:{_any_of(paths)})"
    twice = r"(?!(?:.*,)?-?([^,]+),(?:.*,)?-?\1(?:,|$))"
    schema = {"type": "string", "pattern": f"^{twice}{one}(?:,{one}){{0,{MAX_SORT_KEYS - 1}}}$"}
    described = (
        f"The order: up to {MAX_SORT_KEYS} of {', '.join(paths)}, separated by commas. A '-' before a name: descending."
    )
    return Parameter(read, schema, described)


def orders_parameter(orders: Mapping[str, tuple[tuple[str, int], ...]]) -> Parameter:
    """`sort` where only some orders are served: each as it is written, with its stored paths."""

    def read(text: str) -> tuple[tuple[str, int], ...]:
        if text not in orders:
            raise ValueError(f"no index serves {_shown(text)}; there are {', '.join(orders)}")
        return orders[text]

    described = "The order, one that an index has. A '-' before a name: descending."
    return Parameter(read, {"type": "string", "enum": list(orders)}, described)


def fields_parameter(paths: Mapping[str, str]) -> Parameter:
    """`fields`: of these wire names, which are stored at these paths; read into stored paths."""

    def read(text: str) -> tuple[str, ...]:
        names = text.split(",")
        for name in names:
            if name not in paths:
                raise ValueError(f"there is no field {_shown(name)}")
        if len(names) > MAX_FIELDS:
            raise ValueError(f"names more than {MAX_FIELDS} fields")
        return _outermost(paths[name] for name in names)

    pattern = f"^(?:{_any_of(paths)})(?:,(?:{_any_of(paths)})){{0,{MAX_FIELDS - 1}}}$"
    return Parameter(read, {"type": "string", "pattern": pattern}, "Only these fields, separated by commas.")


def _outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """Without those that lie within another: MongoDB refuses a projection that names both."""
    distinct = dict.fromkeys(paths)
    return tuple(path for path in distinct if not any(path.startswith(f"{outer}.") for outer in distinct))


def page_size_parameter(usual: int, maximum: int) -> Parameter:
    """`page_size`."""
    return size_parameter(usual, maximum, "How many documents at most")


def size_parameter(usual: int, maximum: int, description: str) -> Parameter:
    """How many of something, at least 1: larger ones are coerced to the maximum."""
    digits = len(str(maximum))

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()):
            raise ValueError("must be a whole number")
        significant = text.lstrip("0")
        if not significant:
            raise ValueError("must be at least 1")
        return min(int(significant), maximum) if len(significant) <= digits else maximum

    schema = {"type": "integer", "minimum": 1, "default": usual}
    return Parameter(read, schema, f"{description}; more than {maximum} gives {maximum}.")


def include_parameter(words: Mapping[str, str]) -> Parameter:
    """`include`: what a page carries beside its documents; `words` says what each means."""

    def read(text: str) -> frozenset[str]:
        found = text.split(",")
        if not words.keys() >= set(found) or len(set(found)) < len(found):
            raise ValueError(f"must be {' or '.join(words)}, or several of them, separated by commas")
        return frozenset(found)

    orders = [",".join(order) for size in range(1, len(words) + 1) for order in permutations(words, size)]
    described = " ".join(f"{word}: {meaning}" for word, meaning in words.items())
    return Parameter(read, {"type": "string", "enum": orders}, described)


def _any_of(names: Collection[str]) -> str:
    return "|".join(escaped(name) for name in names)


def _shown(name: str) -> str:
    return repr(name if len(name) <= MAX_NAME_SHOWN else f"{name[:MAX_NAME_SHOWN]}...")
