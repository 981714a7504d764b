"""The whole way of a new document, readable top to bottom in `_create`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from beanie import Document, PydanticObjectId
from pymongo.errors import OperationFailure

from regesta.change import Action, Caller, Change
from regesta.errors import ProblemError
from regesta.operations import actions
from regesta.operations.etags import etag_of
from regesta.operations.gathering import Target
from regesta.operations.pages import Stored
from regesta.operations.reads import Reads
from regesta.operations.refusals import UNSTORABLE
from regesta.operations.rehearsals import refuse_taken
from regesta.operations.steps import ChangeSteps
from regesta.operations.unit import Unit
from regesta.store import now

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

    async def _create(
        self, unit: Unit, caller: Caller, parents: Sequence[str], build: Build[T], asked: str | None = None
    ) -> Written[T]:
        time = now()
        after, parent, number = await self._begun(unit, caller, parents, build, time)
        self._stamp_new(after, caller, parent, number)
        change = Change(
            Action.CREATE, self.resource.name, type(after), "", None, after, caller, unit.session, time=time
        )
        after = await self._prepared(change, unit, actions.CREATED)
        self._put_in_place(after, caller, parent)
        after.__dict__["id"] = self._new_id(after)
        raw, tag, size = self._encoded_new(after)
        change.key = self.addresses.new_key(raw, asked)
        await self._judge(change, unit)
        await self._insert(raw, size, caller, unit)
        await self._record(change, None, raw, unit, tag)
        self._announce(change, unit, actions.CREATED)
        return Written(raw, self.codec_for(raw), self.addresses, created=True, tag=tag)

    async def _begun(
        self, unit: Unit, caller: Caller, parents: Sequence[str], build: Build[T], time: datetime
    ) -> tuple[T, Mapping[str, Any], int]:
        """The new instance, its raw parent, and its number. Raises NotFound for a missing parent, whatever is sent."""
        if unit.pending is not None or not self.parent_counts or unit.read_only:
            parent = await self._parent_of(unit, caller, parents)
            after = build()
            return after, parent, await self._next_number(unit, parent, time)
        try:
            after = build()
        except ProblemError:
            await self.parent_document(caller, parents, unit.session, live=True)
            raise
        return after, *await self._counted(unit, caller, parents, time)

    async def _find_parents(self, unit: Unit, targets: Iterable[Target]) -> None:
        """Find the parents of what many callers create, by one query for all that are in one collection.

        Who is not found, or below what cannot be, is looked for again, and told, when its turn comes.
        """
        above = self.parent
        if above is None or unit.pending is None:
            return
        collections: dict[str, list[Target]] = {}
        for target in targets:
            collections.setdefault(_subject(target.caller, target.parents[:-1], above), []).append(target)
        for group in collections.values():
            caller, (*grandparents, _) = group[0].caller, group[0].parents
            with suppress(ProblemError):
                found = await above.find_all(
                    caller, grandparents, {target.parents[-1] for target in group}, unit.session
                )
                unit.pending.parents |= {
                    _subject(caller, (*grandparents, key), above): raw for key, raw in found.items()
                }

    async def _parent_of(self, unit: Unit, caller: Caller, parents: Sequence[str]) -> Mapping[str, Any]:
        """The raw parent; of many new children it is asked once, for it stays as long as the unit does."""
        if unit.pending is None or self.parent is None:
            return await self.parent_document(caller, parents, unit.session, live=True)
        subject = _subject(caller, parents, self.parent)
        if subject not in unit.pending.parents:
            if self.parent.collection.full_name in unit.pending.inserts:
                await self._send_inserts(unit)
            unit.pending.parents[subject] = await self.parent_document(caller, parents, unit.session, live=True)
        found: Mapping[str, Any] = unit.pending.parents[subject]
        return found

    async def _counted(
        self, unit: Unit, caller: Caller, parents: Sequence[str], time: datetime
    ) -> tuple[Mapping[str, Any], int]:
        """The raw parent and the number, in one write."""
        above = self.parent
        if above is None:
            return {}, 0
        wanted = {**await above.filter_at(caller, parents, unit.session), **above.rules.live}
        found = await above.collection.find_one_and_update(
            wanted, self.numbering_of({}).counting(1, time), return_document=True, session=unit.session
        )
        if found is None:
            raise above.addresses.not_found(parents[-1])
        return found, self.numbering_of(found).last_in(found)

    def _stamp_new(self, after: T, caller: Caller, parent: Mapping[str, Any], number: int) -> None:
        self._put_in_place(after, caller, parent)
        above = self.resource.parent
        if above:
            if above.sequence:
                after.__dict__[above.sequence] = number
            for name, copied in above.copies.items():
                after.__dict__[name] = self.stored_of_parent(parent, copied)

    def _put_in_place(self, after: T, caller: Caller, parent: Mapping[str, Any]) -> None:
        """Put the document into the scope and below its parent, whatever a hook says."""
        self.addresses.stamp(after, caller.scope)
        if self.resource.parent:
            after.__dict__[self.resource.parent.field] = self.stored_of_parent(parent)

    async def _next_number(self, unit: Unit, parent: Mapping[str, Any], time: datetime) -> int:
        if self.parent is None:
            return 0
        numbering = self.numbering_of(parent)
        if unit.read_only:
            return await numbering.ahead()
        if unit.pending is not None:
            unit.pending.effects += 1
            return await unit.pending.numbers.next(numbering, parent, time, unit.session)
        return await numbering.next(time, unit.session)

    def _new_id(self, after: T) -> Any:
        if after.id is not None or not self.resource.id_from_server:
            return after.id
        return PydanticObjectId()

    async def _insert(self, raw: dict[str, Any], size: int, caller: Caller, unit: Unit) -> None:
        if unit.pending is not None:
            unit.pending.insert(raw, size, self.collection, partial(self._refusal, scope=caller.scope))
            return
        try:
            if unit.read_only:
                await refuse_taken(self.collection, raw)
            else:
                await self.collection.insert_one(raw, session=unit.session)
        except REFUSED as error:
            raise self._refusal(error, caller.scope) from None


def _subject(caller: Caller, keys: Iterable[str], reads: Reads[Any]) -> str:
    """What many writes share that mean the same document of these."""
    return repr((reads.collection.full_name, caller.scope, tuple(keys)))
