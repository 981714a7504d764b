"""What a process keeps for each client of MongoDB."""

import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerClient(Generic[T]):
    """A value for each client, made at its first use and forgotten with the client.

    Clients are told apart by identity. Drivers compare them by the addresses of their servers, but two clients of
    one server may have different users, event loops and ends.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[int, T] = {}

    def values(self) -> list[T]:
        """Return the values of all clients that are still in use."""
        return list(self._values.values())

    def of(self, client: Any) -> T:
        """Return the value of a client."""
        found = self._values.get(id(client))
        if found is None:
            found = self._values[id(client)] = self._make()
            # Another client may get the id once this one is gone.
            weakref.finalize(client, self._values.pop, id(client), None).atexit = False
        return found
