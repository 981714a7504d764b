"""Registered models: create, describe, rename, delete, tags."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from regesta import Caller, Duplicate, NotFound, Registry, Stored, Unit, Written
from regesta_mlflow.calls import Call, Route, now
from regesta_mlflow.errors import Code, Refusal, unknown_model
from regesta_mlflow.reads import Reads
from regesta_mlflow.rules import model_name, new_model_name, stage_of, tag_key, tag_value, tags_of
from regesta_mlflow.searches import PROMPT, Searches
from regesta_mlflow.wire import version_wire
from regesta_models import Kind, Model, Registered, Stage, Tag, rename

Edit = Callable[[Stored[Any], Any], Any]
NOUNS = {Kind.PROMPT: "prompt", Kind.MODEL: "registered model"}


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Whether tags say that it is a prompt."""
    return tags.get(PROMPT, "").lower() == "true"


def kind_of(tags: Mapping[str, str]) -> Kind:
    """What tags say that it is."""
    return Kind.PROMPT if is_prompt(tags) else Kind.MODEL


class ModelCalls:
    """What clients do with registered models."""

    def __init__(self, registry: Registry, reads: Reads, searches: Searches) -> None:
        self._registry = registry
        self._reads = reads
        self._searches = searches
        self._models = registry["models"]
        self._versions = registry["versions"]

    def routes(self) -> dict[tuple[str, str], Route]:
        """By verb and path."""
        latest = Route(self.latest_versions, "models", "get")
        return {
            ("POST", "/registered-models/create"): Route(self.create, "models", "create"),
            ("GET", "/registered-models/get"): Route(self.get, "models", "get"),
            ("PATCH", "/registered-models/update"): Route(self.update, "models", "patch"),
            ("POST", "/registered-models/rename"): Route(self.rename, "models", "rename"),
            ("DELETE", "/registered-models/delete"): Route(self.delete, "models", "delete"),
            ("GET", "/registered-models/search"): Route(self.search, "models", "list"),
            ("POST", "/registered-models/get-latest-versions"): latest,
            ("GET", "/registered-models/get-latest-versions"): latest,
            ("POST", "/registered-models/set-tag"): Route(self.set_tag, "models", "patch"),
            ("DELETE", "/registered-models/delete-tag"): Route(self.delete_tag, "models", "patch"),
        }

    async def create(self, call: Call) -> dict[str, Any]:
        """A new model, or a prompt."""
        name, description = call.sent.required("name"), call.sent.text("description")
        call.sent.objects("tags")
        name, tags = new_model_name(call.sent), tags_of(call.sent)
        kind = kind_of(tags)
        values = {"name": name, "description": description, "tags": listed(tags), "kind": kind}
        try:
            written = await self._models.create(call.caller, (), lambda: self._models.codec.from_values(values))
        except Duplicate:
            raise await self._taken(call.caller, name, kind) from None
        return await self._answer(call.caller, written)

    async def get(self, call: Call) -> dict[str, Any]:
        """One model."""
        raw = await self._reads.model(call.caller, model_name(call.sent))
        return {"registered_model": (await self._reads.shown(call.caller, [raw]))[0]}

    async def update(self, call: Call) -> dict[str, Any]:
        """Another description, or none: these clients cannot say "leave it"."""
        description, name, time = call.sent.text("description"), model_name(call.sent), now()

        def edit(_: Stored[Model], model: Model) -> Model:
            model.description, model.revised_at = description, time
            return model

        return await self._answer(call.caller, await self._edited(call.caller, name, edit))

    async def rename(self, call: Call) -> dict[str, Any]:
        """Another name; versions, tags and aliases stay with the model."""
        name, new_name, time = model_name(call.sent), new_model_name(call.sent, "new_name"), now()

        def work(unit: Unit) -> Awaitable[Written[Any]]:
            return rename(self._registry, call.caller, name, new_name, unit, time=time)

        try:
            written = await self._registry.run("models", work, meets=(name,))
        except NotFound:
            raise unknown_model(name) from None
        except Duplicate:
            raise _exists(new_name) from None
        return await self._answer(call.caller, written)

    async def delete(self, call: Call) -> dict[str, Any]:
        """No model any more, with all its versions."""
        name = model_name(call.sent)
        try:
            await self._models.delete(call.caller, (name,), cascade=True)
        except NotFound:
            raise unknown_model(name) from None
        return {}

    async def search(self, call: Call) -> dict[str, Any]:
        """A page of models."""
        return await self._searches.models(call.caller, call.sent)

    async def latest_versions(self, call: Call) -> dict[str, Any]:
        """The highest version of each stage, or of some."""
        stages, name = call.sent.texts("stages"), model_name(call.sent)
        wanted = [stage_of(stage) for stage in stages] or list(Stage)
        found = await self._reads.latest(call.caller, name, wanted)
        return {"model_versions": [version_wire(raw) for raw in found]} if found else {}

    async def set_tag(self, call: Call) -> dict[str, Any]:
        """Another value of a tag, or a new tag."""
        key, value = call.sent.required("key"), call.sent.text("value")
        name, edit = model_name(call.sent), tagging(tag_key(key), tag_value(value))
        await self._edited(call.caller, name, edit)
        return {}

    async def delete_tag(self, call: Call) -> dict[str, Any]:
        """A tag less."""
        key = call.sent.required("key")
        name, edit = model_name(call.sent), untagging(tag_key(key))
        await self._edited(call.caller, name, edit)
        return {}

    async def _edited(self, caller: Caller, name: str, edit: Edit) -> Written[Any]:
        try:
            # A tag can make a prompt of a model.
            return await self._models.update(caller, (name,), edit, unlocked=("kind",))
        except NotFound:
            raise unknown_model(name) from None

    async def _answer(self, caller: Caller, written: Written[Any]) -> dict[str, Any]:
        return {"registered_model": (await self._reads.shown(caller, [written.raw]))[0]}

    async def _taken(self, caller: Caller, name: str, kind: Kind) -> Refusal:
        there = Kind((await self._reads.model(caller, name)).get("kind", Kind.MODEL))
        if there is kind:
            return _exists(name, kind)
        return Refusal(
            f"Tried to create a {NOUNS[kind]} with name {name!r}, but the name is already taken by a {NOUNS[there]}.",
            Code.RESOURCE_ALREADY_EXISTS,
        )


def tagging(key: str, value: str) -> Edit:
    """The edit that sets a tag."""

    def edit(_: Stored[Any], document: Registered) -> Registered:
        kept = [Tag(key=tag.key, value=value if tag.key == key else tag.value) for tag in document.tags]
        document.tags = kept if key in {tag.key for tag in kept} else [*kept, Tag(key=key, value=value)]
        return document

    return edit


def untagging(key: str) -> Edit:
    """The edit that takes a tag away, where it is there."""

    def edit(_: Stored[Any], document: Registered) -> Registered:
        document.tags = [tag for tag in document.tags if tag.key != key]
        return document

    return edit


def listed(tags: Mapping[str, str]) -> list[Tag]:
    """Tags as documents have them."""
    return [Tag(key=key, value=value) for key, value in tags.items()]


def _exists(name: str, kind: Kind = Kind.MODEL) -> Refusal:
    noun = "Prompt" if kind is Kind.PROMPT else "Registered Model"
    return Refusal(f"{noun} (name={name}) already exists", Code.RESOURCE_ALREADY_EXISTS)
