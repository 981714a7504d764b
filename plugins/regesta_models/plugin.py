"""What the plugin brings: two resources and the routes of the aliases."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from regesta import Change, Parent, Registry, Resource, hookimpl
from regesta.workspaces import workspace_scope
from regesta_models.aliases import alias_router
from regesta_models.compare import compare_router
from regesta_models.documents import Model, Registered, Version
from regesta_models.imports import import_router
from regesta_models.lineage import lineage_router
from regesta_models.search import found_versions, keep_found

models: Resource[Model] = Resource(
    Model,
    name="models",
    key="name",
    scope=workspace_scope,
    filters=[
        *("id", "name", "kind", "task", "framework", "license", "owner", "tags", "tags.key", "tags.value"),
        *("protected", "created_at", "updated_at"),
    ],
    sorts=["name", "created_at", "updated_at"],
)

versions: Resource[Version] = Resource(
    Version,
    name="versions",
    key="number",
    parent=Parent(resource=models, field="model_id", sequence="number", copies={"model": "name"}),
    scope=workspace_scope,
    custom_methods=["lineage"],
    filters=[
        *("id", "number", "status", "stage", "framework", "tags", "tags.key", "tags.value", "aliases", "protected"),
        *("params", "metrics", "metrics.name", "metrics.dataset"),
        *("created_at", "updated_at", "artifacts.sha256", "run.id", "code.commit"),
        *("lineage.datasets", "lineage.parents.model", "environment.packages"),
    ],
    sorts=["number"],
)

all_versions = found_versions(models)


@hookimpl
def register_resources() -> list[Resource[Any]]:
    """`models`, `models/{model}/versions`, and `versions` of all of them."""
    return [models, versions, all_versions]


@hookimpl
async def record_changes(changes: Sequence[Change[Registered]], session: Any) -> None:
    """What searches find versions by stands or falls with each change."""
    await keep_found(changes, session)


@hookimpl
def register_routers(registry: Registry) -> list[APIRouter]:
    """`models/{model}/aliases`, `versions:compare`, `versions/{version}:lineage`, `POST /versions`."""
    routers = (alias_router, compare_router, lineage_router, import_router)
    return [router(registry) for router in routers]
