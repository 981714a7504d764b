"""Values that are found by keys: entries of lists, and mappings."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

import mongomock
import pytest
from beanie import Document
from pydantic import BaseModel, Field
from pymongo import MongoClient

from regesta import DeclarationError, Entries, Resource
from regesta.errors import Invalid, Malformed
from regesta.query import QueryRules, described_keys
from regesta.watch import matcher


class Word(BaseModel):
    key: str
    value: str = ""


class Score(BaseModel):
    name: str = Field(alias="of")
    value: float
    dataset: str | None = None
    split: str | None = None


class Net(Document):
    tags: Annotated[list[Word], Field(max_length=9), Entries()] = []
    scores: Annotated[list[Score], Entries(key="name", qualifiers=("dataset", "split"))] = []
    params: dict[str, str | int | float | bool] = {}
    sizes: dict[str, int] = {}
    team: str = ""

    class Settings:
        indexes: ClassVar = [
            [("team", 1), ("tags.key", 1), ("tags.value", 1), ("_id", 1)],
            [("params.$**", 1)],
        ]


FILTERS = ["tags", "scores", "params", "sizes", "tags.key"]
RULES = QueryRules(Resource(Net, filters=FILTERS))
NETS: list[dict[str, Any]] = [
    {
        "_id": 1,
        "tags": [{"key": "family", "value": "vit"}, {"key": "other", "value": "cnn"}],
        "scores": [
            {"of": "top1", "value": 80.0, "dataset": "imagenet", "split": "val"},
            {"of": "top1", "value": 90.0, "dataset": "real", "split": "val"},
        ],
        "params": {"depth": 12, "opt": "adam", "flag": True, "v": "12"},
        "sizes": {"w": 3},
    },
    {
        "_id": 2,
        "tags": [{"key": "family", "value": "cnn"}, {"key": "a.b-c", "value": "true"}, {"key": "key", "value": "k"}],
        "scores": [{"of": "top1", "value": 86.0, "dataset": "imagenet", "split": None}],
        "params": {"depth": 50.5, "opt": "sgd", "flag": False},
        "sizes": {},
    },
    {"_id": 3, "tags": [], "scores": [], "params": {}},
    {
        "_id": 4,
        "tags": [{"key": "other", "value": "vit"}, {"key": 'quo"te\\', "value": "1"}],
        "params": {"depth": "deep"},
    },
]
MEANT: list[tuple[str, set[int]]] = [
    ("tags.family = vit", {1}),
    ('tags.family = "vit"', {1}),
    ("tags.family != vit", {2, 3, 4}),
    ("NOT tags.family = vit", {2, 3, 4}),
    ("tags.family = v*", {1}),
    ("tags.family:n", {2}),
    ("tags.family:*", {1, 2}),
    ("tags:family", {1, 2}),
    ("NOT tags:family", {3, 4}),
    ("tags:*", {1, 2, 4}),
    (r'tags."quo\"te\\" = 1', {4}),
    ('tags."a.b-c" = "true"', {2}),
    ("tags.'a.b-c' = true", {2}),
    ('tags:"a.b-c"', {2}),
    ('tags."key" = k', {2}),
    ("tags.key:family", {1, 2}),
    ("tags.family >= d", {1}),
    ("scores.top1 > 85", {1, 2}),
    ("scores.top1.imagenet > 85", {2}),
    ("scores.top1.imagenet.val < 85", {1}),
    ('scores.top1."real" > 85 AND tags.family = vit', {1}),
    ("scores.top1 = 86", {2}),
    ("scores.top1:*", {1, 2}),
    ("scores.top1.real:*", {1}),
    ("scores:top1", {1, 2}),
    ("params.depth > 10", {1, 2}),
    ("params.depth = 12", {1}),
    ("params.depth = 12.0", {1}),
    ("params.v = 12", set()),
    ('params.v = "12"', {1}),
    ("params.depth = deep", {4}),
    ("params.depth:*", {1, 2, 4}),
    ("params:depth", {1, 2, 4}),
    ("params:*", {1, 2, 4}),
    ("params.flag = true", {1}),
    ("params.flag != true", {2, 3, 4}),
    ('params."opt" = "s*"', {2}),
    ("sizes.w >= 3", {1}),
    ("sizes:*", {1}),
]


@pytest.fixture(scope="module")
def nets(mongod_uri: str) -> Iterator[Any]:
    with MongoClient[Any](mongod_uri) as client:
        client["test_keyed"]["nets"].insert_many(NETS)
        yield client["test_keyed"]["nets"]
        client.drop_database("test_keyed")


def read(text: str) -> dict[str, Any]:
    return RULES.parse(urlencode({"filter": text}).encode()).filter


@pytest.mark.parametrize(("text", "ids"), MEANT)
def test_what_is_found(nets: Any, text: str, ids: set[int]) -> None:
    wanted = read(text)
    assert {raw["_id"] for raw in nets.find(wanted)} == ids
    in_memory: Any = mongomock.MongoClient()["memory"]["nets"]
    in_memory.insert_many(NETS)
    assert {raw["_id"] for raw in in_memory.find(wanted)} == ids
    predicate = matcher(wanted, nets.codec_options)
    assert {raw["_id"] for raw in NETS if predicate(raw)} == ids


def test_one_entry_has_all_of_it() -> None:
    compared = {"of": "top1", "dataset": "imagenet", "value": {"$gt": 85.0}}
    assert read("scores.top1.imagenet > 85") == {"scores": {"$elemMatch": compared}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scores.top1 > high", "at character 15: scores.top1 must be a number"),
        ('scores.top1 > "1"', "scores.top1 is no text"),
        ("tags.a.b = 1", "at character 1: tags is written tags.KEY"),
        ("scores.a.b.c.d = 1", "scores is written scores.OF[.DATASET[.SPLIT]]"),
        ("tags = vit", "tags has values under keys"),
        ("params > 1", "params has values under keys"),
        ('params."a.b" = 1', "params has no keys with '.'"),
        ('params."$where" = 1', "or '$' in front"),
        ('params:"$where"', "or '$' in front"),
        ('tags."" = 1', "a key has 1 to"),
        (r'tags."a\n" = 1', "not before 'n'"),
        ('tags."a\0" = 1', "NUL"),
        ("params.flag > true", "params.flag cannot be compared by >"),
        ("sizes.w = 1.5", "sizes.w must be an integer"),
        ("other.key = 1", "'other.key' cannot be filtered by"),
        ("tags.family = 1s2*3", "'*' stands for anything at the ends"),
    ],
)
def test_what_means_nothing(text: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(text)
    assert said in " ".join(issue.message for issue in refused.value.issues)


def test_what_cannot_be_parsed() -> None:
    for text in ('tags."a = 1', "tags. = 1", 'tags."a""b" = 1', '"tags".a = 1'):
        with pytest.raises(Malformed):
            read(text)


def test_it_is_said() -> None:
    (shown,) = [found for found in RULES.openapi_parameters() if found["name"] == "filter"]
    assert "Of tags.KEY, scores.OF[.DATASET[.SPLIT]], params.KEY, sizes.KEY, tags.key." in shown["description"]
    said = described_keys(RULES.filters)
    assert said["scores"] == {
        "written": "scores.OF[.DATASET[.SPLIT]]",
        "operators": ["eq", "ne", "gt", "gte", "lt", "lte", "exists"],
        "schema": {"type": "number", "format": "double"},
    }
    assert said["tags"]["operators"][-3:] == ["prefix", "contains", "exists"]
    assert len(said["params"]["schema"]["anyOf"]) == 3
    assert set(RULES.operators()) == {"tags.key"}
    assert set(RULES.facets) == {"tags.key"}


INDEXED = QueryRules(Resource(Net, filters=FILTERS, indexed_only=True, scope_fields=["team"]))


@pytest.mark.parametrize(
    ("text", "served"),
    [
        ("tags.family = vit", True),
        ("tags:family", True),
        ("tags.family != vit", False),
        ("tags.family != vit AND params.depth > 3", True),
        ("params.depth > 3", True),
        ("params:depth", True),
        ("params.depth != 3", False),
        ("params.opt = a*", True),
        ("tags.family = vit OR NOT params.depth = 1", False),
    ],
)
def test_indexes(nets: Any, text: str, served: bool) -> None:
    assert {field.wire for field in INDEXED.filters} == {"tags", "params", "tags.key"}
    asked = urlencode({"filter": text}).encode()
    if not served:
        with pytest.raises(Invalid):
            INDEXED.parse(asked)
        return
    for keys in Net.Settings.indexes:
        nets.create_index(keys)
    query = INDEXED.parse(asked)
    planned = nets.find({"team": "t", **query.filter}).explain()["queryPlanner"]
    # Which is best, MongoDB finds out by trying, and so few documents teach it nothing.
    assert any(map(narrows, [planned["winningPlan"], *planned["rejectedPlans"]])), planned


def narrows(plan: Mapping[str, Any]) -> bool:
    """Whether an index is looked at within bounds."""
    bounds = plan.get("indexBounds", {})
    return any("MinKey" not in str(bound) for path, bound in bounds.items() if path != "team") or any(
        narrows(inner) for inner in (plan.get("inputStage"), *plan.get("inputStages", ())) if inner
    )


def test_wrong_declarations() -> None:
    class Bare(BaseModel):
        key: str
        number: int

    class A(Document):
        words: Annotated[list[str], Entries()] = []

    class B(Document):
        words: Annotated[list[Bare], Entries()] = []

    class C(Document):
        words: Annotated[list[Bare], Entries(key="number", value="key")] = []

    for document, said in ((A, "a list of models"), (B, "no field 'value'"), (C, "no text")):
        with pytest.raises(DeclarationError, match=said):
            QueryRules(Resource(document, filters=["words"]))
