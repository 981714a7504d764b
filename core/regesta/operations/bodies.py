"""What bodies make of documents: new ones, replacements, patched ones."""

import copy
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from beanie import Document
from pydantic import BaseModel

from regesta.errors import Invalid, Issue, TooLarge, Unreadable
from regesta.operations.addresses import Addresses
from regesta.operations.edits import BodyEdit
from regesta.operations.pages import Stored
from regesta.operations.patches import JsonPatch, Patch
from regesta.pacing import Pace
from regesta.schemas import (
    Codec,
    ModelReader,
    Path,
    Widen,
    dumps,
    has_more_values,
    shortened,
    value_count,
    widened,
)
from regesta.store import legible

T = TypeVar("T", bound=Document)

NO_SCOPE: Mapping[str, Any] = {}


# Makes the changed document of a stored one, in steps between which others may run.
BodyChange = Callable[[Stored[T], T], Awaitable[T]]


class Bodies(Generic[T]):
    """The ways from a checked body to a document of one resource."""

    def __init__(self, codec: Codec[T], addresses: Addresses[T]) -> None:
        self._codec = codec
        self._addresses = addresses
        models = codec.resource.schemas
        self._models = [model for model in (models.create, models.replace, models.patch, codec.document) if model]
        self._create, self._replace, self._patch = map(_reader, (models.create, models.replace, models.patch))
        self.unreadable_names = frozenset(
            codec.input_names[name] for name in codec.unreadable if name in codec.input_names
        )

    def widening(self, tree: Any) -> Widen:
        """Return what takes integers beyond 64 bits in a body: of a document, a merge patch or a JSON Patch."""

        def widen(path: Path, value: int) -> float | str | None:
            if isinstance(tree, list):
                path = _path_of_operation(tree, path)
            found = (widened(model, path, value) for model in self._models) if path else ()
            return next((instead for instead in found if instead is not None), None)

        return widen

    def checked(self, tree: Any) -> dict[str, Any]:
        """The body, once it is an object. Raises Invalid."""
        if not isinstance(tree, dict):
            raise Invalid.of([Issue(("body",), "must be a JSON object", "object_type")])
        return tree

    def with_key(self, tree: Mapping[str, Any], text: str) -> dict[str, Any]:
        """The body with the path's key, where it has none. Raises Invalid where it has another."""
        name = self._codec.input_names.get(self._codec.resource.key)
        if name is None:
            return dict(tree)
        self._addresses.key_value(text)
        keys = self._addresses.keys
        if name not in tree:
            return {name: keys.json(text), **tree}
        if tree[name] != text and keys.sent(dumps(tree[name])) != text:
            raise Invalid.of([Issue(("body", name), f"is not {text!r}, the key in the path", "immutable")])
        return dict(tree)

    def builder(self, body: bytes, tree: Mapping[str, Any], scope: Mapping[str, Any] = NO_SCOPE) -> Callable[[], T]:
        """A function that makes a new document of the body each time. It raises Invalid.

        Fields that the scope sets are there when the body is validated: no client sends them, and they may be required.
        """
        given = self._addresses.scopes.given(scope)

        def build() -> T:
            if self._create:
                return self._codec.from_values(self._create.read(dumps(tree)) | given)
            refused = self._codec.refused(tree)
            if refused:
                with _beside(refused):
                    self._codec.from_body(dumps(self._accepted(tree)), given)
            return self._codec.from_body(body, given)

        return build

    def _accepted(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body without the fields that clients may not send."""
        return {name: value for name, value in tree.items() if self._codec.accepts(name)}

    def replacement(self, tree: Mapping[str, Any], scope: Mapping[str, Any] = NO_SCOPE) -> BodyChange[T]:
        """An edit that puts the body in place of all that clients see and send. It raises Invalid."""
        given = self._addresses.scopes.given(scope)

        async def edit(stored: Stored[T], document: T) -> T:
            codec = stored.codec
            seen = codec.inputs.keys() - {codec.input_names.get(name) for name in codec.hidden}
            reset = ({codec.inputs[name] for name in seen} - given.keys()) | set(document.__pydantic_extra__ or {})
            made = BodyEdit(stored, document, _sendable(stored), self._replace).made
            refused = [] if self._replace else codec.refused(tree)
            if refused:
                accepted = self._accepted(tree)
                with _beside(refused):
                    await made(accepted, reset)
            return await made(tree, reset)

        return edit

    def patched(self, patch: Patch) -> BodyChange[T]:
        """An edit that applies the patch. It raises Invalid, Conflict."""

        async def edit(stored: Stored[T], document: T) -> T:
            refused = stored.codec.refusals(patch.touched())
            if refused and isinstance(patch, JsonPatch):  # Its operations build on each other.
                raise Invalid.of(refused)
            if refused:
                with _beside(refused):
                    await self._patched(patch, stored, document)
            return await self._patched(patch, stored, document)

        return edit

    async def _patched(self, patch: Patch, stored: Stored[T], document: T) -> T:
        """Return the document with the patch applied to the fields that clients may send."""
        codec, pace = stored.codec, Pace()
        before = codec.sendable(stored.raw)
        await pace.rest()
        after = patch.apply(before)
        await pace.rest()
        _check_growth(before, after, codec.resource.max_body_values)
        names = {name for name, _ in patch.touched() if codec.accepts(name)}
        sent = {name: after[name] for name in names if name in after}
        # A merge patch cannot say "set to null". If a field has no default to go back to, null means null.
        sent |= dict.fromkeys((names - sent.keys()) & codec.nullable)
        gone = {codec.inputs.get(name, name) for name in names - sent.keys()}
        made = BodyEdit(stored, document, before, self._patch, patch).made
        try:
            return await made(sent, gone)
        except Invalid as error:
            # So it is for members without a default, which are missing now.
            missing = [issue.loc[1:] for issue in error.issues if issue.type == "missing"]
            nulls = [path for path in patch.nulls() if any(_is_at(loc, path) for loc in missing)]
            with suppress(Invalid):
                if nulls:
                    return await made(_with_nulls(sent, nulls), gone)
            raise


@contextmanager
def _beside(issues: Sequence[Issue]) -> Iterator[None]:
    """Raise Invalid at the end of the block, with these issues and all that the block finds."""
    found = [*issues]
    try:
        yield
    except Invalid as error:
        found += error.issues
    raise Invalid.of(shortened(found, len(found)))


def _check_growth(before: Mapping[str, Any], after: Mapping[str, Any], most: int) -> None:
    """Raises TooLarge if a patch makes a document grow beyond the values that a body may have.

    One that has more already, since somebody else wrote it, may stay so.
    """
    text = dumps(after)
    if has_more_values(text, most) and value_count(text) > value_count(dumps(before)):
        raise TooLarge(f"the document would have more than {most:,} values", code="TOO_MANY_VALUES")


def _sendable(stored: Stored[Any]) -> dict[str, Any]:
    """What a client could send of a document; what cannot be shown of it as a text, which the body replaces."""
    try:
        return stored.codec.sendable(stored.raw)
    except Unreadable:
        return stored.codec.sendable(legible(stored.raw))


def _path_of_operation(operations: list[Any], path: Path) -> Path:
    """Where in the document the value lies that is at this path of a JSON Patch."""
    match path:
        case [int() as index, "value", *below] if isinstance(pointer := operations[index].get("path"), str):
            steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
            return [*steps, *below]
    return ()


def _is_at(loc: Sequence[str | int], path: Sequence[str]) -> bool:
    """Whether an error's location, in which the choices of unions stand too, is this path."""
    parts = iter(loc)
    return loc[-1:] == path[-1:] and all(part in parts for part in path)


def _with_nulls(tree: Mapping[str, Any], paths: Iterable[Sequence[str]]) -> dict[str, Any]:
    filled = copy.deepcopy(dict(tree))
    for *parents, name in paths:
        below: Any = filled
        for part in parents:
            below = below.get(part) if isinstance(below, dict) else None
        if isinstance(below, dict):
            below[name] = None
    return filled


def _reader(model: type[BaseModel] | None) -> ModelReader[BaseModel] | None:
    return ModelReader(model) if model else None
