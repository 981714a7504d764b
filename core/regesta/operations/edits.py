"""A change of a stored document by what a body says: what the body does not change stays as it is stored."""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from beanie import Document
from pydantic import BaseModel

from regesta.errors import Invalid
from regesta.operations.kept import kept, same
from regesta.operations.origins import Origin, traced
from regesta.operations.pages import Stored
from regesta.operations.patches import Patch
from regesta.pacing import Pace
from regesta.schemas import ModelReader, dumps

T = TypeVar("T", bound=Document)


@dataclass(frozen=True, slots=True)
class BodyEdit(Generic[T]):
    """A change of a stored document by fields that a client sends, which sees it as `shown`."""

    stored: Stored[T]
    document: T
    shown: Mapping[str, Any]
    reader: ModelReader[BaseModel] | None
    patch: Patch | None = None

    async def made(self, sent: Mapping[str, Any], reset: Collection[str]) -> T:
        """The document with what is sent; those of `reset` (Python names) that are not go back to their defaults.

        What is sent as it is shown stays as it is stored. Raises Invalid.
        """
        codec = self.stored.codec
        if self.reader:
            read = self.reader.read_some if self.patch else self.reader.read
            after = codec.with_values(self.document, read(dumps(sent)), reset)
            return await self._with_kept(after, sent.keys())
        hidden = {codec.input_names.get(name) for name in codec.hidden}
        visible = sent.keys() & self.shown.keys() - hidden
        alike = {name for name in visible if dumps(sent[name]) == dumps(self.shown[name])}
        changed = {name: value for name, value in sent.items() if name not in alike}
        reset = set(reset) - {codec.inputs.get(name, name) for name in alike}
        return await self._with_kept(codec.assembled(self.document, changed, reset, self.shown), changed.keys())

    async def _with_kept(self, after: T, names: AbstractSet[str]) -> T:
        """The changed document; what was not changed within these fields (wire names) is as it is stored."""
        codec, raw = self.stored.codec, self.stored.raw
        keys = {name: codec.stored_names.get(codec.inputs.get(name, name), name) for name in names}
        read = self.patch.read() if self.patch else ()
        if not (read or any(isinstance(raw.get(key), dict | list) for key in keys.values())):
            return after
        pace = Pace()
        before = codec.stored_before(raw, self._as_shown({*names, *read}))
        await pace.rest()
        encoded = codec.to_stored(after)
        await pace.rest()
        traces = await self._traces(before, {*names, *read})
        found = {}
        for name, key in keys.items():
            if key not in encoded:
                continue
            origin = Origin(before[key], raw[key]) if key in before and isinstance(raw.get(key), dict | list) else None
            await pace.rest()
            value = kept(encoded[key], origin, traces.get(name))
            await pace.rest()
            if not same(value, encoded[key]):
                found[key] = value
        await pace.rest()
        return codec.with_stored(after, encoded, found) if found else after

    def _as_shown(self, names: AbstractSet[str]) -> T:
        """The document as it would be after these fields were sent as they are shown."""
        codec = self.stored.codec
        shown = {name: self.shown[name] for name in names if name in self.shown}
        if not self.reader:
            return codec.with_sent(self.document, shown)
        try:
            return codec.with_values(self.document, self.reader.read_some(dumps(shown)), ())
        except Invalid:
            return self.document

    async def _traces(self, before: Mapping[str, Any], names: AbstractSet[str]) -> Mapping[str, Any]:
        if self.patch is None:
            return {}
        codec, raw, origins, pace = self.stored.codec, self.stored.raw, {}, Pace()
        for name in names & self.shown.keys():
            key = codec.stored_names.get(codec.inputs.get(name, name), name)
            origins[name] = self.shown[name]
            if key in before and key in raw:
                origins[name] = traced(self.shown[name], Origin(before[key], raw[key]), codec.shape.fields.get(key))
        await pace.rest()
        return self.patch.trace(origins)
