"""Search over the versions of all models: the same documents in another light, to read only.

What a search needs beside a version stands hidden in it: the name of its model, and whether it is the latest one.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import uuid4

from bson import Binary
from pydantic import Field

from regesta import Action, Change, Operation, ReadOnly, Resource
from regesta.store import collection_of
from regesta.workspaces import workspace_scope
from regesta_models.documents import Model, Registered, Version


class FoundVersion(Version):
    """A version of any model, as a search finds it. It is written below its model."""

    model: Annotated[str, ReadOnly] = Field(default="", description="The name of its model.")
    latest: Annotated[bool, ReadOnly] = Field(default=True, description="Whether its model has no newer version.")


def found_versions(models: Resource[Model]) -> Resource[FoundVersion]:
    """`GET /versions`, over all models. Its name in hooks and operation ids is `all_versions`."""
    return Resource(
        FoundVersion,
        name="all_versions",
        path="versions",
        scope=workspace_scope,
        scope_fields=["workspace"],
        operations=[Operation.LIST, Operation.FACETS, Operation.EXPORT, Operation.WATCH, Operation.SCHEMA],
        references={"model_id": models},
        filters=[
            *("id", "model", "latest", "number", "tags", "params", "metrics", "status", "stage", "framework"),
            *("tags.key", "tags.value", "metrics.name", "metrics.dataset", "created_at", "updated_at", "aliases"),
            *("run.id", "code.commit", "artifacts.sha256", "lineage.datasets", "lineage.parents.model"),
        ],
        sorts=["created_at"],
        default_sort="-created_at",
    )


async def keep_found(changes: Sequence[Change[Registered]], session: Any) -> None:
    """Keep right what searches find by, in the transaction of these changes."""
    versions = [change for change in changes if issubclass(change.document, Version)]
    await _keep_latest(versions, session)
    for change in changes:
        if isinstance(change.before, Model) and isinstance(change.after, Model):
            await _keep_names(change.before, change.after, session)


async def _keep_latest(changes: Sequence[Change[Any]], session: Any) -> None:
    """Of each model one version is the latest. That is no change to the others: nobody is told, no ETag is new.

    Two versions that are created together are numbered one after the other, by one document that both write.
    """
    newest: dict[tuple[str, Any], int] = {}
    for change in changes:
        if change.action is Action.CREATE and change.after is not None:
            model = (change.after.workspace, change.after.model_id)
            newest[model] = max(newest.get(model, 0), change.after.number)
    collection = collection_of(Version)
    for (workspace, model_id), number in newest.items():
        if number > 1:
            older = {"workspace": workspace, "model_id": model_id, "latest": True, "number": {"$lt": number}}
            await collection.update_many(older, {"$set": {"latest": False}}, session=session)
    gone = [change.before for change in changes if change.action is Action.DELETE and not change.cascaded]
    for version in gone:
        if version is not None and version.latest:
            of_model: Mapping[str, Any] = {"workspace": version.workspace, "model_id": version.model_id}
            await collection.find_one_and_update(
                of_model, {"$set": {"latest": True}}, sort=[("number", -1)], session=session
            )


async def _keep_names(before: Model, after: Model, session: Any) -> None:
    """Where a model gets another name: what names it in versions does too (`model` is a copy, which the core keeps)."""
    if before.name == after.name:
        return
    collection = collection_of(Version)
    await collection.update_many({"model_id": after.id}, {"$set": {"reference.model": after.name}}, session=session)
    made_from = {"workspace": after.workspace, "lineage.parents.model": before.name}
    # One by one: the memory store knows no array filters, and not many are made from one model.
    for raw in await collection.find(made_from, {"lineage.parents": 1}, session=session).to_list(None):
        parents = [
            {**parent, "model": after.name} if parent["model"] == before.name else parent
            for parent in raw["lineage"]["parents"]
        ]
        update = {"lineage.parents": parents, "revision_id": Binary.from_uuid(uuid4())}
        await collection.update_one({"_id": raw["_id"]}, {"$set": update}, session=session)
