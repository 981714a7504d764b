"""What the plugin brings: two resources and the routes of the aliases."""

from typing import Any

from fastapi import APIRouter

from regesta import Parent, Registry, Resource, hookimpl
from regesta.workspaces import workspace_scope
from regesta_models.aliases import alias_router
from regesta_models.documents import Model, Version

models: Resource[Model] = Resource(
    Model,
    name="models",
    key="name",
    scope=workspace_scope,
    filters=[
        *("id", "name", "kind", "task", "framework", "license", "owner", "tags.key", "tags.value", "protected"),
        *("created_at", "updated_at"),
    ],
    sorts=["name", "created_at", "updated_at"],
)

versions: Resource[Version] = Resource(
    Version,
    name="versions",
    key="number",
    parent=Parent(resource=models, field="model_id", sequence="number"),
    scope=workspace_scope,
    filters=[
        *("id", "number", "status", "stage", "framework", "tags.key", "tags.value", "aliases", "protected"),
        *("created_at", "updated_at", "artifacts.sha256", "run.id", "code.commit"),
        *("lineage.datasets", "lineage.parents.model", "environment.packages"),
    ],
    sorts=["number"],
)


@hookimpl
def register_resources() -> list[Resource[Any]]:
    """`models` and `models/{model}/versions`."""
    return [models, versions]


@hookimpl
def register_routers(registry: Registry) -> list[APIRouter]:
    """`models/{model}/aliases`."""
    return [alias_router(registry)]
