"""The steps that creates, updates and deletes share: prepare, judge, record, announce."""

import copy
import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

import bson
from beanie import Document
from beanie.odm.actions import EventTypes
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError

from regesta.change import Change
from regesta.errors import Invalid, ProblemError, TooLarge, Unavailable
from regesta.hooks import Hooks
from regesta.operations import actions
from regesta.operations.etags import etag_of
from regesta.operations.events import event_of
from regesta.operations.pending import ItemFailed, NotRecorded, Told, first_failure
from regesta.operations.reads import Reads
from regesta.operations.refusals import (
    MAX_DOCUMENT,
    NOT_THERE,
    NOT_VALID,
    TOO_LARGE,
    UNSTORABLE,
    duplicate,
    not_there,
    not_valid,
    too_large,
    unstorable,
)
from regesta.operations.unit import Unit
from regesta.pacing import Pace
from regesta.resource import Resource
from regesta.store import STANDARD, Atomicity, as_problem, atomicity_of, is_whole, sendable

T = TypeVar("T", bound=Document)

logger = logging.getLogger("regesta.operations")

# A change that is stored: from which document to which, with the entity tag of that, "" where it is not known yet.
Recorded = tuple[Change[Any], Mapping[str, Any] | None, Mapping[str, Any] | None, str]


class ChangeSteps(Reads[T]):
    """What happens to a change on its way, besides the store."""

    def __init__(self, resource: Resource[T], hooks: Hooks, parent: "Reads[Any] | None") -> None:
        super().__init__(resource, parent)
        self.hooks = hooks

    @property
    def has_revision(self) -> bool:
        """Whether Beanie keeps a revision in each document."""
        return bool(self.resource.document.get_settings().use_revision)

    def _encoded_new(self, after: T) -> tuple[dict[str, Any], str, int]:
        """A new document as MongoDB will give it back, its entity tag ("" if that is not known yet), and its size.

        What is answered now is what a later read answers.

        Raises Invalid for what BSON cannot hold, TooLarge.
        """
        if self.has_revision:
            after.__dict__["revision_id"] = uuid4()
        try:
            encoded = bson.encode(self.codec.to_stored(after), codec_options=STANDARD)
        except UNSTORABLE as error:
            raise self._unstorable(error, after) from None
        if len(encoded) > MAX_DOCUMENT:
            raise TooLarge("the document does not fit into 16 MB")
        raw = bson.decode(encoded)
        # Without an id, which the driver makes then, it is not whole.
        return raw, etag_of(raw, encoded) if "_id" in raw else "", len(encoded)

    async def _prepared(self, change: Change[T], unit: Unit, events: Sequence[EventTypes]) -> Any:
        """Let hooks and Beanie's "before" actions fill the change, then validate it again if any did."""
        await self._send_for_readers(change, unit, events)
        changed = self.hooks.has("prepare_change", change.document)
        if changed:
            await unit.hook(self.hooks.prepare(change))
        subject = change.after if change.after is not None else change.before
        if subject is not None and actions.has_before(type(subject), events):
            changed |= await unit.hook(actions.run_before(subject, events))
        if changed and change.after is not None:
            change.after = self.codec.validate_again(change.after)
        return change.after

    async def _judge(self, change: Change[T], unit: Unit) -> None:
        if self.hooks.has("validate_change", change.document):
            shown = dataclasses.replace(change, before=copy.deepcopy(change.before), after=copy.deepcopy(change.after))
            await unit.hook(self.hooks.validate(shown))

    async def _record(
        self,
        change: Change[T],
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        unit: Unit,
        tag: str = "",
    ) -> str:
        """Let hooks write with the change; the new document's entity tag, "" where nobody asked for it.

        `tag` is that, where it is known already.
        """
        recorded = await self._record_each([(change, before, after, tag)], unit)
        return (change.event.revision_after or "") if recorded else ""

    async def _record_each(self, stored: Iterable[Recorded], unit: Unit) -> bool:
        """As `_record`, for changes that are written together; whether that was done here and now."""
        changes: list[Change[Any]] = []
        for change, before, after, tag in stored:
            codec = self.codec_for(before or after or {})
            change.describe = partial(event_of, codec=codec, before=before, after=after, tag=tag)
            if not unit.validate_only and self.hooks.records(change.document):
                changes.append(change)
        if unit.pending is not None:
            unit.pending.changes += changes
        elif changes:
            await self._record_all(changes, unit)
            return True
        return False

    async def _record_all(self, changes: Sequence[Change[Any]], unit: Unit) -> None:
        pace = Pace()
        try:
            for change in changes:
                _ = change.event  # made now, one by one: those of a batch take long
                await pace.rest()
            await unit.hook(self.hooks.record(changes, unit.session))
        except PyMongoError as error:
            if error.has_error_label("TransientTransactionError") or as_problem(error):
                raise
            if "too large" in str(error):
                raise too_large() from error
            logger.exception("recording failed for %s %s", changes[0].resource, changes[0].key)
            raise Unavailable("the change could not be recorded; nothing was written", code="NOT_RECORDED") from error
        except UNSTORABLE as error:
            raise unstorable(error) from error
        except TooLarge:
            raise
        except ProblemError as error:
            raise Unavailable("the change could not be recorded; nothing was written", code="NOT_RECORDED") from error

    # what many writes hold back

    async def send(self, unit: Unit) -> None:
        """Send all that the unit holds back. Raises ItemFailed, or NotRecorded."""
        if unit.pending is None:
            return
        await self._send_inserts(unit)
        await unit.pending.numbers.store(unit.session)
        if changes := unit.pending.taken_changes():
            try:
                await self._record_all(changes, unit)
            except ProblemError as error:
                raise NotRecorded(error) from None
        unit.pending.release()

    async def _send_inserts(self, unit: Unit) -> None:
        """Before anything is looked for, which may be one of them."""
        for inserts in unit.pending.taken_inserts() if unit.pending is not None else ():
            try:
                await inserts[0].collection.insert_many([insert.raw for insert in inserts], session=unit.session)
            except BulkWriteError as error:
                if as_problem(error):
                    raise
                position, refused = first_failure(error)
                insert = inserts[position]
                raise ItemFailed(insert.index, insert.meaning(refused)) from None

    def _unstorable(self, error: Exception, document: T | None) -> ProblemError:
        """What BSON's refusal of a document means to a client; it names the fields of a document that is known."""
        refusal = unstorable(error)
        if document is None or not isinstance(refusal, Invalid):
            return refusal
        return self.codec.not_storable(document)

    def _refusal(self, error: Exception, scope: Mapping[str, Any], document: T | None = None) -> Exception:
        """What MongoDB's or BSON's refusal of a document means to a client; other errors as they are."""
        if isinstance(error, DuplicateKeyError):
            return duplicate(error, self.codec, self.resource, scope)
        if isinstance(error, UNSTORABLE):
            return self._unstorable(error, document)
        if isinstance(error, OperationFailure):
            if error.code in TOO_LARGE:
                return too_large()
            if error.code == NOT_VALID:
                return not_valid()
            if error.code in NOT_THERE:
                return not_there(self.resource)
        return error

    async def _send_for_readers(self, change: Change[T], unit: Unit, events: Sequence[EventTypes]) -> None:
        """Send what is held back where a hook may look for it. Those that are not `async` cannot."""
        if unit.pending is not None and (
            self.hooks.may_read("prepare_change", change)
            or self.hooks.may_read("validate_change", change)
            or actions.may_read(change.document, events)
        ):
            await self.send(unit)

    def _announce(self, change: Change[T], unit: Unit, events: Sequence[EventTypes]) -> None:
        """What happens after the commit: Beanie's "after" actions, then observers. Neither can fail the write."""
        subject = change.after if change.after is not None else change.before
        observed = self.hooks.has("audit_event")
        if subject is None:
            return
        document, seconds = type(subject), self.resource.timeout
        act = partial(actions.run_after, subject, events) if actions.has_after(document, events) else None
        if not (observed or act):
            return
        told = Told(change) if observed else None
        if told is not None and unit.pending is not None:
            unit.pending.told.append(told)

        async def after_commit() -> None:
            if act is not None:
                await self.hooks.attempt(document.__name__, "after_event", act(), seconds)
            if told is not None:
                await self.hooks.observe(told.event, seconds)

        unit.after_commit.append(after_commit)

    async def _guard(self, raw: Mapping[str, Any], unit: Unit) -> dict[str, Any]:
        """Exactly the document that was read: by its revision, else by all of it where no transaction sees to that."""
        identity = raw["_id"]
        found = {"_id": identity if is_whole(identity) else sendable({"$eq": identity})}
        if raw.get("revision_id") is not None:
            return found | {"revision_id": raw["revision_id"]}
        if unit.session is None and await atomicity_of(self.collection) is not Atomicity.LOCK:
            return found | {"$expr": {"$eq": ["$$ROOT", {"$literal": sendable(raw)}]}}
        return found
