"""The steps that creates, updates and deletes share: prepare, judge, record, announce."""

import copy
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

import bson
from beanie import Document
from beanie.odm.actions import EventTypes
from pymongo.errors import PyMongoError

from regesta.change import Change
from regesta.errors import ProblemError, TooLarge, Unavailable
from regesta.hooks import Hooks
from regesta.operations import actions
from regesta.operations.etags import STANDARD
from regesta.operations.events import event_of
from regesta.operations.reads import Reads
from regesta.operations.refusals import MAX_DOCUMENT, UNSTORABLE, too_large, unstorable
from regesta.operations.unit import Unit
from regesta.resource import Resource
from regesta.store import Atomicity, atomicity_of, unavailable

T = TypeVar("T", bound=Document)

logger = logging.getLogger("regesta.operations")


class ChangeSteps(Reads[T]):
    """What happens to a change on its way, besides the store."""

    def __init__(self, resource: Resource[T], hooks: Hooks, parent: "Reads[Any] | None") -> None:
        super().__init__(resource, parent)
        self.hooks = hooks

    @property
    def has_revision(self) -> bool:
        """Whether Beanie keeps a revision in each document."""
        return bool(self.resource.document.get_settings().use_revision)

    def _encoded_new(self, after: T) -> dict[str, Any]:
        """A new document as MongoDB will give it back: what is answered now is what a later read answers.

        Raises Invalid for what BSON cannot hold, TooLarge.
        """
        if self.has_revision:
            after.__dict__["revision_id"] = uuid4()
        try:
            encoded = bson.encode(self.codec.to_stored(after), codec_options=STANDARD)
        except UNSTORABLE as error:
            raise unstorable(error) from None
        if len(encoded) > MAX_DOCUMENT:
            raise TooLarge("the document does not fit into 16 MB")
        return bson.decode(encoded)

    async def _prepared(self, change: Change[T], unit: Unit, events: Sequence[EventTypes]) -> Any:
        """Let hooks and Beanie's "before" actions fill the change, then validate it again if any did."""
        changed = self.hooks.has("prepare_change", change.document)
        if changed:
            await unit.hook(self.hooks.call("prepare_change", document=change.document, change=change))
        subject = change.after if change.after is not None else change.before
        if subject is not None:
            changed |= await unit.hook(actions.run_before(subject, events))
        if changed and change.after is not None:
            change.after = self.codec.validate_again(change.after)
        return change.after

    async def _judge(self, change: Change[T], unit: Unit) -> None:
        if self.hooks.has("validate_change", change.document):
            shown = dataclasses.replace(change, before=copy.deepcopy(change.before), after=copy.deepcopy(change.after))
            await unit.hook(self.hooks.validate(shown))

    async def _record(
        self, change: Change[T], before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, unit: Unit
    ) -> str:
        """Let hooks write with the change; the new document's entity tag, "" where nobody asked for it."""
        change.describe = lambda: event_of(change, self.codec_for(before or after or {}), before, after)
        if not self.hooks.has("record_change", change.document):
            return ""
        try:
            await unit.hook(
                self.hooks.call("record_change", document=change.document, change=change, session=unit.session)
            )
        except PyMongoError as error:
            if error.has_error_label("TransientTransactionError") or unavailable(error):
                raise
            if "too large" in str(error):
                raise too_large() from error
            logger.exception("record_change failed for %s %s", change.resource, change.key)
            raise Unavailable("the change could not be recorded; nothing was written", code="NOT_RECORDED") from error
        except UNSTORABLE as error:
            raise unstorable(error) from error
        except TooLarge:
            raise
        except ProblemError as error:
            raise Unavailable("the change could not be recorded; nothing was written", code="NOT_RECORDED") from error
        return change.event.revision_after or ""

    def _announce(self, change: Change[T], unit: Unit, events: Sequence[EventTypes]) -> None:
        """What happens after the commit: Beanie's "after" actions, then observers. Neither can fail the write."""
        subject = change.after if change.after is not None else change.before
        observed = self.hooks.has("audit_event")
        if subject is None or not (observed or actions.has_after(type(subject), events)):
            return

        async def after_commit() -> None:
            try:
                await actions.run_after(subject, events)
            except Exception:  # noqa: BLE001 - the write stands, whatever an "after" action raises
                self.hooks.count_failure(type(subject).__name__, "after_event")
            if observed:
                await self.hooks.observe(change.event)

        unit.after_commit.append(after_commit)

    async def _guard(self, raw: Mapping[str, Any], unit: Unit) -> dict[str, Any]:
        """Exactly the document that was read: by its revision, else by all of it where no transaction sees to that."""
        found = {"_id": raw["_id"]}
        if raw.get("revision_id") is not None:
            return found | {"revision_id": raw["revision_id"]}
        if unit.session is None and await atomicity_of(self.collection) is not Atomicity.LOCK:
            return found | {"$expr": {"$eq": ["$$ROOT", {"$literal": raw}]}}
        return found
