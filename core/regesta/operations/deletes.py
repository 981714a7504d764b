"""The whole way of a delete, and back from a soft one."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeVar

from beanie import Document
from pymongo.errors import PyMongoError

from regesta.change import Action, Caller, Change
from regesta.declarations import DELETED_AT
from regesta.errors import Conflict, Duplicate, Issue
from regesta.hooks import Hooks
from regesta.operations import actions
from regesta.operations.creates import REFUSED, Written
from regesta.operations.etags import Precondition, etag_of
from regesta.operations.pages import Stored
from regesta.operations.reads import Reads
from regesta.operations.sequences import Numbering, close_all, forget, meet_all
from regesta.operations.unit import LostRace, Unit
from regesta.operations.updates import Updates
from regesta.pacing import Pace
from regesta.resource import Resource
from regesta.store import delete_each, row_groups
from regesta.time_limits import TimeLimit

if TYPE_CHECKING:
    from regesta.operations.writes import Operations

T = TypeVar("T", bound=Document)

# How many children of one kind go at once, with all that is below them; large ones in smaller groups.
TOGETHER = 256
FORGET_SECONDS = 0.5


class Deletes(Updates[T]):
    """The deleting part of a resource's writes."""

    def __init__(self, resource: Resource[T], hooks: Hooks, parent: Reads[Any] | None) -> None:
        super().__init__(resource, hooks, parent)
        self.children: list[Operations[Any]] = []  # type: ignore[assignment] # more can be done to them here

    async def _delete_at(
        self, unit: Unit, caller: Caller, keys: Sequence[str], condition: Precondition, *, cascade: bool
    ) -> None:
        await self._send_inserts(unit)
        raw = await self.find_live(caller, keys, unit.session)
        if raw is None:
            raise self.addresses.not_found(keys[-1])
        condition.check(etag_of(raw))
        await self._delete(unit, caller, [raw], cascade=cascade, cascaded=False)

    async def _delete(
        self, unit: Unit, caller: Caller, raws: Sequence[dict[str, Any]], *, cascade: bool, cascaded: bool
    ) -> None:
        pace, changes = Pace(), list[Change[T]]()
        for raw in raws:
            changes.append(await self._deleting(unit, caller, raw, cascaded=cascaded))
            await pace.rest()
        for child in self.children if not cascade else ():
            await child.refuse_below(unit, raws[0])
        for child in self.children:
            await child.delete_below(unit, caller, raws)
        left = await self._removed(raws, changes, caller, unit)
        await self._record_each(zip(changes, raws, left, repeat("")), unit)
        for change in changes:
            self._announce(change, unit, actions.DELETED)
        if cascaded and unit.pending is not None and unit.pending.heavy:
            await self.send(unit)

    async def _deleting(self, unit: Unit, caller: Caller, raw: dict[str, Any], *, cascaded: bool) -> Change[T]:
        """The change that deletes a document, once nothing speaks against it."""
        unit.holds(raw)
        stored = self.stored(raw)
        before = stored.document
        change = Change(
            Action.DELETE, self.resource.name, type(before), stored.key, before, None, caller, unit.session, cascaded
        )
        await self._prepared(change, unit, actions.DELETED)
        await self._judge(change, unit)
        return change

    async def _removed(
        self, raws: Sequence[dict[str, Any]], changes: Sequence[Change[T]], caller: Caller, unit: Unit
    ) -> Sequence[dict[str, Any] | None]:
        """What is left of the documents: all of each, where the delete is a soft one."""
        if self.resource.soft_delete:
            return [
                await self._store_update(raw, self._marked(change), caller, unit)
                for raw, change in zip(raws, changes, strict=True)
            ]
        if not unit.read_only:
            unit.changes_something()
            guards = [await self._guard(raw, unit) for raw in raws]
            try:
                deleted = await delete_each(self.collection, guards, unit.session)
            except REFUSED as error:
                raise self._refusal(error, caller.scope) from None
            if deleted != len(raws):
                raise LostRace
        return [None] * len(raws)

    def _marked(self, change: Change[T]) -> dict[str, dict[str, Any]]:
        (deleted_at,) = self.rules.live
        # MongoDB knows milliseconds.
        return {"$set": {deleted_at: change.time.replace(microsecond=change.time.microsecond // 1000 * 1000)}}

    def _filter_below(self, parents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """What matches every live child of these parents, whoever asks."""
        values = [self.stored_of_parent(parent) for parent in parents]
        return {**self.addresses.filter_of_all({"$in": values}), **self.rules.live}

    async def refuse_below(self, unit: Unit, parent: Mapping[str, Any]) -> None:
        """Raises Conflict where a parent that is to go has children that would not go with it unasked."""
        above = self.resource.parent
        if above is None or self.parent is None or above.owned or not self.parent.addresses.holds(parent):
            return
        if await self.collection.find_one(self._filter_below([parent]), {"_id": 1}, session=unit.session):
            raise Conflict(
                f"{above.resource.singular} {self.parent.addresses.key_text(parent)!r} has {self.resource.name}: "
                "delete them first, or all together with ?cascade=true",
                code="HAS_CHILDREN",
            )

    async def delete_below(self, unit: Unit, caller: Caller, parents: Sequence[Mapping[str, Any]]) -> None:
        """Delete every child of parents that go, so many at a time that their round trips are few.

        Without a transaction one after the other: what is done then stands, and is to be recorded.
        """
        above, own = self.resource.parent, self.parent
        parents = [parent for parent in parents if own is not None and own.addresses.holds(parent)]
        if above is None or not parents:
            return
        together, below = TOGETHER if unit.session is not None else 1, self._filter_below(parents)
        groups = row_groups(self.collection, below, count=together, sort=[("_id", 1)], session=unit.session)
        async with aclosing(groups):
            async for raws in groups:
                await self._delete(unit, caller, raws, cascade=True, cascaded=True)
        if unit.read_only or self.parent_counts:
            return
        numberings = [self.numbering_of(parent) for parent in parents]
        if above.resource.soft_delete:
            await meet_all(numberings, unit.session)
        else:
            await close_all(numberings, unit.session)
            unit.after_commit.append(partial(_forget, numberings))

    # back from a soft delete

    async def _restore(self, unit: Unit, caller: Caller, keys: Sequence[str], condition: Precondition) -> Written[T]:
        await self._send_inserts(unit)
        parent = await self.parent_document(caller, keys[:-1], unit.session, live=True)
        taken = await self.find_live(caller, keys, unit.session)
        raw = await self.find_deleted(caller, keys, unit.session)
        if raw is None:
            if taken is None:
                raise self.addresses.not_found(keys[-1])
            raise Conflict(f"{self.resource.singular} {keys[-1]!r} is not deleted", code="NOT_DELETED")
        condition.check(etag_of(raw))
        if taken is not None:
            key = self.codec.wire_names[self.resource.key]
            issue = Issue(("body", key), "is taken", "duplicate")
            raise Duplicate(f"there is another {self.resource.singular} {keys[-1]!r} by now", issues=[issue])
        if self.resource.parent and not unit.read_only:
            # The parent cannot go at the same time.
            unit.changes_something()
            await self.numbering_of(parent).meet(unit.session)
        return await self._edited(unit, caller, raw, _live_again, events=actions.UPDATED, action=Action.RESTORE)


async def _forget(numberings: Sequence[Numbering]) -> None:
    """What stays after all is in nobody's way: the delete stands, and its answer is not to wait for it."""
    with suppress(PyMongoError, TimeoutError):
        async with TimeLimit(FORGET_SECONDS):
            await forget(numberings)


def _live_again(stored: Stored[T], document: T) -> T:  # noqa: ARG001 - an Edit
    document.__dict__[DELETED_AT] = None
    return document
