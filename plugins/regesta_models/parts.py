"""What models and versions are made of: tags, artifacts, signatures, metrics, environments, where they come from."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from regesta import Entries
from regesta_models.constraints import (
    ArtifactPath,
    Commit,
    Digest,
    Dimension,
    Label,
    ModelName,
    Requirement,
    Source,
    TagValue,
    distinct,
)

LARGEST = 2**63 - 1


class Tag(BaseModel):
    """A word that somebody put on a model or a version, with a value or without."""

    key: Label
    value: TagValue = ""


Tags = Annotated[
    list[Tag],
    Field(max_length=100),
    distinct(lambda tag: tag.key, "must not contain the same key twice"),
    Entries(key="key", value="value"),
]


class Artifact(BaseModel):
    """One file of a version."""

    path: ArtifactPath = Field(description="Relative to the version's source or its folder.")
    size: Annotated[int, Field(ge=0, le=LARGEST)] = Field(description="Bytes.")
    sha256: Digest


class Tensor(BaseModel):
    """One input or output."""

    name: Annotated[str, Field(min_length=1, max_length=500)]
    dtype: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="`float32`, `tensor(int64)`.")
    shape: Annotated[list[Dimension], Field(max_length=64)] = Field(
        default_factory=list, description="Sizes; -1 for any size, a text for a size with a name."
    )


Tensors = Annotated[list[Tensor], Field(max_length=1000)]


class Signature(BaseModel):
    """What goes in and what comes out."""

    inputs: Tensors = Field(default_factory=list)
    outputs: Tensors = Field(default_factory=list)


class Metric(BaseModel):
    """One measured value."""

    name: Label
    value: Annotated[float, Field(allow_inf_nan=False)]
    dataset: Label | None = Field(default=None, description="What it was measured on.")
    split: Label | None = Field(default=None, description="Which part of it: `validation`, `test`.")
    step: Annotated[int, Field(ge=0, le=LARGEST)] | None = None
    measured_at: datetime | None = None


Metrics = Annotated[
    list[Metric],
    Field(max_length=1000),
    Entries(key="name", value="value", qualifiers=("dataset", "split")),
]


def last_values(metrics: Iterable[Metric]) -> dict[tuple[str, str | None, str | None], float]:
    """The last value by name, data set and split: of the highest step, of several the one that stands last."""
    last: dict[tuple[str, str | None, str | None], Metric] = {}
    for metric in metrics:
        measured = (metric.name, metric.dataset, metric.split)
        if measured not in last or (metric.step or 0) >= (last[measured].step or 0):
            last[measured] = metric
    return {measured: metric.value for measured, metric in last.items()}


class VersionReference(BaseModel):
    """A version of a model in the same workspace. It need not exist any more."""

    model: ModelName
    version: Annotated[int, Field(ge=1, le=LARGEST)]


class Lineage(BaseModel):
    """Where a version comes from."""

    parents: Annotated[list[VersionReference], Field(max_length=100)] = Field(default_factory=list)
    datasets: Annotated[list[Label], Field(max_length=100)] = Field(default_factory=list)


class Environment(BaseModel):
    """What it was made with, and needs to run."""

    python: Annotated[str, Field(max_length=50)] | None = Field(default=None, description="`3.12.4`")
    packages: Annotated[
        list[Requirement],
        Field(max_length=1000, json_schema_extra={"uniqueItems": True}),
        distinct(lambda requirement: requirement, "must not contain the same requirement twice"),
    ] = Field(default_factory=list, description="Requirements as pip reads them: `torch==2.4.1`.")


class Run(BaseModel):
    """The run of an experiment that made a version. Whoever tracks experiments gave the id."""

    id: Label | None = None
    link: Annotated[str, Field(max_length=2048)] | None = None


class Foreign(BaseModel):
    """What clients of another protocol sent that has no place of its own, word for word."""

    source: Annotated[str, Field(max_length=2048)] | None = Field(default=None, description="Where it is no URI.")
    files: Annotated[str, Field(max_length=2048)] | None = Field(
        default=None, description="Where the files are, of a copy: its source names the version it was made from."
    )
    logged_model: Annotated[str, Field(max_length=250)] | None = None


class Code(BaseModel):
    """The code that made a version."""

    repository: Source | None = None
    commit: Commit


class Deprecation(BaseModel):
    """That it should not be used any more, why, and what to use instead."""

    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    since: datetime | None = None
    replacement: VersionReference | None = None
