"""Which stored documents a request may mean: its scope, its parents, its key."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

from beanie import Document
from beanie.odm.utils.encoder import Encoder
from pydantic import TypeAdapter, ValidationError

from regesta.errors import Forbidden, Invalid, Issue, NotFound
from regesta.int64 import is_int64
from regesta.operations.inheritance import class_filter
from regesta.resource import Resource

T = TypeVar("T", bound=Document)

# No segment of a path, or one that clients and proxies resolve away (RFC 3986, 5.2.4).
UNREACHABLE = frozenset({"", ".", ".."})


class Addresses(Generic[T]):
    """Filters of one resource, and the text of its keys."""

    def __init__(self, resource: Resource[T]) -> None:
        self.resource = resource
        fields = resource.document.model_fields
        self._stored = {name: info.alias or name for name, info in fields.items()}
        self.key_field = self._stored[resource.key]
        self._parse = _key_parser(resource)
        self._subclasses: dict[str, Any] | None = None

    def scope_filter(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        """The scope as a filter on stored fields; fields that this document does not have say nothing about it."""
        return {self._stored[name]: Encoder().encode(value) for name, value in scope.items() if name in self._stored}

    def class_filter(self) -> dict[str, Any]:
        """Only this class and its children, where several share a collection. Needs an initialised document."""
        if self._subclasses is None:
            self._subclasses = class_filter(self.resource.document)
        return self._subclasses

    def collection_filter(self, scope: Mapping[str, Any], parent: Any = None) -> dict[str, Any]:
        """What every document of a request's collection has in common. `parent`: the value that children store."""
        found = self.scope_filter(scope) | self.class_filter()
        if self.resource.parent:
            found[self._stored[self.resource.parent.field]] = parent
        return found

    def key_filter(self, text: str) -> dict[str, Any]:
        """The document with this key in the path. Raises Invalid where it can be no key."""
        return {self.key_field: self._parse(text)}

    def key_value(self, text: str) -> Any:
        """The key in the path as a Python value. Raises Invalid."""
        return self._parse(text)

    def key_text(self, raw: Mapping[str, Any]) -> str:
        """The key of a stored document as it stands in paths."""
        return key_text(raw.get(self.key_field))

    def new_key(self, raw: Mapping[str, Any]) -> str:
        """The key of a new document. Raises Invalid where no path could lead to it."""
        text = self.key_text(raw)
        if text in UNREACHABLE or "/" in text or text.endswith("\n"):
            wire = "id" if self.resource.key == "id" else self.key_field
            message = "is no key: it is empty, '.' or '..', contains '/' or ends with a line break"
            raise Invalid.of([Issue(("body", wire), message, "key")])
        return text

    def sent_key(self, json: bytes) -> str | None:
        """The key that a body holds as it stands in paths; None where it can be none."""
        try:
            value = self._adapter.validate_json(json, strict=True)
        except (ValidationError, ValueError):
            return None
        return key_text(value)

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        annotation: Any = self.resource.document.model_fields[self.resource.key].annotation
        return TypeAdapter(annotation)

    def not_found(self, text: str) -> NotFound:
        """The error for a key that leads nowhere."""
        return NotFound(f"there is no {self.resource.singular} {text[:200]!r}")

    def stamp(self, document: T, scope: Mapping[str, Any]) -> None:
        """Put the scope's values into a document. Raises Forbidden where it lies outside of the scope."""
        for name, value in scope.items():
            if name not in self._stored:
                continue
            if not isinstance(value, Mapping):
                document.__dict__[name] = value
            elif document.__dict__.get(name) not in value.get("$in", ()):
                raise Forbidden(f"{name}: outside of what this request may write")


def key_text(value: Any) -> str:
    """A key's value as it stands in paths, before percent-encoding."""
    value = getattr(value, "value", value)
    if isinstance(value, bytes):
        return str(_uuid(value))
    return str(value)


def _uuid(value: Any) -> Any:
    return value.as_uuid(value.subtype) if hasattr(value, "as_uuid") else value.hex()


def _key_parser(resource: Resource[Any]) -> Callable[[str], Any]:
    annotation: Any = resource.document.model_fields[resource.key].annotation
    if annotation is str:
        return lambda text: text
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    encoder = Encoder()

    def parse(text: str) -> Any:
        try:
            value = adapter.validate_strings(text, strict=True)
        except (ValidationError, ValueError):
            value = None
        if value is None or key_text(value) != text or (isinstance(value, int) and not is_int64(value)):
            raise Invalid.of(
                [Issue(("path", resource.singular), f"{text[:100]!r} is no key of {resource.name}", "key")]
            )
        return encoder.encode(value)

    return parse
