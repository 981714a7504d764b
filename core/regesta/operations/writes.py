"""Writing: what `_create` (creates.py), `_update` (updates.py), `_delete` and `_restore` (deletes.py) do, in a unit.

Each runs inside a unit of work and may run again; nothing it does is seen outside before the commit.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

from beanie import Document
from beanie.odm.actions import EventTypes

from regesta.change import Caller
from regesta.hooks import Hooks
from regesta.operations import actions
from regesta.operations.bodies import Bodies
from regesta.operations.creates import Build, Written
from regesta.operations.deadlines import MIN_SECONDS, atomicity_in, bounded
from regesta.operations.deletes import Deletes
from regesta.operations.etags import NO_CONDITION, Precondition
from regesta.operations.gathering import Gathering, Target, Works, once
from regesta.operations.pages import Stored
from regesta.operations.turns import Turns
from regesta.operations.unit import Unit, rehearse, run_unit
from regesta.operations.updates import Edit
from regesta.resource import Resource
from regesta.store import Atomicity

T = TypeVar("T", bound=Document)
R = TypeVar("R")


class Operations(Deletes[T]):
    """Everything that can be done to one resource, with the same checks, hooks and audit from wherever it is called.

    `caller` says on whose behalf, `keys` is the path of keys (`("resnet", "3")` for a version), `unit` joins a
    unit of work that `Registry.run` opened; without it each call is its own.
    """

    def __init__(self, resource: Resource[T], hooks: Hooks, parent: "Operations[Any] | None" = None) -> None:
        super().__init__(resource, hooks, parent)
        self.bodies = Bodies(self.codec, self.addresses)
        self.turns = Turns()
        self.gathering = Gathering(self._together, resource.timeout)

    @property
    def transactional(self) -> bool:
        """Whether writes ask for a transaction."""
        return bool(
            self.resource.transactional
            or self.children
            or self.resource.parent
            or self.hooks.records(self.resource.document)
        )

    async def find_where(
        self,
        caller: Caller,
        parents: Sequence[str],
        where: Mapping[str, Any],
        *,
        sort: Sequence[tuple[str, int]] = (),
        session: Any = None,
    ) -> Stored[T] | None:
        """The first document below these parents that a filter matches, None where there is none.

        `where` is a filter of MongoDB on stored names, written by a program: nothing of it may come from a client but
        values. Raises NotFound for a missing parent, Unavailable; within a session the driver's own errors.
        """
        async with bounded(self.resource.timeout) if session is None else nullcontext():
            filter_ = await self.filter_below(caller, parents, {**where, **self.rules.live}, session)
            raw = await self.collection.find_one(filter_, sort=list(sort) or None, session=session)
        return None if raw is None else self.stored(raw)

    async def create(
        self,
        caller: Caller,
        parents: Sequence[str],
        build: Build[T],
        unit: Unit | None = None,
        *,
        validate_only: bool = False,
    ) -> Written[T]:
        """Insert what `build` makes, anew for each attempt. With `validate_only` it comes to all but that.

        Raises Duplicate, Invalid, NotFound for a missing parent, TooLarge, Unavailable, or what a hook raised.
        """

        def work(unit: Unit) -> Coroutine[Any, Any, Written[T]]:
            return self._create(unit, caller, parents, build)

        target = Target(caller, tuple(parents))
        deadline = time.monotonic() + self.resource.timeout

        def alone() -> Awaitable[Written[T]]:
            # What is left of it for one that left its group.
            seconds = max(deadline - time.monotonic(), MIN_SECONDS)
            return self._in(unit, work, target.meets, validate_only=validate_only, seconds=seconds)

        if unit is not None or validate_only or not await self._gathers():
            return await alone()
        return await self.gathering.join(work, alone, target)

    async def _gathers(self) -> bool:
        """Whether creates that come at once share a transaction: if none of them may wait for long."""
        document = self.resource.document
        quick = self.transactional and self.hooks.quick(document) and not actions.may_read(document, actions.CREATED)
        return quick and await atomicity_in(self.collection, self.resource.timeout) is Atomicity.TRANSACTIONS

    async def _together(self, works: Works, targets: Sequence[Target]) -> Mapping[int, Any]:
        return await once(self.run, works, self.send, lambda unit: self._find_parents(unit, targets))

    async def skip_to(self, caller: Caller, parents: Sequence[str], number: int, unit: Unit) -> int:
        """Let the next child of these parents get `number`, or a later one where that was given before: which one.

        For resources whose parent numbers them (`Parent.sequence`), to keep the numbers of what comes from elsewhere.
        Raises NotFound for a missing parent; the driver's own errors.
        """
        parent = await self.parent_document(caller, parents, unit.session, live=True)
        return await self.numbering_of(parent).skip_to(number, unit.session)

    async def update(
        self,
        caller: Caller,
        keys: Sequence[str],
        edit: Edit[T],
        *,
        condition: Precondition = NO_CONDITION,
        events: Sequence[EventTypes] = actions.UPDATED,
        otherwise: Build[T] | None = None,
        unlocked: Collection[str] = (),
        unit: Unit | None = None,
        validate_only: bool = False,
    ) -> Written[T]:
        """Change one document by `edit(stored, its instance) -> instance`; `otherwise` builds it where it is missing.

        `unlocked` names Immutable fields that may change this once: a rename, where a plugin offers one.
        Raises NotFound, PreconditionFailed, Conflict, Invalid, TooLarge, Unavailable, or what a hook raised.
        """
        return await self._in(
            unit,
            lambda unit: self._update(
                unit,
                caller,
                keys,
                edit,
                condition=condition,
                events=events,
                otherwise=otherwise,
                unlocked=unlocked,
            ),
            tuple(keys),
            validate_only=validate_only,
        )

    async def delete(
        self,
        caller: Caller,
        keys: Sequence[str],
        *,
        condition: Precondition = NO_CONDITION,
        cascade: bool = False,
        unit: Unit | None = None,
        validate_only: bool = False,
    ) -> None:
        """Delete one document, with its children where `cascade`. Raises NotFound, PreconditionFailed, Conflict."""
        await self._in(
            unit,
            lambda unit: self._delete_at(unit, caller, keys, condition, cascade=cascade),
            tuple(keys),
            validate_only=validate_only,
        )

    async def restore(
        self,
        caller: Caller,
        keys: Sequence[str],
        *,
        condition: Precondition = NO_CONDITION,
        unit: Unit | None = None,
        validate_only: bool = False,
    ) -> Written[T]:
        """Undo the last soft delete of this key (AIP-164).

        Raises NotFound, PreconditionFailed, Conflict where it is not deleted, Duplicate where its key or another
        unique value is taken again, or what a hook raised.
        """
        return await self._in(
            unit,
            lambda unit: self._restore(unit, caller, keys, condition),
            tuple(keys),
            validate_only=validate_only,
        )

    async def run(
        self,
        work: Callable[[Unit], Awaitable[R]],
        subject: Hashable = None,
        *,
        transactional: bool = True,
        validate_only: bool = False,
        seconds: float = 0,
    ) -> R:
        """Do several writes together, as `Registry.run`; within `seconds`, the resource's timeout unless given.

        With `validate_only` nothing of it stands, and nobody is told.
        """
        self.hooks.check_documents()
        if validate_only:
            return await rehearse(self.collection, work, seconds or self.resource.timeout)
        return await run_unit(
            self.collection,
            work,
            transactional=transactional,
            seconds=seconds or self.resource.timeout,
            turn=partial(self.turns.of, subject),
        )

    async def _in(
        self,
        unit: Unit | None,
        work: Callable[[Unit], Awaitable[R]],
        subject: Hashable,
        *,
        validate_only: bool,
        seconds: float = 0,
    ) -> R:
        if unit is not None:
            return await work(unit)
        return await self.run(
            work, subject, transactional=self.transactional, validate_only=validate_only, seconds=seconds
        )
