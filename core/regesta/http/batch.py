"""`POST /books:batch`: many writes in one request, by the same way as single ones."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from beanie import Document
from starlette.requests import Request
from starlette.responses import Response

from regesta.change import Caller
from regesta.declarations import BATCH_BODIES, BATCH_VALUES, Operation
from regesta.errors import Invalid, ProblemError, TooLarge
from regesta.http.batch_bodies import BatchBody, Item, read_batch
from regesta.http.exchange import Exchange
from regesta.http.headers import JSON, check_path, media_type_of
from regesta.http.idempotency import answer_once
from regesta.http.large_bodies import kept_answer, large_body_of
from regesta.http.methods import only_validates
from regesta.http.problems import problem_of
from regesta.http.responses import quoted
from regesta.operations import (
    JsonPatch,
    MergePatch,
    Operations,
    Patch,
    Unit,
    Work,
    Written,
    all_or_nothing,
    each_by_itself,
)
from regesta.operations.actions import REPLACED
from regesta.operations.batches import Bracket, Outcome, located, merged
from regesta.operations.repeats import Answer, Repeats
from regesta.pacing import Pace
from regesta.schemas import Path, Widen, check_storable, check_value_count, dumps, parse_json


class Batch:
    """The endpoint of one resource. It goes the ways of the endpoints of single writes, item by item."""

    def __init__(self, exchange: Exchange[Any]) -> None:
        self._exchange = exchange
        self._operations = exchange.operations
        self._resource = exchange.resource

    async def endpoint(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """Create, replace, patch and delete many documents, in the order of the operations.

        All of them are done or none; with `"atomic": false` each stands or falls by itself.
        """
        check_path(request)
        dry = only_validates(request)
        media_type_of(request, JSON)
        caller = await self._exchange.callers.of(request, Operation.BATCH, scope, actor)
        limit, most = self._resource.max_body_size * BATCH_BODIES, self._resource.max_body_values * BATCH_VALUES
        async with large_body_of(request, limit, self._resource.timeout) as body:
            pace, repeats = Pace(), self._exchange.repeats(request, caller, body)
            tree = parse_json(body, most)
            del body
            await pace.rest()
            check_storable(tree, self._widening(tree))
            await pace.rest()
            batch = read_batch(self._operations, tree)
            del tree
            return await self._answered(request, (scope, actor), caller, batch, repeats=repeats, dry=dry)

    async def _answered(
        self,
        request: Request,
        resolved: tuple[Any, Any],
        caller: Caller,
        batch: BatchBody,
        *,
        repeats: Repeats | None,
        dry: bool,
    ) -> Response:
        works = await self._prepared(request, resolved, caller, batch)
        atomic, keys = batch.atomic, [item.key if isinstance(item, Item) else None for item in batch.items]
        del batch  # what was sent is not needed any more, and much of what the garbage collector would look at
        parents = self._exchange.keys(request) or None
        if dry or repeats is None:
            outcomes = await self._done(works, parents, atomic=atomic, validate_only=dry)
            results = _results(request, keys, outcomes, validate_only=dry)
            return await kept_answer(results)

        async def perform(repeats: Repeats) -> Answer:
            answers: list[Answer] = []

            async def conclude(unit: Unit, outcomes: Sequence[Outcome]) -> None:
                content = b"".join([part async for part in _results(request, keys, outcomes)])
                answers.append(Answer(200, {}, content))
                await repeats.keep(unit, answers[-1])

            await self._done(works, parents, Bracket(repeats.begin, conclude), atomic=atomic)
            return answers[-1]

        return await answer_once(repeats, self._resource.timeout, perform)

    async def _prepared(
        self, request: Request, resolved: tuple[Any, Any], caller: Caller, batch: BatchBody
    ) -> list[Work | ProblemError]:
        """What each item will do, or what is wrong with it already."""
        callers, parents = self._exchange.callers, self._exchange.keys(request)
        works: list[Work | ProblemError] = []
        pace = Pace()
        for index, item in enumerate(batch.items):
            try:
                if isinstance(item, Invalid):
                    raise item
                own = await callers.of(request, item.operation, *resolved, item.key) if callers.asks else caller
                works.append(self._work(own, parents, item))
            except ProblemError as error:
                works.append(located(error, index))
            await pace.rest()
        return works

    def _widening(self, tree: Any) -> Widen:
        """What takes integers beyond 64 bits in the body of each operation."""

        def widen(path: Path, value: int) -> float | str | None:
            match path:
                case ["operations", int() as index, "body", *below]:
                    return self._operations.bodies.widening(tree["operations"][index]["body"])(below, value)
            return None

        return widen

    def _work(self, caller: Caller, parents: tuple[str, ...], item: Item) -> Work:
        """What the item does in a unit. Raises what is wrong with it."""
        if item.operation is Operation.CREATE:
            return self._creation(caller, parents, item.body)
        operations, keys = self._operations, (*parents, item.key or "")
        if self._resource.require_if_match:
            item.condition.demand()
        if item.operation is Operation.DELETE:
            return lambda unit, dry: operations.delete(
                caller, keys, condition=item.condition, cascade=item.cascade, unit=unit, validate_only=dry
            )
        if item.operation is Operation.PATCH:
            patch = operations.bodies.patched(self._patch(caller, item.body))
            return lambda unit, dry: operations.update(
                caller, keys, patch, condition=item.condition, unit=unit, validate_only=dry
            )
        tree = self._exchange.checked(caller, item.body)
        tree = operations.bodies.with_key(tree, keys[-1])
        build = operations.bodies.builder(self._encoded(tree), tree, caller.scope)
        edit = operations.bodies.replacement(tree, caller.scope)
        return lambda unit, dry: operations.update(
            caller,
            keys,
            edit,
            condition=item.condition,
            events=REPLACED,
            otherwise=build if item.allow_missing else None,
            unit=unit,
            validate_only=dry,
        )

    def _creation(self, caller: Caller, parents: tuple[str, ...], body: Any) -> Work:
        tree = self._exchange.checked(caller, body)
        return Creation(self._operations, caller, parents, self._encoded(tree), tree)

    def _patch(self, caller: Caller, body: Any) -> Patch:
        self._encoded(body)
        patch: Patch = (
            JsonPatch(body, self._operations.bodies.unreadable_names) if isinstance(body, list) else MergePatch(body)
        )
        self._exchange.check_scope(caller, patch.touched())
        return patch

    def _encoded(self, body: Any) -> bytes:
        """The body as if it had been sent alone. Raises TooLarge where it could not have been."""
        encoded = dumps(body)
        if len(encoded) > self._resource.max_body_size:
            raise TooLarge(f"the body may have at most {self._resource.max_body_size} bytes")
        check_value_count(encoded, self._resource.max_body_values)
        return encoded

    async def _done(
        self,
        works: Sequence[Work | ProblemError],
        parents: Any,
        bracket: Bracket | None = None,
        *,
        atomic: bool,
        validate_only: bool = False,
    ) -> Sequence[Outcome]:
        if not atomic:
            return await each_by_itself(self._operations, works, parents, bracket=bracket, validate_only=validate_only)
        if failures := [work for work in works if isinstance(work, ProblemError)]:
            raise merged(failures)
        ready = [work for work in works if not isinstance(work, ProblemError)]
        return await all_or_nothing(self._operations, ready, parents, bracket=bracket, validate_only=validate_only)


async def _results(
    request: Request, keys: Sequence[str | None], outcomes: Sequence[Outcome], *, validate_only: bool = False
) -> AsyncGenerator[bytes]:
    """The JSON of the answer, part by part."""
    pace, before = Pace(), b'{"results":['
    for key, outcome in zip(keys, outcomes, strict=True):
        yield before + dumps(_result(request, key, outcome, validate_only=validate_only))
        before = b","
        await pace.rest()
    yield b"]}"


class Creation:
    """The creation of a document, which is built at once. Raises Invalid.

    A thousand of them wait for their turn: so it keeps the body as bytes, and is one object where a closure over as
    much would be a dozen. The garbage collector looks at each.
    """

    __slots__ = ("_body", "_caller", "_first", "_operations", "_parents")

    def __init__(
        self, operations: Operations[Any], caller: Caller, parents: tuple[str, ...], body: bytes, tree: dict[str, Any]
    ) -> None:
        self._operations, self._caller, self._parents, self._body = operations, caller, parents, body
        self._first: Document | None = operations.bodies.builder(body, tree, caller.scope)()

    async def __call__(self, unit: Unit | None, dry: bool) -> Written[Any]:  # noqa: FBT001 - see Work
        """Create it in this unit."""
        create = self._operations.create
        written: Written[Any] = await create(self._caller, self._parents, self._built, unit, validate_only=dry)
        return written

    def _built(self) -> Any:
        """The document; another one each time."""
        built, self._first = self._first, None
        return (
            built
            or self._operations.bodies.builder(
                self._body,
                parse_json(self._body, self._operations.resource.max_body_values),
                self._caller.scope,
            )()
        )


def _result(request: Request, key: str | None, outcome: Outcome, *, validate_only: bool) -> dict[str, Any]:
    """What became of one operation: as a single write would have been answered."""
    if isinstance(outcome, ProblemError):
        return {"status": outcome.status, "problem": problem_of(outcome, request.scope["path"])}
    if outcome is None:
        return {"status": 204, "key": key}
    shown = {"key": outcome.key, "item": outcome.codec.wire(outcome.raw)}
    if validate_only:
        return {"status": 200, **shown}
    return {"status": 201 if outcome.created else 200, "etag": quoted(outcome.etag), **shown}
