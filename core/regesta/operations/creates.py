"""The whole way of a new document, readable top to bottom in `_create`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from beanie import Document, PydanticObjectId
from pymongo.errors import OperationFailure

from regesta.change import Action, Caller, Change
from regesta.operations import actions, sequences
from regesta.operations.etags import etag_of
from regesta.operations.reads import Stored
from regesta.operations.refusals import UNSTORABLE
from regesta.operations.rehearsals import refuse_taken
from regesta.operations.steps import ChangeSteps
from regesta.operations.unit import Unit

T = TypeVar("T", bound=Document)

Build = Callable[[], T]

REFUSED = (OperationFailure, *UNSTORABLE)


@dataclass(frozen=True, slots=True)
class Written(Stored[T]):
    """A stored document after a write; `created` where it was not there before."""

    created: bool = False
    tag: str = ""

    @property
    def etag(self) -> str:
        """Its entity tag, without quotes; not computed again where the audit event has it."""
        return self.tag or etag_of(self.raw)


class Creates(ChangeSteps[T]):
    """The creating half of a resource's writes."""

    async def _create(self, unit: Unit, caller: Caller, parents: Sequence[str], build: Build[T]) -> Written[T]:
        parent = await self._parent_of(unit, caller, parents)
        after = build()
        await self._stamp_new(after, caller, parent, unit)
        change = Change(Action.CREATE, self.resource.name, type(after), "", None, after, caller, unit.session)
        after = await self._prepared(change, unit, actions.CREATED)
        after.__dict__["id"] = self._new_id(after)
        raw, tag = self._encoded_new(after)
        change.key = self.addresses.new_key(raw)
        await self._judge(change, unit)
        await self._insert(raw, caller, unit)
        await self._record(change, None, raw, unit, tag)
        self._announce(change, unit, actions.CREATED)
        return Written(raw, self.codec_for(raw), self.addresses, created=True, tag=tag)

    async def _parent_of(self, unit: Unit, caller: Caller, parents: Sequence[str]) -> Mapping[str, Any]:
        """The raw parent; of many new children it is asked once, for it stays as long as the unit does."""
        if unit.pending is None or self.parent is None:
            return await self.parent_document(caller, parents, unit.session, live=True)
        subject = repr((caller.scope, parents))
        if subject not in unit.pending.parents:
            unit.pending.parents[subject] = await self.parent_document(caller, parents, unit.session, live=True)
        found: Mapping[str, Any] = unit.pending.parents[subject]
        return found

    async def _stamp_new(self, after: T, caller: Caller, parent: Mapping[str, Any], unit: Unit) -> None:
        self.addresses.stamp(after, caller.scope)
        above = self.resource.parent
        if above:
            value = after.__dict__[above.field] = self.stored_of_parent(parent)
            number = await self._next_number(value, unit)
            if above.sequence:
                after.__dict__[above.sequence] = number
            for name, copied in above.copies.items():
                after.__dict__[name] = self.stored_of_parent(parent, copied)

    async def _next_number(self, parent: Any, unit: Unit) -> int:
        if unit.read_only:
            return await sequences.number_ahead(self.collection, parent)
        if unit.pending is not None:
            unit.pending.effects += 1
            return await unit.pending.numbers.next(self.collection, parent, unit.session)
        return await sequences.next_number(self.collection, parent, unit.session)

    def _new_id(self, after: T) -> Any:
        if after.id is not None or not self.resource.id_from_server:
            return after.id
        return PydanticObjectId()

    async def _insert(self, raw: dict[str, Any], caller: Caller, unit: Unit) -> None:
        if unit.pending is not None:
            unit.pending.insert(raw, caller.scope)
            return
        try:
            if unit.read_only:
                await refuse_taken(self.collection, raw)
            else:
                await self.collection.insert_one(raw, session=unit.session)
        except REFUSED as error:
            raise self._refusal(error, caller.scope) from None
