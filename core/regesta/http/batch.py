"""`POST /books:batch`: many writes in one request, by the same way as single ones."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from regesta.change import Caller
from regesta.declarations import BATCH_BODIES, BATCH_VALUES, Operation
from regesta.errors import Invalid, ProblemError, TooLarge
from regesta.http.batch_bodies import BatchBody, Item, read_batch
from regesta.http.batch_works import Creation, Deletion, Edition
from regesta.http.exchange import Exchange
from regesta.http.headers import JSON, check_path, media_type_of
from regesta.http.idempotency import answer_once
from regesta.http.large_bodies import Parts, kept_answer, large_body_of
from regesta.http.methods import only_validates
from regesta.http.problems import problem_of
from regesta.http.responses import quoted
from regesta.operations import (
    JsonPatch,
    MergePatch,
    Patch,
    Unit,
    Work,
    all_or_nothing,
    each_by_itself,
)
from regesta.operations.actions import REPLACED
from regesta.operations.batches import Bracket, Failures, Keep, Outcome, Settled, whole
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
        with Parts() as parts:
            keys = [item.key if isinstance(item, Item) else None for item in batch.items]

            def keep(index: int, outcome: Outcome) -> slice:
                return parts.put(dumps(_result(request, keys[index], whole(index, outcome), validate_only=dry)))

            atomic, works = batch.atomic, await self._prepared(request, resolved, caller, batch, keep)
            del batch  # what was sent is not needed any more, and much of what the garbage collector would look at
            way = all_or_nothing if atomic else each_by_itself
            doing = partial(way, self._operations, works, keep, self._exchange.keys(request) or None)
            if dry or repeats is None:
                return await kept_answer(_results(parts, await doing(validate_only=dry)))

            async def perform(repeats: Repeats) -> Answer:
                answers: list[Answer] = []

                async def conclude(unit: Unit, results: Sequence[slice]) -> None:
                    content = b"".join([part async for part in _results(parts, results)])
                    answers.append(Answer(200, {}, content))
                    await repeats.keep(unit, answers[-1])

                await doing(bracket=Bracket(repeats.begin, conclude))
                return answers[-1]

            return await answer_once(repeats, self._resource.timeout, perform)

    async def _prepared(
        self,
        request: Request,
        resolved: tuple[Any, Any],
        caller: Caller,
        batch: BatchBody,
        keep: Keep[slice],
    ) -> list[Any]:
        """What each item will do; of a batch that is not atomic also what is kept of those that are wrong already.

        Raises what is wrong with one that is atomic.
        """
        callers, parents = self._exchange.callers, self._exchange.keys(request)
        works, failures, pace = list[Work | Settled[slice]](), Failures(), Pace()
        for index, item in enumerate(batch.items):
            try:
                if isinstance(item, Invalid):
                    raise item
                own = await callers.of(request, item.operation, *resolved, item.key) if callers.asks else caller
                works.append(self._work(own, parents, item))
            except ProblemError as error:
                if batch.atomic:
                    failures.add(index, error)
                else:
                    works.append(Settled(keep(index, error)))
            await pace.rest()
        failures.check()
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
            return Deletion(operations, caller, keys, item.condition, item.cascade)
        if item.operation is Operation.PATCH:
            edit = operations.bodies.patched(self._patch(caller, item.body))
            return Edition(operations, caller, keys, edit, item.condition)
        tree = self._exchange.checked(caller, item.body)
        tree = operations.bodies.with_key(tree, keys[-1])
        build = operations.bodies.builder(self._encoded(tree), tree, caller.scope) if item.allow_missing else None
        edit = operations.bodies.replacement(tree, caller.scope)
        return Edition(operations, caller, keys, edit, item.condition, REPLACED, build)

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


async def _results(parts: Parts, places: Sequence[slice]) -> AsyncGenerator[bytes]:
    """The JSON of the answer, part by part."""
    pace, before = Pace(), b'{"results":['
    for place in places:
        yield before + parts.get(place)
        before = b","
        await pace.rest()
    yield b"]}"


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
