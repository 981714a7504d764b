"""The YAML at the head of a card, read without trust.

Of YAML it takes what JSON knows, with the scalars of YAML 1.2: `no` is a text, dates are texts, `1:30` is no number.
Anchors and aliases (which grow without bound), tags, and keys given twice are refused. Each problem names its line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from regesta import Invalid, Issue
from regesta.errors import Unsupported
from regesta.schemas import issues_of

LARGEST = 32 * 1024  # characters
MOST_NODES, DEEPEST = 5000, 20

Path = tuple[str | int, ...]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
# One text is a list of one: told apart only here, so that a problem names the item.
Texts = Annotated[
    list[Text], Field(max_length=1000), BeforeValidator(lambda given: [given] if isinstance(given, str) else given)
]


class _Part(BaseModel):
    """Keys that nobody here knows are kept."""

    model_config = ConfigDict(extra="allow", strict=True)


class Task(_Part):
    """What was done."""

    type: Text
    name: Text | None = None


class CardDataset(_Part):
    """What it was done on."""

    type: Text | None = None
    name: Text | None = None
    config: Text | None = None
    split: Text | None = None


class CardMetric(_Part):
    """What came of it."""

    type: Text
    value: Any
    name: Text | None = None


class Result(_Part):
    """One evaluation."""

    task: Task
    dataset: CardDataset | None = None
    metrics: list[CardMetric]


class IndexEntry(_Part):
    """The evaluations of one model."""

    name: Text
    results: list[Result]


class FrontMatter(_Part):
    """The keys that model hubs know, as they use them."""

    license: Texts | None = None
    license_name: Text | None = None
    license_link: Text | None = None
    language: Texts | None = None
    tags: Texts | None = None
    datasets: Texts | None = None
    metrics: Texts | None = None
    base_model: Texts | None = None
    base_model_relation: Text | None = None
    library_name: Text | None = None
    pipeline_tag: Text | None = None
    model_name: Text | None = None
    model_index: list[IndexEntry] | None = Field(default=None, alias="model-index")


@dataclass(frozen=True, slots=True)
class Read:
    """A card taken apart: its front matter and the Markdown after it."""

    values: dict[str, Any]
    markdown: str


# "---" alone on the first line, and on a later one.
_FENCE = re.compile(r"---[ \t]*\r?\n")
_END = re.compile(r"^---[ \t]*(?:\r?\n|\Z)", re.MULTILINE)


def read_front_matter(card: str) -> Read:
    """Take a card apart. Raises Invalid with the line of each thing that is wrong, Unsupported without PyYAML."""
    text, markdown = _split(card)
    if text is None:
        return Read({}, markdown)
    if len(text) > LARGEST:
        raise _invalid((), 1, f"the front matter may have at most {LARGEST} characters")
    node = _composed(text)
    lines: dict[Path, int] = {}
    values = {} if node is None else _value(node, (), lines)
    if not isinstance(values, dict):
        raise _invalid((), lines[()], "the front matter must be a mapping of keys to values")
    try:
        FrontMatter.model_validate(values)
    except ValidationError as error:
        raise Invalid.of([_located(issue, lines) for issue in issues_of(error)]) from None
    return Read(values, markdown)


def _split(card: str) -> tuple[str | None, str]:
    start = _FENCE.match(card.removeprefix("\ufeff"))
    if start is None:
        return None, card
    card = card.removeprefix("\ufeff")
    end = _END.search(card, start.end())
    if end is None:
        raise _invalid((), 1, "the front matter has no end: a line of '---'")
    return card[start.end() : end.start()], card[end.end() :]


def _located(issue: Issue, lines: dict[Path, int]) -> Issue:
    """The issue with the line of the nearest node that is there."""
    path: Path = issue.loc[1:]
    while path not in lines:
        path = path[:-1]
    where = ".".join(str(part) for part in issue.loc[1:])
    return Issue(issue.loc, f"line {lines[path]}: {where}: {issue.message}", issue.type)


def _invalid(path: Path, line: int, message: str) -> Invalid:
    return Invalid.of([Issue(("body", *path), f"line {line}: {message}", "front_matter")])


@cache
def _yaml() -> tuple[Any, Any]:
    """PyYAML and a loader that knows the scalars of YAML 1.2's core schema. Raises Unsupported."""
    try:
        import yaml
    except ImportError:
        raise Unsupported("cards need PyYAML: pip install 'regesta[models]'", code="MISSING_EXTRA") from None

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # PyYAML has no types
        yaml_implicit_resolvers: dict[str, Any] = {}

    for tag, pattern, first in (
        ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
        ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
        ("int", r"^[-+]?[0-9]{1,18}$", list("-+0123456789")),
        (
            "float",
            r"^[-+]?(?:\.[0-9]{1,30}|[0-9]{1,30}(?:\.[0-9]{0,30})?)(?:[eE][-+]?[0-9]{1,2})?$",
            list("-+.0123456789"),
        ),
    ):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), first)
    return yaml, Loader


def _composed(text: str) -> Any:
    """The tree of YAML's nodes. Its first line is the second of the card."""
    yaml, loader = _yaml()
    try:
        for line, problem in _refused(yaml, yaml.parse(text, Loader=loader)):
            raise _invalid((), line, problem)
        return yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 2
        raise _invalid((), line, str(error.problem or error.context or "is no YAML")) from None
    except yaml.YAMLError:
        raise _invalid((), 1, "the front matter holds characters that YAML does not allow") from None


def _refused(yaml: Any, events: Iterator[Any]) -> Iterator[tuple[int, str]]:
    depth = nodes = documents = 0
    for event in events:
        line = event.start_mark.line + 2
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            yield line, "anchors and aliases are not taken"
        if getattr(event, "tag", None):
            yield line, "tags are not taken"
        documents += isinstance(event, yaml.DocumentStartEvent)
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if documents > 1:
            yield line, "there must be one document"
        if nodes > MOST_NODES or depth > DEEPEST:
            yield line, f"there may be {MOST_NODES} values, {DEEPEST} levels deep"


def _value(node: Any, path: Path, lines: dict[Path, int]) -> Any:
    lines[path] = line = node.start_mark.line + 2
    if node.id == "sequence":
        return [_value(item, (*path, index), lines) for index, item in enumerate(node.value)]
    if node.id == "mapping":
        found: dict[str, Any] = {}
        for key, value in node.value:
            at = key.start_mark.line + 2
            if key.id != "scalar" or not key.value:
                raise _invalid(path, at, "keys must be texts")
            if key.value in found:
                raise _invalid((*path, key.value), at, f"{key.value!r} is there twice")
            found[key.value] = _value(value, (*path, key.value), lines)
            lines[*path, key.value] = at
        return found
    return _scalar(node.tag.rpartition(":")[2], node.value, line, path)


def _scalar(kind: str, text: str, line: int, path: Path) -> Any:
    match kind:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text)
        case "float":
            return float(text)
        case "str":
            return text
    raise _invalid(path, line, f"{kind} is not taken")
