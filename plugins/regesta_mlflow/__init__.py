"""MLflow's model registry protocol, as a plugin: unmodified MLflow clients work with the models of `regesta_models`."""

from regesta_mlflow.plugin import Plugin
from regesta_mlflow.settings import Settings

__all__ = ["Plugin", "Settings"]
