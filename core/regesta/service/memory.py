"""The garbage collector around a start: what is loaded stays, and need not be looked through again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Collect nothing meanwhile: imports and routes leave hardly any garbage; looking takes a quarter of a start."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def keep_what_is_there() -> None:
    """Collect once, and never look at what is left again: a full collection would stop each request for it."""
    gc.collect()
    gc.freeze()
