"""Model versions: create, describe, move between stages, delete, tags, aliases."""

import re
from typing import Any

from regesta import Caller, NotFound, Registry, Stored, Unit, Written
from regesta.int64 import is_int64
from regesta_mlflow.calls import Call, Route, now
from regesta_mlflow.errors import Refusal, unknown_model, unknown_version
from regesta_mlflow.models import Edit, is_prompt, listed, tagging, untagging
from regesta_mlflow.reads import Reads
from regesta_mlflow.rules import (
    Tags,
    alias_name,
    check_source,
    is_local,
    model_name,
    new_alias,
    stage_of,
    tag_key,
    tag_value,
    tags_of,
    version_number,
)
from regesta_mlflow.searches import Searches
from regesta_mlflow.sent import Sent
from regesta_mlflow.wire import files_of, version_wire
from regesta_models import Aliases, Foreign, Run, Stage, Version

LONGEST_PROMPT = 100_000
PROMPT_TEXT = "mlflow.prompt.text"
ACTIVE = frozenset({Stage.STAGING, Stage.PRODUCTION})

# `models:/name/3`, `models:/name@alias`, `models:/name/Staging`; `models:/m-...` is a model that some run logged.
_REFERENCE = re.compile(r"models:/(?!m-[^/@]*\Z)([^/]+)/([^/@]+)\Z|models:/(?!m-[^/@]*\Z)([^/]+)@([^/@]+)\Z")


class VersionCalls:
    """What clients do with versions."""

    def __init__(self, registry: Registry, reads: Reads, searches: Searches, *, local_sources: bool) -> None:
        self._registry = registry
        self._reads = reads
        self._searches = searches
        self._versions = registry["versions"]
        self._aliases = Aliases(registry)
        self._local_sources = local_sources

    def routes(self) -> dict[tuple[str, str], Route]:
        """By verb and path."""
        return {
            ("POST", "/model-versions/create"): Route(self.create, "versions", "create"),
            ("GET", "/model-versions/get"): Route(self.get, "versions", "get"),
            ("PATCH", "/model-versions/update"): Route(self.update, "versions", "patch"),
            ("DELETE", "/model-versions/delete"): Route(self.delete, "versions", "delete"),
            ("GET", "/model-versions/search"): Route(self.search, "versions", "list"),
            ("GET", "/model-versions/get-download-uri"): Route(self.download_uri, "versions", "get"),
            ("POST", "/model-versions/transition-stage"): Route(self.transition, "versions", "patch"),
            ("POST", "/model-versions/set-tag"): Route(self.set_tag, "versions", "patch"),
            ("DELETE", "/model-versions/delete-tag"): Route(self.delete_tag, "versions", "patch"),
            ("POST", "/registered-models/alias"): Route(self.set_alias, "versions", "set_alias"),
            ("DELETE", "/registered-models/alias"): Route(self.delete_alias, "versions", "delete_alias"),
            ("GET", "/registered-models/alias"): Route(self.get_by_alias, "versions", "get_alias"),
        }

    async def create(self, call: Call) -> dict[str, Any]:
        """A new version, which is ready at once."""
        sent = call.sent
        sent.required("name")
        source, run = sent.required("source"), Run(id=sent.text("run_id") or None, link=sent.text("run_link") or None)
        description, logged_model = sent.text("description"), sent.text("model_id") or None
        sent.objects("tags")
        name, tags = model_name(sent), _tags_of_version(sent)
        uri, foreign = await self._where(call.caller, source, run, prompt=is_prompt(tags))
        foreign.logged_model = logged_model
        values = {
            "description": description,
            "source": uri,
            "run": run if run.id or run.link else None,
            "tags": listed(tags),
            "foreign": foreign if foreign.model_dump(exclude_none=True) else None,
            # The server sets these.
            "model_id": "0" * 24,
            "number": 0,
        }
        try:
            written = await self._versions.create(
                call.caller, (name,), lambda: self._versions.codec.from_values(values)
            )
        except NotFound:
            raise unknown_model(name) from None
        return {"model_version": version_wire(written.raw)}

    async def get(self, call: Call) -> dict[str, Any]:
        """One version."""
        name, number = _address(call.sent)
        return {"model_version": version_wire(await self._reads.version(call.caller, name, number))}

    async def download_uri(self, call: Call) -> dict[str, Any]:
        """Where a version's files are."""
        name, number = _address(call.sent)
        return {"artifact_uri": files_of(await self._reads.version(call.caller, name, number))}

    async def update(self, call: Call) -> dict[str, Any]:
        """Another description, or none."""
        description, time = call.sent.text("description"), now()

        def edit(_: Stored[Version], version: Version) -> Version:
            version.description, version.revised_at = description, time
            return version

        return {"model_version": version_wire((await self._edited(call, edit)).raw)}

    async def delete(self, call: Call) -> dict[str, Any]:
        """A version less, and the aliases that stand for it."""
        name, number = _address(call.sent)

        async def work(unit: Unit) -> None:
            stored = await self._versions.get(call.caller, (name, str(number)), unit.session)
            for alias in stored.raw["aliases"]:
                await self._aliases.delete(call.caller, name, alias, unit=unit)
            await self._versions.delete(call.caller, (name, str(number)), unit=unit)

        try:
            await self._registry.run("versions", work, meets=(str(call.caller.scope), name))
        except NotFound:
            raise unknown_version(name, number) from None
        return {}

    async def search(self, call: Call) -> dict[str, Any]:
        """A page of versions."""
        return await self._searches.versions(call.caller, call.sent)

    async def transition(self, call: Call) -> dict[str, Any]:
        """Another stage; all others of that stage go to the archive, where that is asked for."""
        text, archive = call.sent.required("stage"), call.sent.flag("archive_existing_versions")
        name, number = _address(call.sent)
        stage, time = Stage(stage_of(text)), now()
        if archive and stage not in ACTIVE:
            raise Refusal(
                f"Model version transition cannot archive existing model versions because '{stage}' is not an Active "
                "stage: Staging and Production are"
            )

        async def work(unit: Unit) -> Written[Any]:
            moved = await self._versions.update(call.caller, (name, str(number)), _to(stage, time), unit=unit)
            if archive:
                others = {"model_id": moved.raw["model_id"], "stage": stage.value, "number": {"$ne": number}}
                found = self._versions.collection.find(others, {"number": 1}, session=unit.session)
                for other in await found.to_list(None):
                    keys = (name, str(other["number"]))
                    await self._versions.update(call.caller, keys, _to(Stage.ARCHIVED, time), unit=unit)
            return moved

        try:
            moved = await self._registry.run("versions", work, meets=(str(call.caller.scope), name))
        except NotFound:
            raise unknown_version(name, number) from None
        return {"model_version": version_wire(moved.raw)}

    async def set_tag(self, call: Call) -> dict[str, Any]:
        """Another value of a tag, or a new tag."""
        key, value = call.sent.required("key"), call.sent.text("value")
        model_name(call.sent)
        await self._edited(call, tagging(tag_key(key), tag_value(value)))
        return {}

    async def delete_tag(self, call: Call) -> dict[str, Any]:
        """A tag less."""
        key = call.sent.required("key")
        model_name(call.sent)
        await self._edited(call, untagging(tag_key(key)))
        return {}

    async def set_alias(self, call: Call) -> dict[str, Any]:
        """An alias, or another version that it stands for."""
        alias = new_alias(call.sent)
        name, number = _address(call.sent)
        try:
            await self._aliases.set(call.caller, name, alias, number)
        except NotFound:
            await self._reads.model(call.caller, name)
            raise unknown_version(name, number) from None
        return {}

    async def delete_alias(self, call: Call) -> dict[str, Any]:
        """An alias less."""
        name, alias = model_name(call.sent), alias_name(call.sent)
        try:
            await self._aliases.delete(call.caller, name, alias)
        except NotFound:
            await self._reads.model(call.caller, name)
        return {}

    async def get_by_alias(self, call: Call) -> dict[str, Any]:
        """The version that an alias stands for."""
        call.sent.required("alias")
        name, alias = model_name(call.sent), alias_name(call.sent)
        return {"model_version": version_wire(await self._reads.aliased(call.caller, name, alias))}

    async def _edited(self, call: Call, edit: Edit) -> Written[Any]:
        name, number = _address(call.sent)
        try:
            return await self._versions.update(call.caller, (name, str(number)), edit)
        except NotFound:
            raise unknown_version(name, number) from None

    async def _where(self, caller: Caller, source: str, run: Run, *, prompt: bool) -> tuple[str | None, Foreign]:
        """Where a new version's files are, as a URI, and what is none. Raises Refusal for what cannot be."""
        match = _REFERENCE.match(source)
        if match:
            return await self._copied(caller, match, run)
        if prompt:
            return None, Foreign(source=source)
        check_source(source, local=self._local_sources)
        if source.startswith("runs:/") and run.id and source[len("runs:/") :].partition("/")[0] != run.id:
            raise Refusal(f"Invalid model version source: {source!r}: it is not of the run {run.id!r}")
        return (None, Foreign(source=source)) if is_local(source) else (source, Foreign())

    async def _copied(self, caller: Caller, match: re.Match[str], run: Run) -> tuple[str, Foreign]:
        """Of a copy: which version it is made from, and where that one's files are."""
        name, version, by_alias, alias = match.groups()
        if by_alias:
            raw = await self._reads.aliased(caller, by_alias, alias)
        elif version.isdecimal():
            await self._reads.model(caller, name)
            raw = await self._reads.version(caller, name, int(version))
        elif version.lower() == "latest":
            raw = await self._reads.aliased(caller, name, "latest")
        else:
            found = await self._reads.latest(caller, name, [stage_of(version)])
            if not found:
                raise unknown_version(name, version)
            raw = found[0]
        original = (raw.get("run") or {}).get("id") or ""
        if run.id and run.id != original:
            raise Refusal(f"Invalid model version source: the version it names is of the run {original!r}")
        source = f"models:/{raw['model']}/{raw['number']}"
        return source, Foreign(files=files_of(raw))


def _address(sent: Sent) -> tuple[str, int]:
    name, number = model_name(sent), version_number(sent)
    if not is_int64(number):
        raise unknown_version(name, number)
    return name, number


def _tags_of_version(sent: Sent) -> Tags:
    said = {str(tag.get("key")): str(tag.get("value")) for tag in sent.objects("tags")}
    if is_prompt(said) and len(said.get(PROMPT_TEXT, "")) > LONGEST_PROMPT:
        raise Refusal(f"Prompt text exceeds max length of {LONGEST_PROMPT} characters.")
    return tags_of(sent)


def _to(stage: Stage, time: Any) -> Edit:
    def edit(_: Stored[Any], version: Version) -> Version:
        version.stage, version.revised_at = stage, time
        return version

    return edit
