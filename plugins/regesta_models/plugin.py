"""What the plugin brings: its resources, its routers, and what is written with each change."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from beanie import Document
from fastapi import APIRouter

from regesta import READS, Change, Operation, Parent, Registry, Resource, hookimpl
from regesta.workspaces import workspace_scope
from regesta_models.alias_routes import alias_router
from regesta_models.artifact_routes import artifact_router
from regesta_models.artifacts import Artifacts, mark_contents
from regesta_models.blob_records import COLLECTION
from regesta_models.card_routes import card_router
from regesta_models.cards import ModelCard, VersionCard
from regesta_models.compare import compare_router
from regesta_models.deployments import Deployment
from regesta_models.documents import COUNTER, Model, Registered, Version
from regesta_models.imports import import_router
from regesta_models.latest import keep_latest
from regesta_models.lineage import TURNS, lineage_router
from regesta_models.promotion_routes import promotion_router
from regesta_models.promotions import Approval, Promotion, PromotionPolicy
from regesta_models.search import found_versions, keep_names
from regesta_models.vaults import BUCKET
from regesta_models.version_keys import VERSION_ALIASES

if TYPE_CHECKING:
    import typer

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
    key_aliases=VERSION_ALIASES,
    parent=Parent(
        resource=models,
        field="model_id",
        sequence="number",
        copies={"model": "name", "kind": "kind"},
        counter=COUNTER,
        touches="revised_at",
    ),
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
policies: Resource[PromotionPolicy] = Resource(
    PromotionPolicy,
    name="promotion-policies",
    key="name",
    scope=workspace_scope,
    filters=["name", "alias", "model"],
    sorts=["name"],
)

promotions: Resource[Promotion] = Resource(
    Promotion,
    name="promotions",
    key="number",
    parent=Parent(resource=models, field="model_id", sequence="number", owned=True),
    scope=workspace_scope,
    operations=READS,
    filters=["number", "alias", "version", "previous", "by", "at", "rolls_back"],
    sorts=["number"],
    default_sort="-number",
)

approvals: Resource[Approval] = Resource(
    Approval,
    name="approvals",
    parent=Parent(resource=versions, field="version_id", owned=True),
    scope=workspace_scope,
    operations=READS | {Operation.CREATE, Operation.DELETE},
    filters=["by", "at"],
    sorts=["at"],
)

# Without routes of their own: see card_routes.
model_cards: Resource[ModelCard] = Resource(
    ModelCard,
    name="model-cards",
    key="name",
    parent=Parent(resource=models, field="model_id", owned=True),
    scope=workspace_scope,
    operations=(),
)

version_cards: Resource[VersionCard] = Resource(
    VersionCard,
    name="version-cards",
    key="name",
    parent=Parent(resource=versions, field="version_id", owned=True),
    scope=workspace_scope,
    operations=(),
)

deployments: Resource[Deployment] = Resource(
    Deployment,
    name="deployments",
    key="name",
    parent=Parent(resource=versions, field="version_id"),
    scope=workspace_scope,
    filters=["name", "environment", "endpoint", "by", "since"],
    sorts=["name", "since"],
)

# The same documents, of all versions.
all_deployments: Resource[Deployment] = Resource(
    Deployment,
    name="all-deployments",
    description="Deployments of all versions of all models. Each is written below its version.",
    path="deployments",
    key="name",  # as below a version, for one schema; unique only there, so nothing is sorted by it
    scope=workspace_scope,
    operations=(Operation.LIST, Operation.EXPORT, Operation.FACETS),
    filters=["name", "environment", "endpoint", "model", "version", "by", "since"],
    sorts=["since", "model", "environment"],
    default_sort="-since",
)


@hookimpl
def register_resources() -> list[Resource[Any]]:
    """`models`, their versions, and what belongs to either; `versions` and `deployments` of all of them."""
    promotion = [policies, promotions, approvals]
    return [models, versions, all_versions, *promotion, model_cards, version_cards, deployments, all_deployments]


@hookimpl
def register_collections() -> list[type[Document] | str]:
    """What is kept without a document class: uploads, their bytes, and the turns of lineages."""
    return [COLLECTION, f"{BUCKET}.files", f"{BUCKET}.chunks", TURNS]


@hookimpl
async def record_changes(changes: Sequence[Change[Registered]], session: Any) -> None:
    """What searches find by, what models know of their versions, which bytes are named: all or nothing."""
    await keep_latest(changes, session)
    await keep_names(changes, session)
    await mark_contents(changes, session)


@hookimpl
def register_routers(registry: Registry) -> list[APIRouter]:
    """Aliases and cards, files, `versions:compare`, `versions/{version}:lineage`, `POST /versions`."""
    routers = (promotion_router, alias_router, card_router, compare_router, lineage_router, import_router)
    return [*[router(registry) for router in routers], artifact_router(registry, Artifacts(registry))]


@hookimpl
def register_commands(cli: "typer.Typer") -> None:
    """`regesta models`."""
    from regesta_models.commands import cli as models_commands  # it needs the extra `service`

    cli.add_typer(models_commands, name="models")
