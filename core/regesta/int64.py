"""The integers that MongoDB holds."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def is_int64(value: int) -> bool:
    """Whether BSON has a place for it.

    Compared with both ends: `in range(...)` counts from the first on where the value is of a subclass, as an IntEnum's.
    """
    return INT64_MIN <= value <= INT64_MAX
