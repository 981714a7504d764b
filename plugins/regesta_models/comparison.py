"""What differs between versions of one model, and what got better or worse."""

import re
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field

from regesta.pacing import Pace
from regesta_models.documents import Version
from regesta_models.parts import Signature, Tensor, last_values

# Words of metric names, between digits and signs, that tell which way is better. All others tell nothing.
LOWER = frozenset(
    {
        *("loss", "error", "err", "wer", "cer", "mae", "mse", "rmse", "mape"),
        *("perplexity", "ppl", "latency", "duration", "time", "seconds", "fpr", "fnr", "brier"),
        *("ece", "hallucination", "toxicity", "flops", "macs", "cost", "memory", "nll"),
    }
)
HIGHER = frozenset(
    {
        *("accuracy", "acc", "top", "f", "precision", "recall", "auc", "auroc", "auprc"),
        *("roc", "ap", "map", "iou", "miou", "dice", "bleu", "rouge", "meteor"),
        *("r", "mrr", "ndcg", "throughput", "score", "kappa", "mcc", "psnr", "ssim"),
    }
)
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(.*)", re.DOTALL)

K = TypeVar("K", bound=Hashable)


class Direction(StrEnum):
    """Which values of a metric are better."""

    HIGHER = "higher"
    LOWER = "lower"


Verdict = Literal["better", "worse", "same", "changed", "added", "removed", "missing"]


class ComparedMetric(BaseModel):
    """One metric on one data set and split; of several measurements the last one counts."""

    name: str
    dataset: str | None
    split: str | None
    direction: Direction | None = Field(description="Which way is better; null where nothing tells.")
    values: list[float | None] = Field(description="Of each version in order; null where it was not measured.")
    verdicts: list[Verdict] = Field(description="Of each version after the first, compared with the first.")


class ComparedParameter(BaseModel):
    """One parameter."""

    name: str
    values: list[str | int | float | bool | None]
    changed: bool


class ComparedTag(BaseModel):
    """One tag."""

    key: str
    values: list[str | None]
    changed: bool


class ComparedPackage(BaseModel):
    """One package, by its normalized name."""

    name: str
    values: list[str | None] = Field(description="What is required of it: `==2.4.1`, empty for any; null: nothing.")
    changed: bool


class ComparedEnvironment(BaseModel):
    """The environments."""

    python: list[str | None]
    packages: list[ComparedPackage]
    changed: bool


class ComparedTensor(Tensor):
    """One input or output. OpenAPI knows each model by its name, and that of a version's is taken."""


class ComparedTensors(BaseModel):
    """What goes in and what comes out of one version."""

    inputs: list[ComparedTensor]
    outputs: list[ComparedTensor]


class ComparedSignature(BaseModel):
    """The signatures."""

    values: list[ComparedTensors | None]
    changed: bool


class ComparedSize(BaseModel):
    """The sizes of all artifacts together."""

    values: list[int] = Field(description="Bytes.")
    verdicts: list[Verdict]


class VersionComparison(BaseModel):
    """Versions of one model side by side. Every list has one value for each version, in the order asked for."""

    model: str
    versions: list[int]
    metrics: list[ComparedMetric]
    params: list[ComparedParameter]
    tags: list[ComparedTag]
    signature: ComparedSignature
    environment: ComparedEnvironment
    size: ComparedSize


def direction_of(name: str) -> Direction | None:
    """Which way is better, by the words of a metric's name: `val_loss`, `top1`, `p95 latency`; None: nobody knows."""
    words = set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()))
    if words & LOWER:
        return Direction.LOWER
    return Direction.HIGHER if words & HIGHER else None


async def compare(model: str, versions: Sequence[Version], said: Mapping[str, Direction | None]) -> VersionComparison:
    """The comparison; `said` goes before what names of metrics tell. Others get their turns meanwhile."""
    pace = Pace()
    sizes = [sum(file.size for file in version.artifacts) for version in versions]
    return VersionComparison(
        model=model,
        versions=[version.number for version in versions],
        metrics=[row async for row in _metrics(versions, said, pace)],
        params=[
            ComparedParameter(name=name, values=values, changed=changed)
            async for name, values, changed in _rows([version.params for version in versions], pace)
        ],
        tags=[
            ComparedTag(key=key, values=values, changed=changed)
            async for key, values, changed in _rows(
                [{tag.key: tag.value for tag in version.tags} for version in versions], pace
            )
        ],
        signature=await _signatures(versions, pace),
        environment=await _environments(versions, pace),
        size=ComparedSize(values=sizes, verdicts=_verdicts(sizes, Direction.LOWER)),
    )


async def json_of(comparison: VersionComparison) -> bytes:
    """Its JSON, made section by section."""
    pace, sections = Pace(), list[bytes]()
    for name in type(comparison).model_fields:
        section = comparison.model_dump_json(include={name}).encode()
        sections.append(section[1:-1])  # without the braces
        await pace.rest()
    return b"{%b}" % b",".join(sections)


async def _metrics(
    versions: Sequence[Version], said: Mapping[str, Direction | None], pace: Pace
) -> AsyncIterator[ComparedMetric]:
    measured = []
    for version in versions:
        measured.append(last_values(version.metrics))
        await pace.rest()
    for name, dataset, split in _all(measured):
        values = [found.get((name, dataset, split)) for found in measured]
        direction = said[name] if name in said else direction_of(name)
        yield ComparedMetric(
            name=name, dataset=dataset, split=split, direction=direction, values=values,
            verdicts=_verdicts(values, direction),
        )  # fmt: skip
        await pace.rest()


def _verdicts(values: Sequence[float | None], direction: Direction | None) -> list[Verdict]:
    return [_verdict(values[0], value, direction) for value in values[1:]]


def _verdict(before: float | None, after: float | None, direction: Direction | None) -> Verdict:
    if before is None or after is None:
        return "missing" if before is after else ("added" if before is None else "removed")
    if before == after:
        return "same"
    if direction is None:
        return "changed"
    return "better" if (after > before) is (direction is Direction.HIGHER) else "worse"


async def _signatures(versions: Sequence[Version], pace: Pace) -> ComparedSignature:
    values = []
    for version in versions:
        values.append(_tensors(version.signature))
        await pace.rest()
    return ComparedSignature(values=values, changed=any(one != values[0] for one in values))


def _tensors(signature: Signature | None) -> ComparedTensors | None:
    if signature is None:
        return None
    # They were validated when the version was read.
    inputs, outputs = (
        [ComparedTensor.model_construct(**dict(tensor)) for tensor in tensors]
        for tensors in (signature.inputs, signature.outputs)
    )
    return ComparedTensors(inputs=inputs, outputs=outputs)


async def _environments(versions: Sequence[Version], pace: Pace) -> ComparedEnvironment:
    pythons = [version.environment.python if version.environment else None for version in versions]
    required = []
    for version in versions:
        required.append(dict(map(_required, version.environment.packages if version.environment else ())))
        await pace.rest()
    packages = [
        ComparedPackage(name=name, values=values, changed=changed)
        async for name, values, changed in _rows(required, pace)
    ]
    changed = any(package.changed for package in packages) or len(set(pythons)) > 1
    return ComparedEnvironment(python=pythons, packages=packages, changed=changed)


def _required(requirement: str) -> tuple[str, str]:
    """The normalized name (PyPA) and the rest; what is no requirement stands for itself."""
    found = _REQUIREMENT.fullmatch(requirement)
    return (re.sub(r"[-_.]+", "-", found[1]).lower(), found[2].strip()) if found else (requirement, "")


async def _rows(found: Sequence[Mapping[str, Any]], pace: Pace) -> AsyncIterator[tuple[str, list[Any], bool]]:
    for name in _all(found):
        values = [each.get(name) for each in found]
        # 1, 1.0 and true are three things.
        yield name, values, len({(type(value), value) for value in values}) > 1
        await pace.rest()


def _all(found: Sequence[Mapping[K, Any]]) -> list[K]:
    """Every key, in the order in which they are met first."""
    return list(dict.fromkeys(key for each in found for key in each))
