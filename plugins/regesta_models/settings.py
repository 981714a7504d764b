"""What an operator decides about artifacts, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from regesta.errors import ConfigurationError

ARTIFACTS = "REGESTA_MODELS_ARTIFACTS"
LARGEST_ARTIFACT = "REGESTA_MODELS_LARGEST_ARTIFACT"

# More than any one file of a published model (model hubs ask for files below 50 GB), and within the 10,000 parts that
# object stores take; and a bound on what a mistake can fill.
DEFAULT_LARGEST = 100 * 2**30


@dataclass(frozen=True, slots=True)
class ArtifactSettings:
    """Where bytes are kept, and how many of them.

    `url` is an fsspec URL (`file:///srv/artifacts`, `s3://bucket/prefix`); "" keeps them in the database, in GridFS.
    `largest` is in bytes.
    """

    url: str = ""
    largest: int = DEFAULT_LARGEST

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """From `REGESTA_MODELS_ARTIFACTS` and `REGESTA_MODELS_LARGEST_ARTIFACT`. Raises ConfigurationError."""
        largest = environment.get(LARGEST_ARTIFACT) or str(DEFAULT_LARGEST)
        if not largest.isascii() or not largest.isdecimal() or not 0 < int(largest) < 2**63:
            raise ConfigurationError(f"the setting {LARGEST_ARTIFACT}: must be a number of bytes")
        return cls(environment.get(ARTIFACTS, ""), int(largest))
