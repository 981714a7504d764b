"""Gates: what a version must have before an alias may stand for it.

A gate is a rule as it is stored in a policy. `failure` judges a version by it, without asking the database: all that
it may know is in `Facts`.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from regesta_models.constraints import Label, TagValue
from regesta_models.documents import Version
from regesta_models.parts import last_values

MOST_APPROVALS = 20


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a version when an alias is about to move to it.

    `holder` is what the alias stands for, or stood for last. `approvers` are those who approved, without the author.
    `card` is the front matter of its card, or of the model's; None where there is neither.
    """

    version: Version
    holder: Version | None = None
    approvers: frozenset[str] = frozenset()
    card: Mapping[str, Any] | None = field(default=None)


class Comparison(StrEnum):
    """How a value stands to a threshold."""

    AT_LEAST = ">="
    ABOVE = ">"
    AT_MOST = "<="
    BELOW = "<"
    EQUAL = "=="


_HOLDS: Mapping[Comparison, Callable[[float, float], bool]] = {
    Comparison.AT_LEAST: operator.ge,
    Comparison.ABOVE: operator.gt,
    Comparison.AT_MOST: operator.le,
    Comparison.BELOW: operator.lt,
    Comparison.EQUAL: operator.eq,
}


class Better(StrEnum):
    """Which way a metric gets better."""

    HIGHER = "higher"
    LOWER = "lower"


class _OfMetric(BaseModel):
    name: Label = Field(description="The name of the metric.")
    dataset: Label | None = Field(default=None, description="What it was measured on; anything unless given.")
    split: Label | None = Field(default=None, description="Which part of it; any unless given.")

    def measured(self, version: Version) -> dict[tuple[str | None, str | None], float]:
        """The last value for each data set and split that is meant."""
        return {
            (dataset, split): value
            for (name, dataset, split), value in last_values(version.metrics).items()
            if name == self.name and self.dataset in (None, dataset) and self.split in (None, split)
        }

    @property
    def meant(self) -> str:
        return said(self.name, self.dataset, self.split)


class MetricGate(_OfMetric):
    """A metric was measured and stands so to a threshold, on each data set and split that is meant."""

    type: Literal["metric"]
    comparison: Comparison = Comparison.AT_LEAST
    threshold: Annotated[float, Field(allow_inf_nan=False)]

    def failure(self, facts: Facts) -> str | None:
        """What is wrong, None where nothing is."""
        found = self.measured(facts.version)
        if not found:
            return f"there is no metric {self.meant}: must be {self.comparison} {self.threshold:g}"
        holds = _HOLDS[self.comparison]
        wrong = [
            f"{said(self.name, *on)} is {value!r}" for on, value in found.items() if not holds(value, self.threshold)
        ]
        return f"{', '.join(wrong)}: must be {self.comparison} {self.threshold!r}" if wrong else None


class NotWorseGate(_OfMetric):
    """A metric is not worse than that of the version that the alias stands for, or stood for last.

    It asks for whatever was measured there. Where the alias never stood for another version that is still
    there, or nothing was measured there, it holds.
    """

    type: Literal["not_worse"]
    better: Better = Better.HIGHER
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.0, description="How much worse is still good enough, in the metric's own unit."
    )

    def failure(self, facts: Facts) -> str | None:
        """What is wrong, None where nothing is."""
        if facts.holder is None or facts.holder.number == facts.version.number:
            return None
        here, there = self.measured(facts.version), self.measured(facts.holder)
        wrong = []
        for on, standard in there.items():
            value = here.get(on)
            if value is None:
                wrong.append(
                    f"there is no metric {said(self.name, *on)}, which is {standard!r} in version {facts.holder.number}"
                )
            elif self._loss(value, standard) > self.tolerance:
                wrong.append(f"{said(self.name, *on)} is {value!r}, and {standard!r} in version {facts.holder.number}")
        return "; ".join(wrong) or None

    def _loss(self, value: float, standard: float) -> float:
        return standard - value if self.better is Better.HIGHER else value - standard


class ApprovalsGate(BaseModel):
    """So many people approved of the version, not counting who created it."""

    type: Literal["approvals"]
    count: Annotated[int, Field(ge=1, le=MOST_APPROVALS)] = 1

    def failure(self, facts: Facts) -> str | None:
        """What is wrong, None where nothing is."""
        count = len(facts.approvers)
        if count >= self.count:
            return None
        author = facts.version.created_by
        others = f"somebody else than its author {author!r}" if author else "somebody"
        return f"there are {count} of {self.count} approvals by {others}"


class CardGate(BaseModel):
    """There is a card, of the version or of the model, and its front matter has these keys."""

    type: Literal["card"]
    requires: Annotated[list[Label], Field(max_length=100)] = Field(
        default_factory=list, description="Keys of the front matter: `license`."
    )

    def failure(self, facts: Facts) -> str | None:
        """What is wrong, None where nothing is."""
        if facts.card is None:
            return "there is no card, neither of the version nor of the model"
        missing = [key for key in self.requires if facts.card.get(key) in (None, "", [], {})]
        return f"the card says nothing about {', '.join(missing)}" if missing else None


class DigestsGate(BaseModel):
    """There is an artifact, and a digest of each."""

    type: Literal["digests"]

    def failure(self, facts: Facts) -> str | None:
        """What is wrong, None where nothing is."""
        artifacts = facts.version.artifacts
        if not artifacts:
            return "there are no artifacts"
        without = [artifact.path for artifact in artifacts if not artifact.sha256]
        return f"there is no digest of {', '.join(without)}" if without else None


class SignatureGate(BaseModel):
    """There is a signature with inputs and outputs."""

    type: Literal["signature"]

    def failure(self, facts: Facts) -> str | None:
        """What is wrong, None where nothing is."""
        signature = facts.version.signature
        if signature is None:
            return "there is no signature"
        return None if signature.inputs and signature.outputs else "the signature lacks inputs or outputs"


class TagGate(BaseModel):
    """The version has this tag, with this value."""

    type: Literal["tag"]
    key: Label
    value: TagValue | None = Field(default=None, description="Any unless given.")

    def failure(self, facts: Facts) -> str | None:
        """What is wrong, None where nothing is."""
        found = next((tag.value for tag in facts.version.tags if tag.key == self.key), None)
        if found is None:
            return f"there is no tag {self.key!r}"
        return None if self.value in (None, found) else f"the tag {self.key!r} must be {self.value!r}"


Gate = Annotated[
    MetricGate | NotWorseGate | ApprovalsGate | CardGate | DigestsGate | SignatureGate | TagGate,
    Field(discriminator="type"),
]


def said(name: str, dataset: str | None, split: str | None) -> str:
    """`top1 on imagenet/test`."""
    where = "/".join(part for part in (dataset, split) if part)
    return f"{name} on {where}" if where else name


def failures(gates: Iterable[Gate], facts: Facts) -> list[tuple[int, str, str]]:
    """Of each gate that fails: its position, its type, and what is wrong."""
    found = ((index, gate.type, gate.failure(facts)) for index, gate in enumerate(gates))
    return [(index, kind, message) for index, kind, message in found if message is not None]
