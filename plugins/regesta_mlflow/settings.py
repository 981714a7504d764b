"""What an operator decides, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from regesta import ConfigurationError

PREFIX = "REGESTA_MLFLOW_"
TRUE, FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Settings:
    """`local_sources`: versions may be registered whose files lie on a client's own disk.

    `private_webhooks`: webhooks may lead to this network, and go over plain http.
    """

    local_sources: bool = False
    private_webhooks: bool = False

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """REGESTA_MLFLOW_LOCAL_SOURCES and REGESTA_MLFLOW_PRIVATE_WEBHOOKS. Raises ConfigurationError."""
        return cls(_flag(environment, "LOCAL_SOURCES"), _flag(environment, "PRIVATE_WEBHOOKS"))


def _flag(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(PREFIX + name, "").strip().lower()
    if value not in TRUE | FALSE:
        raise ConfigurationError(f"the setting {PREFIX}{name}: must be true or false")
    return value in TRUE
