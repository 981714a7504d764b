"""The name that a misspelt one was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

# Looking for a similar name takes time for each known one. So long names get no suggestion, and only so many names
# of one request get one.
MAX_LENGTH = 64
MAX_SUGGESTIONS = 3


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'name'?` for the most similar known name, or "" if none is similar."""
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the most similar known name, or "" if none is similar."""
    found = get_close_matches(name, list(known), n=1) if len(name) <= MAX_LENGTH else []
    return found[0] if found else ""
