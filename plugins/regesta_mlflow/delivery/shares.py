"""Shares a number of places among many: no holder gets all of them, however much it asks for."""

from collections import Counter
from collections.abc import Hashable


class Shares:
    """How many of the `places` each holder has.

    A holder may take a place if it has fewer than are free. So one that takes all it can gets half of the places, two
    get a third each, and there is always one left for somebody who has none, until every holder is down to one.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._held: Counter[Hashable] = Counter()
        self._taken = 0

    @property
    def free(self) -> int:
        """The number of free places."""
        return self._places - self._taken

    def allows(self, holder: Hashable) -> bool:
        """Whether a holder may take one more."""
        return self._held[holder] < self.free

    def full(self) -> list[Hashable]:
        """The holders that may not."""
        return [holder for holder, held in self._held.items() if held >= self.free]

    def held(self, holder: Hashable) -> int:
        """How many a holder has."""
        return self._held[holder]

    def take(self, holder: Hashable) -> None:
        """Take a place."""
        self._held[holder] += 1
        self._taken += 1

    def leave(self, holder: Hashable) -> None:
        """Give one back."""
        self._taken -= 1
        self._held[holder] -= 1
        if not self._held[holder]:
            del self._held[holder]
