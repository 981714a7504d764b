"""The whole way of a delete, and back from a soft one."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from beanie import Document

from regesta.change import Action, Caller, Change
from regesta.declarations import DELETED_AT
from regesta.errors import Conflict, Duplicate, Issue
from regesta.hooks import Hooks
from regesta.operations import actions
from regesta.operations.creates import Written
from regesta.operations.etags import Precondition, etag_of
from regesta.operations.pages import Stored
from regesta.operations.reads import Reads
from regesta.operations.unit import LostRace, Unit
from regesta.operations.updates import Updates
from regesta.resource import Resource

if TYPE_CHECKING:
    from regesta.operations.writes import Operations

T = TypeVar("T", bound=Document)


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
        left = await self._removed(raw, change, caller, unit)
        await self._record(change, raw, left, unit)
        self._announce(change, unit, actions.DELETED)

    async def _removed(
        self, raw: dict[str, Any], change: Change[T], caller: Caller, unit: Unit
    ) -> dict[str, Any] | None:
        """What is left of the document: all of it, where the delete is a soft one."""
        if self.resource.soft_delete:
            (deleted_at,) = self.rules.live
            # MongoDB knows milliseconds.
            time = change.time.replace(microsecond=change.time.microsecond // 1000 * 1000)
            return await self._store_update(raw, {"$set": {deleted_at: time}}, caller, unit)
        if not unit.read_only:
            unit.changes_something()
            if not await self.collection.find_one_and_delete(await self._guard(raw, unit), session=unit.session):
                raise LostRace
        return None

    async def delete_below(
        self, unit: Unit, caller: Caller, parent: Mapping[str, Any], parent_key: str, *, cascade: bool
    ) -> None:
        """Delete every child of a parent that goes.

        Raises Conflict where there are some that are not `owned` and `cascade` is not set.
        """
        above = self.resource.parent
        if above is None or self.parent is None:
            return
        info = above.resource.document.model_fields[above.stores]
        value = parent.get(info.alias or above.stores)
        filter_ = {**self.addresses.collection_filter({}, value), **self.rules.live}
        if not (cascade or above.owned) and await self.collection.find_one(filter_, {"_id": 1}, session=unit.session):
            raise Conflict(
                f"{above.resource.singular} {parent_key!r} has {self.resource.name}: "
                "delete them first, or all together with ?cascade=true",
                code="HAS_CHILDREN",
            )
        async for raw in self.collection.find(filter_, session=unit.session).sort("_id", 1):
            await self._delete(unit, caller, raw, cascade=True, cascaded=True)
        if unit.read_only or self.parent_counts:
            return
        numbering = self.numbering_of(parent)
        await (numbering.meet if above.resource.soft_delete else numbering.close)(unit.session)

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


def _live_again(stored: Stored[T], document: T) -> T:  # noqa: ARG001 - an Edit
    document.__dict__[DELETED_AT] = None
    return document
