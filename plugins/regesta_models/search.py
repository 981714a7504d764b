"""Search over the versions of all models: the same documents in another light, to read only.

What a search needs beside a version stands hidden in it: the name of its model, and whether it is the latest one.
"""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import uuid4

from bson import Binary
from pydantic import Field

from regesta import Change, Operation, ReadOnly, Resource
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


async def keep_names(changes: Sequence[Change[Registered]], session: Any) -> None:
    """Where a model gets another name, what names it in versions does too, in the transaction of that change."""
    for change in changes:
        if isinstance(change.before, Model) and isinstance(change.after, Model):
            await _keep_name(change.before, change.after, session)


async def _keep_name(before: Model, after: Model, session: Any) -> None:
    """`model` itself is a copy, which the core keeps."""
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
