"""Lineages: the versions that a version was made from, or that were made from it, as a graph.

A version names its parents by model and number (`lineage.parents`), and carries its own name in the same form
(`reference`), by which MongoDB follows them. A model that gets another name takes both along.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from pymongo.errors import OperationFailure

from regesta import Caller, Change, Conflict, Invalid, Issue, NotFound, ProblemRoute, Registry, Unsupported, caller_of
from regesta.errors import Malformed, Unavailable
from regesta.http import Tag, problem_answers, resolve_path_keys
from regesta.operations import bounded
from regesta.pacing import Pace
from regesta.query import Parameter, parse_parameters, size_parameter
from regesta.schemas import dumps
from regesta.store import Atomicity, Rows, aggregated_rows, atomicity_of, collection_of
from regesta_models.artifact_routes import ModelKey
from regesta_models.documents import Registered, Version
from regesta_models.version_keys import LOCATED, AnyVersionKey

PATH = "/models/{model}/versions/{version}:lineage"
USUAL_DEPTH, MOST_DEPTH, MOST_NODES, MOST_EDGES = 3, 20, 500, 10_000
TAGS: list[str | Enum] = [Tag("lineage", "What a version was made from, and what was made from it.")]
TURNS = "regesta_lineage_turns"
# MongoDB's: a $graphLookup needs more than 100 MB.
TOO_MUCH_MEMORY = frozenset({40099, 292, 16945})
_SHOWN = ("model_id", "reference", "lineage", "status", "stage")


class Direction(StrEnum):
    """Where to look: `up` at what a version was made from, `down` at what was made from it."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


class LineageNode(BaseModel):
    """A version, a data set, or a model that a card names as what it is based on."""

    id: str = Field(description="`version:resnet/3`, `dataset:imagenet`, `model:timm/resnet50`: unique in the graph.")
    type: Literal["version", "dataset", "model"]
    model: str | None = None
    version: int | None = None
    name: str | None = Field(default=None, description="Of a data set.")
    distance: int = Field(description="Edges from the version asked for: less than 0 for what it was made from.")
    exists: bool = Field(default=True, description="false: named, and not in this registry (any more).")
    status: str | None = None
    stage: str | None = None


class LineageEdge(BaseModel):
    """`from` was made from `to`, trained on it, or is based on it as its card says."""

    from_: str = Field(alias="from")
    to: str
    kind: Literal["derived_from", "trained_on", "based_on"]


class LineageGraph(BaseModel):
    """What a version comes from, and what comes from it."""

    root: str
    nodes: list[LineageNode]
    edges: list[LineageEdge]
    truncated: bool = Field(
        description=f"Whether there are more than {MOST_NODES} versions or {MOST_EDGES} edges; the nearest are here."
    )


@dataclass(slots=True)
class _Graph:
    """The graph while it is put together."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    edges: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    raws: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, raw: Mapping[str, Any], distance: int) -> None:
        """A version and its data sets."""
        identity = _named(raw["reference"])
        if identity in self.nodes:
            return
        self.raws.append(raw)
        self.nodes[identity] = {
            "id": identity,
            "type": "version",
            **raw["reference"],
            "distance": distance,
            "exists": True,
            **{name: raw.get(name) for name in ("status", "stage")},
        }
        for name in raw["lineage"]["datasets"]:
            one = {"id": f"dataset:{name}", "type": "dataset", "name": name, "distance": distance - 1, "exists": True}
            self.nodes.setdefault(one["id"], one)
            self.edges[identity, one["id"]] = {"from": identity, "to": one["id"], "kind": "trained_on"}

    async def connect(self, asked: int, pace: Pace, *, up: bool, complete: bool) -> None:
        """The edges between versions. A parent that was looked for and not found is told as one that is not there."""
        for raw in self.raws:
            await pace.rest()
            if len(self.edges) >= 2 * MOST_EDGES:
                return
            identity = _named(raw["reference"])
            distance = self.nodes[identity]["distance"]
            for parent in raw["lineage"]["parents"]:
                above = _named(parent)
                if above not in self.nodes:
                    if not (up and complete and -asked < distance <= 0):
                        continue
                    missing = {"type": "version", **parent, "distance": distance - 1, "exists": False}
                    self.nodes[above] = {"id": above, **missing}
                self.edges[identity, above] = {"from": identity, "to": above, "kind": "derived_from"}

    def add_base(self, raw: Mapping[str, Any], name: str, *, exists: bool) -> None:
        """What a version's card says that it is based on."""
        identity, base = _named(raw["reference"]), f"model:{name}"
        distance = self.nodes[identity]["distance"] - 1
        node = {"id": base, "type": "model", "model": name, "distance": distance, "exists": exists}
        self.nodes.setdefault(base, node)
        self.edges[identity, base] = {"from": identity, "to": base, "kind": "based_on"}


class Lineages:
    """Follows lineages."""

    def __init__(self, registry: Registry) -> None:
        self._registry, self._versions = registry, registry["versions"]

    async def graph(self, caller: Caller, model: str, number: str, direction: Direction, depth: int) -> dict[str, Any]:
        """The graph. Raises NotFound, Invalid where it is too large, Unsupported in memory, Unavailable."""
        versions = self._versions
        async with bounded(versions.resource.timeout):
            if await atomicity_of(versions.collection) is Atomicity.LOCK:
                raise Unsupported("the memory store follows no lineages", code="LINEAGE_UNSUPPORTED")
            root = await versions.find(caller, (model, number))
            if root is None:
                raise NotFound(f"there is no version {number!r}")
            graph, truncated, pace = _Graph(), False, Pace()
            graph.add(root, 0)
            for way in (Direction.UP, Direction.DOWN):
                if direction in (way, Direction.BOTH):
                    found = await self._followed(caller, root["_id"], way, depth)
                    truncated |= found.more
                    for raw in found.documents:
                        await pace.rest()
                        if len(graph.edges) >= MOST_EDGES:
                            truncated = True
                            break
                        away = int(raw["distance"]) + 1
                        graph.add(raw, -away if way is Direction.UP else away)
            await graph.connect(depth, pace, up=direction is not Direction.DOWN, complete=not truncated)
            if direction is not Direction.DOWN:
                await self._add_bases(caller, graph, depth)
        nodes, edges = list(graph.nodes.values()), list(graph.edges.values())
        return {"root": _named(root["reference"]), "nodes": nodes, "edges": edges, "truncated": truncated}

    async def _add_bases(self, caller: Caller, graph: _Graph, depth: int) -> None:
        """What the cards of these versions, or of their models, name as base models."""
        near = [raw for raw in graph.raws if -depth < graph.nodes[_named(raw["reference"])]["distance"] <= 0]
        of_versions = await self._bases(caller, "version-cards", "version_id", {raw["_id"] for raw in near})
        of_models = await self._bases(caller, "model-cards", "model_id", {raw["model_id"] for raw in near})
        found = [(raw, of_versions.get(raw["_id"], of_models.get(raw["model_id"], []))) for raw in near]
        named = sorted({name for _, names in found for name in names})
        models = self._registry["models"].collection.find({**caller.scope, "name": {"$in": named}}, {"name": 1})
        here = {raw["name"] for raw in await models.to_list(None)} if named else set()
        for raw, names in found:
            for name in names:
                graph.add_base(raw, name, exists=name in here)

    async def _bases(self, caller: Caller, cards: str, field: str, of: set[Any]) -> dict[Any, list[str]]:
        wanted = {**caller.scope, field: {"$in": list(of)}}
        found = self._registry[cards].collection.find(wanted, {field: 1, "base_models": 1})
        return {raw[field]: raw.get("base_models", []) for raw in await found.to_list(None)}

    async def _followed(self, caller: Caller, root: Any, way: Direction, depth: int) -> Rows:
        """The nearest versions in one direction, as many as are shown at most."""
        parents, own = "lineage.parents", "reference"
        start, end = (parents, own) if way is Direction.UP else (own, parents)
        lookup = {
            "from": self._versions.collection.name,
            "startWith": f"${start}",
            "connectFromField": start,
            "connectToField": end,
            "maxDepth": depth - 1,
            "depthField": "distance",
            "restrictSearchWithMatch": {**caller.scope, **self._versions.rules.live},
            "as": "found",
        }
        pipeline: Sequence[Mapping[str, Any]] = [
            {"$match": {"_id": root}},
            {"$graphLookup": lookup},
            {"$unwind": "$found"},
            {"$project": {"_id": "$found._id", "distance": "$found.distance"} | {n: f"$found.{n}" for n in _SHOWN}},
            {"$sort": {"distance": 1, "_id": 1}},
            {"$limit": MOST_NODES + 1},
        ]
        try:
            seconds = self._versions.resource.timeout
            return await aggregated_rows(self._versions.collection, pipeline, seconds, count=MOST_NODES)
        except OperationFailure as error:
            if error.code in TOO_MUCH_MEMORY:
                raise Invalid.of([Issue(("query", "depth"), "leads to too many versions: ask for less")]) from error
            raise


def names_parents(change: Change[Registered]) -> bool:
    """Whether a change gives a version parents that it had not."""
    before, after = change.before, change.after
    if not isinstance(after, Version) or not after.lineage.parents:
        return False
    return not isinstance(before, Version) or before.lineage.parents != after.lineage.parents


async def check_lineage(change: Change[Registered]) -> None:
    """Raises Conflict where a version would be made from itself, by whatever way.

    Of two changes that close a cycle together one has to see the other: all that name parents in one workspace write
    one document.
    """
    version, collection = change.after, collection_of(Version)
    if not isinstance(version, Version) or version.reference is None:
        return
    if change.session is not None:
        turn = {"_id": version.workspace}
        await collection.database[TURNS].update_one(turn, {"$inc": {"taken": 1}}, upsert=True, session=change.session)
    own = version.reference.model_dump()
    open_ = [parent.model_dump() for parent in version.lineage.parents]
    scope, seen = {"workspace": version.workspace}, set[str]()
    if (
        own not in open_
        and await collection.find_one({**scope, "lineage.parents": own}, session=change.session) is None
    ):
        return
    while open_:
        if own in open_:
            raise Conflict(f"version {version.number} would be made from itself", code="LINEAGE_CYCLE")
        seen |= set(map(_named, open_))
        found = collection.find({**scope, "reference": {"$in": open_}}, {"lineage.parents": 1}, session=change.session)
        above = {_named(each): each async for raw in found for each in raw["lineage"]["parents"]}
        open_ = [each for name, each in above.items() if name not in seen]


def _named(reference: Mapping[str, Any]) -> str:
    return f"version:{reference['model']}/{reference['version']}"


def _direction(text: str) -> Direction:
    try:
        return Direction(text)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(Direction)}") from None


PARAMETERS: dict[str, Parameter] = {
    "direction": Parameter(
        _direction,
        {"type": "string", "enum": [str(way) for way in Direction], "default": "both"},
        "`up`: what it was made from, `down`: what was made from it.",
    ),
    "depth": size_parameter(USUAL_DEPTH, MOST_DEPTH, "How many edges away at most"),
}


def lineage_router(registry: Registry) -> APIRouter:
    """`GET /models/{model}/versions/{version}:lineage`."""
    lineages = Lineages(registry)
    router = APIRouter(route_class=ProblemRoute)

    @router.get(
        PATH,
        operation_id="get_version_lineage",
        summary="Show what a version was made from, and what was made from it",
        description="A graph of versions, data sets and base models, up to `depth` edges away from this version.",
        tags=TAGS,
        response_model=LineageGraph,
        responses={
            200: {"description": "The graph", "headers": LOCATED},
            **problem_answers(Malformed, NotFound, Invalid, Unavailable, Unsupported),
        },
        openapi_extra={"parameters": [found.openapi(name) for name, found in PARAMETERS.items()]},
    )
    async def get_version_lineage(
        request: Request,
        model: ModelKey,
        version: AnyVersionKey,
        caller: Annotated[Caller, Depends(caller_of(registry["versions"], "get_version_lineage"))],
    ) -> Response:
        asked = parse_parameters(request.scope["query_string"], PARAMETERS)
        direction = asked.get("direction", Direction.BOTH)
        _, number = await resolve_path_keys(request, registry["versions"], caller, (model, version))
        graph = await lineages.graph(caller, model, number, direction, asked.get("depth", USUAL_DEPTH))
        return Response(dumps(graph), media_type="application/json")

    router.add_api_route(PATH, get_version_lineage, methods=["HEAD"], include_in_schema=False)
    return router
