"""The writes of a batch, which wait for their turns.

There may be a thousand of them, and the garbage collector looks at each of their parts. So each is one object, where a
closure over as much would be a dozen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from beanie import Document
from beanie.odm.actions import EventTypes

from regesta.change import Caller
from regesta.operations import Operations, Precondition, Unit, Written
from regesta.operations.actions import UPDATED
from regesta.operations.creates import Build
from regesta.operations.updates import Edit
from regesta.schemas import parse_json


class Creation:
    """The creation of a document, which is built at once. It keeps the body as bytes. Raises Invalid."""

    __slots__ = ("_body", "_caller", "_first", "_operations", "_parents")

    def __init__(
        self, operations: Operations[Any], caller: Caller, parents: tuple[str, ...], body: bytes, tree: dict[str, Any]
    ) -> None:
        self._operations, self._caller, self._parents, self._body = operations, caller, parents, body
        self._first: Document | None = operations.bodies.builder(body, tree, caller.scope)()

    async def __call__(self, unit: Unit | None, dry: bool) -> Written[Any]:  # noqa: FBT001 - see Work
        """Create it in this unit."""
        create = self._operations.create
        written: Written[Any] = await create(self._caller, self._parents, self._built, unit, validate_only=dry)
        return written

    def _built(self) -> Any:
        """The document; another one each time."""
        built, self._first = self._first, None
        if built is not None:
            return built
        operations = self._operations
        tree = parse_json(self._body, operations.resource.max_body_values)
        return operations.bodies.builder(self._body, tree, self._caller.scope)()


@dataclass(frozen=True, slots=True)
class Edition:
    """The change of a document by `edit`; `build` makes it if it is missing."""

    operations: Operations[Any]
    caller: Caller
    keys: tuple[str, ...]
    edit: Edit[Any]
    condition: Precondition
    events: Sequence[EventTypes] = UPDATED
    build: Build[Any] | None = None

    async def __call__(self, unit: Unit | None, dry: bool) -> Written[Any]:  # noqa: FBT001 - see Work
        """Change it in this unit."""
        written: Written[Any] = await self.operations.update(
            self.caller,
            self.keys,
            self.edit,
            condition=self.condition,
            events=self.events,
            otherwise=self.build,
            unit=unit,
            validate_only=dry,
        )
        return written


@dataclass(frozen=True, slots=True)
class Deletion:
    """The deletion of a document."""

    operations: Operations[Any]
    caller: Caller
    keys: tuple[str, ...]
    condition: Precondition
    cascade: bool

    async def __call__(self, unit: Unit | None, dry: bool) -> None:  # noqa: FBT001 - see Work
        """Delete it in this unit."""
        await self.operations.delete(
            self.caller, self.keys, condition=self.condition, cascade=self.cascade, unit=unit, validate_only=dry
        )
