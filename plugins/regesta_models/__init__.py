"""The model registry, as a plugin: models, their numbered versions, and aliases that move between versions."""

from regesta_models.aliases import Aliases
from regesta_models.artifacts import Artifacts
from regesta_models.blobs import Blobs
from regesta_models.cards import ModelCard, VersionCard
from regesta_models.deployments import Deployment
from regesta_models.documents import COUNTER, Kind, Model, Registered, Stage, Version, VersionStatus
from regesta_models.parts import (
    Artifact,
    Code,
    Deprecation,
    Environment,
    Foreign,
    Lineage,
    Metric,
    Run,
    Signature,
    Tag,
    Tensor,
    VersionReference,
)
from regesta_models.plugin import (
    all_versions,
    models,
    record_changes,
    register_collections,
    register_commands,
    register_resources,
    register_routers,
    versions,
)
from regesta_models.promotions import Approval, Override, Promotion, PromotionPolicy
from regesta_models.renames import rename
from regesta_models.rules import prepare_change, validate_change
from regesta_models.search import FoundVersion
from regesta_models.sweeps import Swept, shutdown, startup, sweep

__all__ = [
    "COUNTER",
    "Aliases",
    "Approval",
    "Artifact",
    "Artifacts",
    "Blobs",
    "Code",
    "Deployment",
    "Deprecation",
    "Environment",
    "Foreign",
    "FoundVersion",
    "Kind",
    "Lineage",
    "Metric",
    "Model",
    "ModelCard",
    "Override",
    "Promotion",
    "PromotionPolicy",
    "Registered",
    "Run",
    "Signature",
    "Stage",
    "Swept",
    "Tag",
    "Tensor",
    "Version",
    "VersionCard",
    "VersionReference",
    "VersionStatus",
    "all_versions",
    "models",
    "prepare_change",
    "record_changes",
    "register_collections",
    "register_commands",
    "register_resources",
    "register_routers",
    "rename",
    "shutdown",
    "startup",
    "sweep",
    "validate_change",
    "versions",
]
