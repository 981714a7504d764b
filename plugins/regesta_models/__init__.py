"""The model registry, as a plugin: models, their numbered versions, and aliases that move between versions."""

from regesta_models.documents import (
    Artifact,
    Lineage,
    Metric,
    Model,
    Registered,
    Signature,
    Tensor,
    Version,
    VersionReference,
    VersionStatus,
)
from regesta_models.plugin import models, register_resources, register_routers, versions
from regesta_models.rules import prepare_change, validate_change

__all__ = [
    "Artifact",
    "Lineage",
    "Metric",
    "Model",
    "Registered",
    "Signature",
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
