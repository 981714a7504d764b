"""Search over the versions of all models: the same documents in another light, to read only.

What a search needs beside a version stands hidden in it: the name of its model, and whether it is the latest one.
"""

from collections.abc import Sequence
from typing import Annotated, Any

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
    """Where a model gets another name, its versions are found by that, in the transaction of the change.

    `model` itself is a copy, which the core keeps.
    """
    for change in changes:
        before, after = change.before, change.after
        if isinstance(before, Model) and isinstance(after, Model) and before.name != after.name:
            found = {"$set": {"reference.model": after.name}}
            await collection_of(Version).update_many({"model_id": after.id}, found, session=session)
