"""What the scope of a request means for one resource: which of its fields have which values. It never fails open.

A name that the document lacks would be a condition that no query checks. So it is an error, unless the resource says
that everybody may see it (`shared`), or is found only below a parent that the scope keeps apart.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from beanie import PydanticObjectId
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from regesta.errors import DeclarationError
from regesta.resource import Resource
from regesta.schemas import with_link_ids

# Values of these types are taken as they are by fields of the same type.
PLAIN = (str, int, bool, UUID, PydanticObjectId)
LISTS = (list, set, frozenset, tuple)


class Scopes:
    """Reads scopes for one resource."""

    def __init__(self, resource: Resource[Any]) -> None:
        self._resource = resource
        self._fields = resource.document.model_fields
        self._plain = {name: info.annotation for name, info in self._fields.items() if info.annotation in PLAIN}
        self._needed = resource.known_scope & self._fields.keys()
        self._takers: dict[str, TypeAdapter[Any] | None] = {}

    def read(self, scope: Mapping[str, Any]) -> Mapping[str, Any]:
        """The scope of a request, each value as its field takes it: a text for an ObjectId becomes one.

        Raises DeclarationError for a field that the document lacks and for a value that its field does not take.
        """
        if not self._resource.shared and not self._resource.walled:
            self._refuse_missing(scope)
        self.check(scope)
        for name, value in scope.items():
            if value.__class__ is not self._plain.get(name):
                return {name: self._taken(name, value) for name, value in scope.items()}
        return scope

    def check(self, scope: Mapping[str, Any]) -> None:
        """Raises DeclarationError if the scope, whoever made it, does not keep the resource's documents apart."""
        if self._resource.inherited_scope is not None and not self._resource.walled:
            self._refuse_missing(scope)
        if not self._needed <= scope.keys():
            names = ", ".join(map(repr, sorted(self._needed - scope.keys())))
            raise DeclarationError(
                f"the scope of {self._resource.name!r} must set {names}: each request's scope has to"
            )

    def given(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        """The values that each new document gets: those of fields which the scope sets to one value."""
        if not scope:
            return {}
        return {
            name: self._given(name, value)
            for name, value in scope.items()
            if name in self._fields and not isinstance(value, Mapping)
        }

    def _refuse_missing(self, scope: Mapping[str, Any]) -> None:
        if scope.keys() <= self._fields.keys():
            return
        document, aliases = self._resource.document.__name__, {info.alias: n for n, info in self._fields.items()}
        for name in scope.keys() - self._fields.keys():
            near = f"; the field of that alias is {aliases[name]!r}" if name in aliases else ""
            raise DeclarationError(
                f"the scope of {self._resource.name!r} sets {name!r}, which is no field of {document}{near}: add the "
                "field, name it as Python does, or declare the resource with shared=True if everybody may see it"
            )

    def _given(self, name: str, value: Any) -> Any:
        """Return a list with the one item that the scope asks for, if the field is a list."""
        kind = getattr(self._fields[name].annotation, "__origin__", self._fields[name].annotation)
        return kind((value,)) if kind in LISTS and not isinstance(value, LISTS) else value

    def _taken(self, name: str, value: Any) -> Any:
        if name not in self._fields:
            return value
        if isinstance(value, Mapping):
            wanted = value.get("$in")
            several = isinstance(wanted, Sequence) and not isinstance(wanted, str)
            return {**value, "$in": [self._one(name, item) for item in wanted or ()]} if several else value
        return self._one(name, value)

    def _one(self, name: str, value: Any) -> Any:
        if name not in self._takers:
            self._takers[name] = _taker(self._fields[name].annotation)
        taker = self._takers[name]
        if taker is None:
            return value
        try:
            return taker.validate_python(value)
        except ValidationError:
            raise DeclarationError(
                f"the scope of {self._resource.name!r} sets {name!r} to {_said(value)}, which the field does not take"
            ) from None


def _said(value: Any) -> str:
    """The kind of a value: itself may be a secret."""
    return "None" if value is None else f"a {type(value).__name__}"


def _taker(annotation: Any) -> TypeAdapter[Any] | None:
    """What makes values of a field, or of its items if it is a list; None for types that Pydantic does not know."""
    whole = with_link_ids(annotation)
    kind = getattr(annotation, "__origin__", None)
    arguments = getattr(whole, "__args__", ())
    try:
        return TypeAdapter(whole | arguments[0] if kind in LISTS and arguments else whole)
    except PydanticUserError:
        return None
