"""The whole way of a change to a document, readable top to bottom in `_update` and `_edited`."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from beanie import Document
from beanie.odm.actions import EventTypes
from bson import Binary

from regesta.change import Action, Caller, Change
from regesta.errors import Conflict, Duplicate, Invalid, Issue, Unreadable
from regesta.hooks import Hooks
from regesta.operations.creates import REFUSED, Build, Creates, Written
from regesta.operations.difference import update_between
from regesta.operations.etags import Precondition, etag_of
from regesta.operations.kept import kept
from regesta.operations.origins import Origin
from regesta.operations.pages import Stored
from regesta.operations.reads import Reads
from regesta.operations.rehearsals import refuse_taken, updated
from regesta.operations.unit import LostRace, Unit
from regesta.pacing import Pace
from regesta.resource import Resource
from regesta.store import is_whole

T = TypeVar("T", bound=Document)

# What makes the changed document of a stored one. Long ones let others run meanwhile.
Edit = Callable[[Stored[T], T], T | Awaitable[T]]


class Updates(Creates[T]):
    """The changing part of a resource's writes."""

    def __init__(self, resource: Resource[T], hooks: Hooks, parent: Reads[Any] | None) -> None:
        super().__init__(resource, hooks, parent)
        self.children: list[Updates[Any]] = []

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
        unlocked: Collection[str] = (),
    ) -> Written[T]:
        await self._send_inserts(unit)
        raw = await self.find_live(caller, keys, unit.session)
        if raw is None:
            if self.resource.soft_delete and (otherwise is None or self.addresses.key_field == "_id"):
                await self._refuse_deleted(unit, caller, keys)
            if otherwise is None:
                raise self.addresses.not_found(keys[-1])
            condition.check(None)
            return await self._created_unless_there(unit, caller, keys, otherwise)
        condition.check(etag_of(raw))
        return await self._edited(unit, caller, raw, edit, events=events, unlocked=unlocked)

    async def _created_unless_there(
        self, unit: Unit, caller: Caller, keys: Sequence[str], build: Build[T]
    ) -> Written[T]:
        """Raises LostRace where somebody else was quicker, which only a transaction would have told."""
        try:
            return await self._create(unit, caller, keys[:-1], build, keys[-1])
        except Duplicate:
            if unit.session is None and await self.find_live(caller, keys, None) is not None:
                raise LostRace from None
            raise

    async def _refuse_deleted(self, unit: Unit, caller: Caller, keys: Sequence[str]) -> None:
        if await self.find_deleted(caller, keys, unit.session):
            raise Conflict(f"{self.resource.singular} {keys[-1]!r} is deleted: restore it first", code="DELETED")

    async def _edited(
        self,
        unit: Unit,
        caller: Caller,
        raw: dict[str, Any],
        edit: Edit[T],
        *,
        events: Sequence[EventTypes],
        action: Action = Action.UPDATE,
        unlocked: Collection[str] = (),
    ) -> Written[T]:
        unit.holds(raw)
        pace, stored = Pace(), self.stored(raw)
        before = stored.document
        await pace.rest()
        made = edit(stored, stored.document)
        after = await made if isinstance(made, Awaitable) else made
        await pace.rest()
        after.__dict__["revision_id"] = before.__dict__.get("revision_id")
        self._keep_place(after, before, caller)
        change = Change(action, self.resource.name, type(before), stored.key, before, after, caller, unit.session)
        after = await self._prepared(change, unit, events)
        self._keep_place(after, before, caller)
        await pace.rest()
        known = Origin(stored.codec.stored_before(raw, before), raw)
        await pace.rest()
        whole = kept(stored.codec.stored_after(raw, before, after), known)
        await pace.rest()
        self._check_shown(stored, whole)
        await pace.rest()
        update = update_between(raw, whole)
        await pace.rest()
        self._keep_immutable(stored, update, {*unlocked, *stored.codec.never_set(raw)})
        if not update:
            unit.unchanged = True
            return Written(raw, stored.codec, self.addresses)
        await self._judge(change, unit)
        await pace.rest()
        written = await self._store_update(raw, update, caller, unit, after)
        for child in self.children:
            await child.copy_down(raw, written, unit)
        tag = await self._record(change, raw, written, unit)
        self._announce(change, unit, events)
        return Written(written, stored.codec, self.addresses, tag=tag)

    def _keep_place(self, after: T, before: T, caller: Caller) -> None:
        """Leave the document where it is, in the scope and below its parent, whatever a body or a hook says."""
        self.addresses.stamp(after, caller.scope, before)
        above = self.resource.parent
        if above and above.field in before.__dict__:
            after.__dict__[above.field] = before.__dict__[above.field]

    def _check_shown(self, stored: Stored[T], after: Mapping[str, Any]) -> None:
        """Raises Unreadable for a document that would keep a value that cannot be shown."""
        shape = stored.codec.shape
        if not is_whole({key: value for key, value in after.items() if shape.extra or key in shape.fields}):
            raise Unreadable(
                f"{self.resource.singular} {stored.key[:200]!r} would keep a value that cannot be shown, "
                "which another program has stored: replace or delete it"
            )

    async def copy_down(self, before: Mapping[str, Any], after: Mapping[str, Any], unit: Unit) -> None:
        """Keep right what the children of a changed parent copy of it. A child that is new then meets this write."""
        above = self.resource.parent
        copies = above.copies if above else {}
        changed = {
            name: self.stored_of_parent(after, of)
            for name, of in copies.items()
            if self.stored_of_parent(before, of) != self.stored_of_parent(after, of)
        }
        if not changed or unit.read_only or self.parent is None or not self.parent.addresses.holds(after):
            return
        fields, value = self.resource.document.model_fields, self.stored_of_parent(after)
        update = {fields[name].alias or name: new for name, new in changed.items()}
        if self.has_revision and not changed.keys() <= self.resource.hidden:
            update["revision_id"] = Binary.from_uuid(uuid4())
        await self.collection.update_many(self.addresses.filter_of_all(value), {"$set": update}, session=unit.session)
        if not self.parent_counts:
            await self.numbering_of(after).meet(unit.session)

    def _keep_immutable(
        self, stored: Stored[T], update: Mapping[str, Mapping[str, Any]], unlocked: Collection[str]
    ) -> None:
        kept = self.resource.immutable - set(unlocked)
        changed = {path.partition(".")[0] for fields in update.values() for path in fields}
        fields = (found for found in stored.codec.shape.fields.values() if found.stored in changed)
        sent = stored.codec.input_names
        wires = sorted(sent.get(found.name, found.wire) for found in fields if found.name in kept)
        if wires:
            raise Invalid.of([Issue(("body", wire), "cannot be changed once it is set", "immutable") for wire in wires])

    async def _store_update(
        self,
        raw: dict[str, Any],
        update: dict[str, dict[str, Any]],
        caller: Caller,
        unit: Unit,
        document: T | None = None,
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
            raise self._refusal(error, caller.scope, document) from None
        if written is None:
            raise LostRace
        found: dict[str, Any] = written
        return found
