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
from regesta_models.plugin import models, register_resources, register_routers, versions
from regesta_models.rules import prepare_change, validate_change

__all__ = [
    "Artifact",
    "Code",
    "Deprecation",
    "Environment",
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
    "models",
    "prepare_change",
    "register_resources",
    "register_routers",
    "validate_change",
    "versions",
]
