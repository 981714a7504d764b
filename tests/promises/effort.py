"""How often a race is run: all of a promise, or a tenth of it where `REGESTA_PROMISES=short`."""

import os


def times(promised: int) -> int:
    """How often to run what is promised to hold so many times."""
    return max(1, promised // 10) if os.environ.get("REGESTA_PROMISES") == "short" else promised
