"""Many documents in one request: `POST /books` with a body of NDJSON, one result for each line."""

from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, Generic, TypeVar

from beanie import Document
from starlette.requests import Request
from starlette.responses import Response

from regesta.change import Caller
from regesta.declarations import Operation
from regesta.errors import Duplicate, ProblemError, TooLarge, Unavailable
from regesta.http.exchange import Exchange
from regesta.http.headers import JSON, media_type_of, precondition_of
from regesta.http.idempotency import refuse_idempotency_key
from regesta.http.line_answers import NDJSON, NOT_FOR_IMPORTS, REPEATED, LinesAnswer, failed_line
from regesta.http.lines import Line, Lines
from regesta.http.methods import VALIDATE_ONLY
from regesta.http.outbox import Outbox
from regesta.http.received import small_pieces_of
from regesta.operations import Work, Written, each_by_itself, relocated
from regesta.operations.actions import REPLACED
from regesta.operations.batches import Outcome, Settled
from regesta.pacing import Pace
from regesta.query import Parameter, parse_parameters
from regesta.resource import Resource
from regesta.schemas import dumps, json_line, parse_json, read_body

T = TypeVar("T", bound=Document)

# Lines that are written, and answered, together, and how many bytes they may have, but for one that has more.
CHUNK, CHUNK_BYTES = 200, 1024 * 1024

# What OpenAPI says of an import.
IMPORT_BODY: dict[str, Any] = {
    NDJSON[0]: {"schema": {"type": "string", "format": "binary", "description": "One document in each line."}}
}
IMPORT_ANSWER: dict[str, Any] = {
    "description": "The results of an import: one for each line, and a summary",
    "content": {
        NDJSON[0]: {
            "schema": {
                "type": "string",
                "description": '`{"line": 1, "status": 201, "key": "...", "etag": "..."}`, `{"line": 2, "status": 422, '
                '"problem": {...}}`, ..., `{"summary": {"created": 1, "replaced": 0, "skipped": 0, "failed": 1}}`',
            }
        }
    },
}


class OnConflict(StrEnum):
    """What becomes of a line whose document is there already."""

    FAIL = "fail"
    SKIP = "skip"
    REPLACE = "replace"


def is_import(request: Request) -> bool:
    """Whether the body says that it is NDJSON."""
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            return value != _JSON and b"ndjson" in value.lower()
    return False


_JSON = JSON.encode()


def conflict_choices(resource: Resource[Any]) -> tuple[OnConflict, ...]:
    """What clients may choose. `replace` only where whoever may import may replace, and by a key of the client's.

    Not where a replacement has dependencies that this route does not run, or needs an `If-Match` of its own.
    """
    chosen = resource.key not in resource.read_only
    here = [*resource.dependencies, *resource.operation_dependencies.get(Operation.CREATE, ())]
    guarded = any(needed not in here for needed in resource.operation_dependencies.get(Operation.REPLACE, ()))
    if Operation.REPLACE in resource.operations and chosen and not guarded and not resource.require_if_match:
        return tuple(OnConflict)
    return (OnConflict.FAIL, OnConflict.SKIP)


def conflict_parameter(resource: Resource[Any]) -> Parameter:
    """`on_conflict`, of imports alone."""
    choices = conflict_choices(resource)

    def read(text: str) -> OnConflict:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return OnConflict(text)

    schema = {"type": "string", "enum": [str(choice) for choice in choices]}
    # Without a default: generated clients send it, and what is no import must not have it.
    said = "Of an import: what becomes of a line whose document is there already; `fail` unless given."
    return Parameter(read, schema, said)


@dataclass(slots=True)
class _Run:
    """One import under way."""

    request: Request
    scope: Any
    actor: Any
    caller: Caller
    parents: tuple[str, ...]
    on_conflict: OnConflict
    validate_only: bool
    summary: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("created", "replaced", "skipped", "failed"), 0)
    )


class Imports(Generic[T]):
    """The imports of one resource. They are part of the route of `create`, so what it depends on they do."""

    def __init__(self, exchange: Exchange[T]) -> None:
        self._exchange = exchange
        self._operations = exchange.operations
        self._resource = exchange.resource
        self.parameters = {"on_conflict": conflict_parameter(exchange.resource)}
        self._allowed = self.parameters | {"validate_only": VALIDATE_ONLY}

    async def answer(self, request: Request, scope: Any, actor: Any) -> Response:
        """One result for each line, written while the body is still read; what the lines say is never the status."""
        parameters = parse_parameters(request.scope["query_string"], self._allowed)
        precondition_of(request).check(None)
        refuse_idempotency_key(request, REPEATED, NOT_FOR_IMPORTS)
        media_type_of(request, *NDJSON)
        caller = await self._exchange.callers.of(request, Operation.IMPORT, scope, actor)
        parents = self._exchange.keys(request)
        await self._operations.run(
            lambda unit: self._operations.parent_value(caller, parents, unit.session, live=True), transactional=False
        )
        on_conflict = parameters.get("on_conflict", OnConflict.FAIL)
        dry = parameters.get("validate_only", False)
        run = _Run(request, scope, actor, caller, parents, on_conflict, dry)
        return LinesAnswer(lambda outbox: self.run(run, outbox))

    async def run(self, run: _Run, outbox: Outbox) -> None:
        """Read the body to its end and write its lines. Raises what `small_pieces_of` raises."""
        lines = Lines(self._resource.max_body_size)
        async with aclosing(small_pieces_of(run.request)) as pieces:
            async for data in pieces:
                await self._write(run, lines.feed(data), outbox)
        await self._write(run, lines.rest(), outbox)
        await outbox.put(json_line({"summary": run.summary}))

    async def _write(self, run: _Run, lines: Iterator[Line], outbox: Outbox) -> None:
        pace = Pace()
        while chunk := _chunk(lines):
            results = await self._results(run, chunk)
            await pace.rest()
            await outbox.put(b"".join(map(json_line, results)))

    async def _results(self, run: _Run, lines: Sequence[Line]) -> list[dict[str, Any]]:
        """Write some lines, each by itself and in their order; together where that is as good."""
        pace, works = Pace(), list[Work | Settled[Outcome]]()
        for line in lines:
            works.append(await self._work(run, line))
            await pace.rest()
        try:
            outcomes = await each_by_itself(
                self._operations,
                works,
                lambda _, outcome: self._placed(outcome) if isinstance(outcome, ProblemError) else outcome,
                run.parents or None,
                validate_only=run.validate_only,
            )
        except ProblemError as error:
            outcomes = [error] * len(lines)
        return [self._result(run, line, outcome) for line, outcome in zip(lines, outcomes, strict=True)]

    def _result(self, run: _Run, line: Line, outcome: Outcome) -> dict[str, Any]:
        if isinstance(outcome, Duplicate) and run.on_conflict is OnConflict.SKIP:
            run.summary["skipped"] += 1
            skipped = {"line": line.number, "status": 200, "skipped": True}
            key = self._key(parse_json(line.text or b"", self._resource.max_body_values))
            return skipped if key is None else {**skipped, "key": key}
        if not isinstance(outcome, Written):
            return _failed(run, line, outcome or Unavailable())
        run.summary["created" if outcome.created else "replaced"] += 1
        said = {"line": line.number, "status": 201 if outcome.created else 200, "key": outcome.key}
        return said if run.validate_only else {**said, "etag": f'"{outcome.etag}"'}

    async def _work(self, run: _Run, line: Line) -> Work | Settled[Outcome]:
        """What a line does in a unit, or what is wrong with it already."""
        try:
            if line.text is None:
                raise TooLarge(f"a line may have at most {self._resource.max_body_size} bytes")
            bodies = self._operations.bodies
            text, sent = read_body(line.text, self._resource.max_body_values, bodies.widening)
            tree = self._exchange.checked(run.caller, sent)
            if run.on_conflict is OnConflict.REPLACE and (key := self._key(tree)) is not None:
                return await self._replacing(run, tree, key)
            build = bodies.builder(text, tree, run.caller.scope)
        except ProblemError as error:
            return Settled(self._placed(error))
        return lambda unit, dry: self._operations.create(run.caller, run.parents, build, unit, validate_only=dry)

    async def _replacing(self, run: _Run, tree: dict[str, Any], key: str) -> Work:
        """As PUT with `allow_missing` does it, after asking whether the caller may replace this one."""
        bodies = self._operations.bodies
        caller = await self._exchange.callers.of(run.request, Operation.REPLACE, run.scope, run.actor, key)
        self._exchange.check_scope(caller, [(name, ("body", name)) for name in tree])
        whole = bodies.with_key({name: value for name, value in tree.items() if name != self._key_name}, key)
        edit = bodies.replacement(whole, caller.scope)
        build = bodies.builder(dumps(whole), whole, caller.scope)
        return lambda unit, dry: self._operations.update(
            caller,
            (*run.parents, key),
            edit,
            events=REPLACED,
            otherwise=build,
            unit=unit,
            validate_only=dry,
        )

    def _placed(self, error: ProblemError) -> ProblemError:
        """The problem of a line, whose key is in the line and not in the path."""
        in_path, name = ("path", self._resource.singular), self._key_name
        return error if name is None else relocated(error, lambda loc: ("body", name) if loc == in_path else loc)

    @property
    def _key_name(self) -> str | None:
        return self._operations.codec.input_names.get(self._resource.key)

    def _key(self, tree: dict[str, Any]) -> str | None:
        """The key in a line as it stands in paths; None where it has none, or one that creating will refuse."""
        value = tree.get(self._key_name or "")
        return None if value is None else self._operations.addresses.keys.sent(dumps(value))


def _chunk(lines: Iterator[Line]) -> list[Line]:
    """The next lines that are written together."""
    chunk: list[Line] = []
    size = 0
    for line in islice(lines, CHUNK):
        chunk.append(line)
        size += len(line.text or b"")
        if size >= CHUNK_BYTES:
            break
    return chunk


def _failed(run: _Run, line: Line, error: ProblemError) -> dict[str, Any]:
    run.summary["failed"] += 1
    return failed_line(run.request, line, error)
