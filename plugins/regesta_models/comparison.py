"""What differs between versions of one model, and what got better or worse."""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field

from regesta.pacing import Pace
from regesta.schemas import dumps
from regesta_models.documents import Version
from regesta_models.parts import Tensor, last_values

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
N = TypeVar("N", bound=BaseModel)


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


@dataclass(frozen=True, slots=True)
class Facts:
    """What a comparison needs of one version; strings and numbers, which the garbage collector need not look at."""

    number: int
    size: int
    metrics: Mapping[tuple[str, str | None, str | None], float]
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    python: str | None
    packages: Mapping[str, str]
    signature: bytes

    @classmethod
    def of(cls, version: Version) -> "Facts":
        """The facts of this version."""
        environment = version.environment
        return cls(
            number=version.number,
            size=sum(file.size for file in version.artifacts),
            metrics=last_values(version.metrics),
            params=version.params,
            tags={tag.key: tag.value for tag in version.tags},
            python=environment.python if environment else None,
            packages=dict(map(_required, environment.packages if environment else ())),
            signature=version.signature.model_dump_json().encode() if version.signature else b"null",
        )


async def comparison_of(model: str, versions: Sequence[Facts], said: Mapping[str, Direction | None]) -> bytes:
    """The JSON of a VersionComparison; `said` goes before what names of metrics tell. Others get turns meanwhile."""
    pace = Pace()
    sizes = [version.size for version in versions]
    pythons = [version.python for version in versions]
    signatures = [version.signature for version in versions]
    metrics = await _joined(_metrics(versions, said), pace)
    params = await _joined(_named(ComparedParameter, [version.params for version in versions]), pace)
    tags = await _joined(_tags([version.tags for version in versions]), pace)
    packages = await _joined(_named(ComparedPackage, [version.packages for version in versions]), pace)
    same_environment = len(set(pythons)) == 1 and all(one.packages == versions[0].packages for one in versions)
    sections = {
        "model": dumps(model),
        "versions": dumps([version.number for version in versions]),
        "metrics": metrics,
        "params": params,
        "tags": tags,
        "signature": _object(values=_list(signatures), changed=dumps(len(set(signatures)) > 1)),
        "environment": _object(python=dumps(pythons), packages=packages, changed=dumps(not same_environment)),
        "size": _json(ComparedSize(values=sizes, verdicts=_verdicts(sizes, Direction.LOWER))),
    }
    return _object(**sections)


async def _joined(rows: Iterator[BaseModel], pace: Pace) -> bytes:
    """The JSON of a list of rows. Each row is made, written and forgotten before the next."""
    found = []
    for row in rows:
        found.append(_json(row))
        await pace.rest()
    return _list(found)


def _json(row: BaseModel) -> bytes:
    return row.model_dump_json().encode()


def _list(items: Iterable[bytes]) -> bytes:
    return b"[%b]" % b",".join(items)


def _object(**members: bytes) -> bytes:
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), value) for name, value in members.items())


def _metrics(versions: Sequence[Facts], said: Mapping[str, Direction | None]) -> Iterator[ComparedMetric]:
    measured = [version.metrics for version in versions]
    for name, dataset, split in _all(measured):
        values = [found.get((name, dataset, split)) for found in measured]
        direction = said[name] if name in said else direction_of(name)
        yield ComparedMetric(
            name=name, dataset=dataset, split=split, direction=direction, values=values,
            verdicts=_verdicts(values, direction),
        )  # fmt: skip


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


def _required(requirement: str) -> tuple[str, str]:
    """The normalized name (PyPA) and the rest; what is no requirement stands for itself."""
    found = _REQUIREMENT.fullmatch(requirement)
    return (re.sub(r"[-_.]+", "-", found[1]).lower(), found[2].strip()) if found else (requirement, "")


def _tags(found: Sequence[Mapping[str, str]]) -> Iterator[ComparedTag]:
    return (ComparedTag(key=key, values=values, changed=changed) for key, values, changed in _rows(found))


def _named(row: type[N], found: Sequence[Mapping[str, Any]]) -> Iterator[N]:
    return (row(name=name, values=values, changed=changed) for name, values, changed in _rows(found))


def _rows(found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[Any], bool]]:
    for name in _all(found):
        values = [each.get(name) for each in found]
        # 1, 1.0 and true are three things.
        yield name, values, len({(type(value), value) for value in values}) > 1


def _all(found: Sequence[Mapping[K, Any]]) -> list[K]:
    """Every key, in the order in which they are met first."""
    return list(dict.fromkeys(key for each in found for key in each))
