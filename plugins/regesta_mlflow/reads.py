"""What is looked up: a model, a version, a version by alias. One round trip for a version, two for models."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from regesta import Caller, Operations, Registry
from regesta.int64 import is_int64
from regesta.names import spellings
from regesta.operations import bounded
from regesta.store import Atomicity, atomicity_of, read_rows
from regesta_mlflow.errors import Code, Refusal, unknown_alias, unknown_model, unknown_version
from regesta_mlflow.wire import MODEL_FIELDS, VERSION_FIELDS, model_wire
from regesta_models import COUNTER, Model, Version

# Versions that are shown with one page of models.
MOST_BELOW = 20_000

Raw = dict[str, Any]
Filter = dict[str, Any]


class Reads:
    """Looks models and versions up, for one caller at a time."""

    def __init__(self, registry: Registry) -> None:
        self.models: Operations[Model] = registry["models"]
        self.versions: Operations[Version] = registry["versions"]
        self._naive: dict[str, tuple[Any, Any]] = {}

    def all_of(self, operations: Operations[Any], caller: Caller) -> Filter:
        """What every document that the caller may see has in common."""
        scope = operations.addresses.scope_filter(caller.scope)
        return {**scope, **operations.addresses.class_filter(), **operations.rules.live}

    async def model(self, caller: Caller, name: str) -> Raw:
        """The raw model of this name. Raises Refusal, Unavailable."""
        found = await self._one(
            self.models, {**self.all_of(self.models, caller), "name": {"$in": spellings(name)}}, MODEL_FIELDS
        )
        if found is None:
            raise unknown_model(name)
        return found

    async def version(self, caller: Caller, name: str, number: int) -> Raw:
        """The raw version of this number. Raises Refusal, Unavailable."""
        found = None
        if is_int64(number):
            wanted = {**self.all_of(self.versions, caller), "model": {"$in": spellings(name)}, "number": number}
            found = await self._one(self.versions, wanted, VERSION_FIELDS)
        if found is None:
            raise unknown_version(name, number)
        return found

    async def aliased(self, caller: Caller, name: str, alias: str) -> Raw:
        """The raw version that an alias stands for; the highest for `latest`. Raises Refusal, Unavailable."""
        below = {**self.all_of(self.versions, caller), "model": {"$in": spellings(name)}}
        newest = alias.lower() == "latest"
        if newest:
            found = await self._one(self.versions, below, VERSION_FIELDS, sort=[("number", -1)])
        else:
            found = await self._one(self.versions, {**below, "aliases": alias}, VERSION_FIELDS)
        if found is not None:
            return found
        await self.model(caller, name)
        if newest:
            raise Refusal(f"Latest version not found for model {name}.", Code.RESOURCE_DOES_NOT_EXIST)
        raise unknown_alias(alias)

    async def shown(self, caller: Caller, models: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Models with their latest versions and aliases: one query for all of them. Raises Unavailable.

        If the versions are too large together, the first of the models, one at least.
        """
        having = [raw["_id"] for raw in models if raw.get(COUNTER)]
        if not having:
            return [model_wire(raw, (), ()) for raw in models]
        below_them = {**self.all_of(self.versions, caller), "model_id": {"$in": having}}
        either = [{**below_them, "leads": True}, {**below_them, "aliases": {"$gt": ""}}]
        async with bounded(self.versions.resource.timeout):
            collection = await self.collection(self.versions)
            rows = await read_rows(collection, {"$or": either}, count=MOST_BELOW, projection=VERSION_FIELDS)
        if rows.more and len(models) > 1:
            return await self.shown(caller, models[: len(models) // 2])
        found = rows.documents
        below: defaultdict[Any, list[Raw]] = defaultdict(list)
        for one in found:
            below[one["model_id"]].append(one)
        return [
            model_wire(
                raw,
                [one for one in below[raw["_id"]] if one.get("leads")],
                [one for one in below[raw["_id"]] if one.get("aliases")],
            )
            for raw in models
        ]

    async def latest(self, caller: Caller, name: str, stages: Sequence[str]) -> list[Raw]:
        """The highest version of each of these stages. Raises Refusal, Unavailable."""
        model = await self.model(caller, name)
        leading = {**self.all_of(self.versions, caller), "model_id": model["_id"], "leads": True}
        async with bounded(self.versions.resource.timeout):
            collection = await self.collection(self.versions)
            found = await collection.find({**leading, "stage": {"$in": list(stages)}}, VERSION_FIELDS).to_list(None)
        return sorted(found, key=lambda raw: int(raw["number"]))

    async def collection(self, operations: Operations[Any]) -> Any:
        """The collection, whose dates come without a zone: that is much cheaper, and all of them are in UTC."""
        found = operations.collection
        if await atomicity_of(found) is Atomicity.LOCK:  # the memory store's cannot be asked so
            return found
        if self._naive.get(operations.resource.name, (None,))[0] is not found:
            options = found.codec_options.with_options(tz_aware=False)
            self._naive[operations.resource.name] = (found, found.with_options(codec_options=options))
        return self._naive[operations.resource.name][1]

    async def _one(
        self, operations: Operations[Any], wanted: Filter, fields: Mapping[str, int], **how: Any
    ) -> Raw | None:
        async with bounded(operations.resource.timeout):
            found: Raw | None = await (await self.collection(operations)).find_one(wanted, fields, **how)
        return found
