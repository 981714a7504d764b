"""The model registry, as a plugin: models, their numbered versions, and aliases that move between versions."""

from regesta_models.documents import Kind, Model, Registered, Stage, Version, VersionStatus
from regesta_models.parts import (
    Artifact,
    Code,
    Deprecation,
    Environment,
    Lineage,
    Metric,
    Run,
    Signature,
    Tag,
    Tensor,
    VersionReference,
)
from regesta_models.plugin import all_versions, models, record_changes, register_resources, register_routers, versions
from regesta_models.rules import prepare_change, validate_change
from regesta_models.search import FoundVersion

__all__ = [
    "Artifact",
    "Code",
    "Deprecation",
    "Environment",
    "FoundVersion",
    "Kind",
    "Lineage",
    "Metric",
    "Model",
    "Registered",
    "Run",
    "Signature",
    "Stage",
    "Tag",
    "Tensor",
    "Version",
    "VersionReference",
    "VersionStatus",
    "all_versions",
    "models",
    "prepare_change",
    "record_changes",
    "register_resources",
    "register_routers",
    "validate_change",
    "versions",
]
