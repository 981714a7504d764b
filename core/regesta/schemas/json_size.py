"""How many values a JSON text has, counted without parsing it.

A parser holds the interpreter until it is done, also in a thread of its own. So the work that a body may cause is
bounded before anything parses it.
"""

import re

from regesta.errors import Malformed, TooLarge

# Values in one document: scalars, arrays and objects. An array of numbers counts each of them.
MAX_VALUES = 50_000
# The shortest value with its separator: `1,`.
LEAST_BYTES = 2
# Bytes at the beginning that are counted first.
PREFIXES = (1024 * 1024, 4 * 1024 * 1024)
# A parser gives up at this depth, or before.
DEEPEST = 1000
# Bytes at the beginning in which a deep nesting is looked for.
NEAR = 16 * 1024
_BRACKETS = re.compile(rb"[\[\]{}]")


def check_value_count(body: bytes | bytearray, most: int = MAX_VALUES) -> None:
    """Raises TooLarge (TOO_MANY_VALUES) if a JSON text has more than `most` values, Malformed if they are too deep.

    A text that is not JSON passes, or is refused for what looks like too many values.
    """
    if has_more_values(body, most):
        if _is_nested_deeply(body):
            raise Malformed("the body is nested too deeply", code="INVALID_JSON")
        raise TooLarge(f"the body has more than {most:,} values: split it", code="TOO_MANY_VALUES")


def has_more_values(text: bytes | bytearray, most: int) -> bool:
    """Whether a JSON text has more than `most` values, in less time than it takes to count them."""
    if len(text) <= most * LEAST_BYTES:
        return False
    for size in (*PREFIXES, len(text)):  # hostile texts are found out by their first part
        part = text[:size]
        if _separators(part) > most:  # and without what stands within strings?
            plain = _unescaped(part)
            # Each string is a value, or the name of one.
            if plain.count(b'"') > 4 * most + 1 or _outside(plain) > most:
                return True
        if size >= len(text):
            break
    return False


def _is_nested_deeply(text: bytes | bytearray) -> bool:
    """Whether a text opens more than DEEPEST arrays and objects within each other, near its beginning."""
    depth = 0
    for bracket in _BRACKETS.findall(b"".join(_unescaped(text[:NEAR]).split(b'"')[::2])):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            return True
    return False


def value_count(text: bytes | bytearray) -> int:
    """How many values a JSON text has. An array or object that is empty counts as two."""
    return _outside(_unescaped(text))


def _unescaped(text: bytes | bytearray) -> bytes | bytearray:
    """The text without quotes that do not end a string."""
    return text.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in text else text


def _outside(plain: bytes | bytearray) -> int:
    """What stands outside of strings, counted."""
    return _separators(b"".join(plain.split(b'"')[::2]))


def _separators(text: bytes | bytearray) -> int:
    """The first value, and each that a comma or a bracket stands before."""
    return 1 + text.count(b",") + text.count(b"[") + text.count(b"{")
