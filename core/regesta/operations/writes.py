"""Writing: the whole way of a change, readable top to bottom in `_create` (creates.py), `_update` and `_delete`.

Each runs inside a unit of work and may run again; nothing it does is seen outside before the commit.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from beanie import Document
from beanie.odm.actions import EventTypes
from bson import Binary

from regesta.change import Action, Caller, Change
from regesta.errors import Conflict, Invalid, Issue
from regesta.hooks import Hooks
from regesta.operations import actions, sequences
from regesta.operations.bodies import Bodies
from regesta.operations.creates import REFUSED, Build, Creates, Written
from regesta.operations.difference import update_between
from regesta.operations.etags import NO_CONDITION, Precondition, etag_of
from regesta.operations.reads import Stored
from regesta.operations.rehearsals import refuse_taken, updated
from regesta.operations.turns import Turns
from regesta.operations.unit import LostRace, Unit, rehearse, run_unit
from regesta.resource import Resource

T = TypeVar("T", bound=Document)
R = TypeVar("R")

Edit = Callable[[Stored[T], T], T]


class Operations(Creates[T]):
    """Everything that can be done to one resource, with the same checks, hooks and audit from wherever it is called.

    `caller` says on whose behalf, `keys` is the path of keys (`("resnet", "3")` for a version), `unit` joins a
    unit of work that `Registry.run` opened; without it each call is its own.
    """

    def __init__(self, resource: Resource[T], hooks: Hooks, parent: "Operations[Any] | None" = None) -> None:
        super().__init__(resource, hooks, parent)
        self.bodies = Bodies(self.codec, self.addresses)
        self.turns = Turns()
        self.children: list[Operations[Any]] = []

    @property
    def transactional(self) -> bool:
        """Whether writes ask for a transaction."""
        return bool(
            self.resource.transactional
            or self.children
            or self.resource.parent
            or self.hooks.records(self.resource.document)
        )

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
        meets = tuple(parents) or None
        return await self._in(
            unit, lambda unit: self._create(unit, caller, parents, build), meets, validate_only=validate_only
        )

    async def update(
        self,
        caller: Caller,
        keys: Sequence[str],
        edit: Edit[T],
        *,
        condition: Precondition = NO_CONDITION,
        events: Sequence[EventTypes] = actions.UPDATED,
        otherwise: Build[T] | None = None,
        unit: Unit | None = None,
        validate_only: bool = False,
    ) -> Written[T]:
        """Change one document by `edit(stored, its instance) -> instance`; `otherwise` builds it where it is missing.

        Raises NotFound, PreconditionFailed, Conflict, Invalid, TooLarge, Unavailable, or what a hook raised.
        """
        return await self._in(
            unit,
            lambda unit: self._update(
                unit, caller, keys, edit, condition=condition, events=events, otherwise=otherwise
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
        if validate_only:
            return await rehearse(self.collection, work, seconds or self.resource.timeout)
        return await run_unit(
            self.collection,
            work,
            transactional=transactional,
            seconds=seconds or self.resource.timeout,
            turn=self.turns.of(subject),
        )

    async def _in(
        self, unit: Unit | None, work: Callable[[Unit], Awaitable[R]], subject: Hashable, *, validate_only: bool
    ) -> R:
        if unit is not None:
            return await work(unit)
        return await self.run(work, subject, transactional=self.transactional, validate_only=validate_only)

    # update

    async def _update(
        self,
        unit: Unit,
        caller: Caller,
        keys: Sequence[str],
        edit: Edit[T],
        *,
        condition: Precondition,
        events: Sequence[EventTypes],
        otherwise: Build[T] | None,
    ) -> Written[T]:
        await self._send_inserts(unit)
        raw = await self.find(caller, keys, unit.session)
        if raw is None:
            if otherwise is None:
                raise self.addresses.not_found(keys[-1])
            condition.check(None)
            return await self._create(unit, caller, keys[:-1], otherwise)
        stored = self.stored(raw)
        condition.check(stored.etag)
        before = stored.document
        after = edit(stored, stored.document)
        after.__dict__["revision_id"] = before.__dict__.get("revision_id")
        self.addresses.stamp(after, caller.scope)
        change = Change(
            Action.UPDATE, self.resource.name, type(before), stored.key, before, after, caller, unit.session
        )
        after = await self._prepared(change, unit, events)
        update = update_between(stored.codec.stored_before(raw, before), stored.codec.to_stored(after))
        self._keep_immutable(stored, update)
        if not update:
            return Written(raw, stored.codec, self.addresses)
        await self._judge(change, unit)
        written = await self._store_update(raw, update, caller, unit)
        tag = await self._record(change, raw, written, unit)
        self._announce(change, unit, events)
        return Written(written, stored.codec, self.addresses, tag=tag)

    def _keep_immutable(self, stored: Stored[T], update: Mapping[str, Mapping[str, Any]]) -> None:
        changed = {path.partition(".")[0] for fields in update.values() for path in fields}
        fields = (found for found in stored.codec.shape.fields.values() if found.stored in changed)
        wires = sorted(found.wire for found in fields if found.name in self.resource.immutable)
        if wires:
            raise Invalid.of([Issue(("body", wire), "cannot be changed once it is set", "immutable") for wire in wires])

    async def _store_update(
        self, raw: dict[str, Any], update: dict[str, dict[str, Any]], caller: Caller, unit: Unit
    ) -> dict[str, Any]:
        if self.has_revision:
            update.setdefault("$set", {})["revision_id"] = Binary.from_uuid(uuid4())
        try:
            if unit.read_only:
                after = updated(raw, update)
                await refuse_taken(self.collection, after)
                return after
            unit.changes_something()
            written = await self.collection.find_one_and_update(
                await self._guard(raw, unit), update, return_document=True, session=unit.session
            )
        except REFUSED as error:
            raise self._refusal(error, caller.scope) from None
        if written is None:
            raise LostRace
        found: dict[str, Any] = written
        return found

    # delete

    async def _delete_at(
        self, unit: Unit, caller: Caller, keys: Sequence[str], condition: Precondition, *, cascade: bool
    ) -> None:
        await self._send_inserts(unit)
        raw = await self.find(caller, keys, unit.session)
        if raw is None:
            raise self.addresses.not_found(keys[-1])
        condition.check(etag_of(raw))
        await self._delete(unit, caller, raw, cascade=cascade, cascaded=False)

    async def _delete(self, unit: Unit, caller: Caller, raw: dict[str, Any], *, cascade: bool, cascaded: bool) -> None:
        stored = self.stored(raw)
        before = stored.document
        change = Change(
            Action.DELETE, self.resource.name, type(before), stored.key, before, None, caller, unit.session, cascaded
        )
        await self._prepared(change, unit, actions.DELETED)
        await self._judge(change, unit)
        for child in self.children:
            await child.delete_below(unit, caller, raw, stored.key, cascade=cascade)
        if not unit.read_only:
            unit.changes_something()
            if not await self.collection.find_one_and_delete(await self._guard(raw, unit), session=unit.session):
                raise LostRace
        await self._record(change, raw, None, unit)
        self._announce(change, unit, actions.DELETED)

    async def delete_below(
        self, unit: Unit, caller: Caller, parent: Mapping[str, Any], parent_key: str, *, cascade: bool
    ) -> None:
        """Delete every child of a parent that goes. Raises Conflict where there are some and `cascade` is not set."""
        above = self.resource.parent
        if above is None or self.parent is None:
            return
        info = above.resource.document.model_fields[above.stores]
        value = parent.get(info.alias or above.stores)
        filter_ = self.addresses.collection_filter({}, value)
        if not cascade and await self.collection.find_one(filter_, {"_id": 1}, session=unit.session):
            raise Conflict(
                f"{above.resource.singular} {parent_key!r} has {self.resource.name}: "
                "delete them first, or all together with ?cascade=true",
                code="HAS_CHILDREN",
            )
        async for raw in self.collection.find(filter_, session=unit.session).sort("_id", 1):
            await self._delete(unit, caller, raw, cascade=True, cascaded=True)
        if not unit.read_only:
            await sequences.close(self.collection, value, unit.session)
