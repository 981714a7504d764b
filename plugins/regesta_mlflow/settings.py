"""What an operator decides, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from regesta import ConfigurationError
from regesta_mlflow.delivery import Network, networks_of

PREFIX = "REGESTA_MLFLOW_"
TARGETS = "REGESTA_WEBHOOK_TARGETS"
REPLACED = "PRIVATE_WEBHOOKS"
TRUE, FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Settings:
    """`local_sources`: versions may be registered whose files lie on a client's own disk.

    `webhook_targets`: networks that are not public and that webhooks may lead to, also over plain http.
    """

    local_sources: bool = False
    webhook_targets: tuple[Network, ...] = ()

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """REGESTA_MLFLOW_LOCAL_SOURCES and REGESTA_WEBHOOK_TARGETS. Raises ConfigurationError."""
        if _flag(environment, REPLACED):
            raise ConfigurationError(
                f"the setting {PREFIX}{REPLACED} is no more: list the networks that webhooks may lead to in {TARGETS},"
                f" such as {TARGETS}=10.0.0.0/8,fd00::/8"
            )
        return cls(_flag(environment, "LOCAL_SOURCES"), _targets(environment))


def _targets(environment: Mapping[str, str]) -> tuple[Network, ...]:
    try:
        return networks_of(environment.get(TARGETS, ""))
    except ValueError:
        raise ConfigurationError(
            f"the setting {TARGETS}: must be networks, separated by commas, such as 10.0.0.0/8,192.168.1.20"
        ) from None


def _flag(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(PREFIX + name, "").strip().lower()
    if value not in TRUE | FALSE:
        raise ConfigurationError(f"the setting {PREFIX}{name}: must be true or false")
    return value in TRUE
