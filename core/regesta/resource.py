"""The declaration of one resource: what is served, under which name, and by which rules."""

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from beanie import Document, DocumentWithSoftDelete

from regesta.annotations import compounds
from regesta.declarations import (
    ALL_OPERATIONS,
    COLLECTIVE,
    DELETED_AT,
    IN_BATCHES,
    NEGOTIATED,
    KeyAlias,
    Operation,
    Parent,
    Reference,
    Schemas,
    WatchLimits,
    fields_set_by,
)
from regesta.defaults import restore_defaults
from regesta.errors import DeclarationError
from regesta.inheritance import class_field
from regesta.markers import Marker, fields_marked, marked_below
from regesta.workspaces import Workspaced

T = TypeVar("T", bound=Document)

_NOT_BEANIES_SOFT_DELETE = (
    "Beanie's DocumentWithSoftDelete cannot be served: DELETE would be final, and lists would show what is deleted. "
    "Derive it from Document, with the field `deleted_at: datetime | None = None`, and declare soft_delete=True"
)

NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*\Z")


@dataclass(frozen=True)
class Resource(Generic[T]):
    """One resource. Everything here can be given to `crud_router` as keywords too.

    document: the Beanie document model.
    name: the plural in the path, `books` for Book unless given.
    path: what stands in the path where that is not the name: two resources may show one collection in two ways.
    singular: the word for one, in path parameters and operation ids: `book`.
    key: the field whose value stands in the path; unique together with scope and parent.
    key_aliases: other texts that reads take in the path in place of the key, for a document that is looked for
        each time: a key that is text has none.
    parent: for nested resources.
    operations: which to offer; an export needs `list`, an import `create`, a revert `replace`; a restore needs
        `soft_delete`, a history and a revert a plugin that reads a trail.
    custom_methods: what routes of your own add to one document, `lineage` for `GET /books/{book}:lineage` (AIP-136): a
        key that ends so is sent with `%3A`, as it is for `:history`.
    operation_ids: other operationIds than `list_books`, `get_book`, `create_book`, ...
    scope: a FastAPI dependency that answers a mapping of field names to values: ANDed into every read
        and write, stamped on every new document. Such fields are server-managed.
    actor: a FastAPI dependency that answers an Actor (or a subject as str).
    dependencies, operation_dependencies: further FastAPI dependencies, for all or for one operation.
    schemas: models of your own for bodies and answers.
    references: fields (Python names) that `expand=` follows, beside Beanie's links: each with a Reference, or the
        resource or document whose id it holds.
    filters, sorts: wire names (dotted) that clients may filter and sort by; None: what is indexed, and the key.
    indexed_only: refuse filters and sorts that no declared index serves, and warn at start of listed ones.
    scope_fields: the document's fields that every request's scope sets to one value. It is checked; OpenAPI leaves them
        out of bodies; indexes that begin with them count for `indexed_only`. They are those of the parent resource too,
        if this one has none.
    shared: everybody may see and change all of it. In the service a resource has a scope or says so.
    default_sort: as in the query string, `-added_at,title`; the key unless given.
    page_size, max_page_size: documents per page; larger requests are coerced to the maximum.
    soft_delete: deleting sets the document's field `deleted_at`, and `restore` undoes it.
    require_if_match: writes without a precondition get 428.
    transactional: run each write in a transaction even where no hook asks for one.
    max_batch: operations in one batch.
    max_body_size: bytes; the body of a batch may have 16 times as many.
    max_body_values: JSON values in a document, each item of an array counted: what bounds the time for which one
    request holds up all others. The body of a batch may have 8 times as many.
    timeout: seconds that an operation may take before 503.
    watch: how long and how much watches may take.
    description: what the documents are, for OpenAPI; the docstring of the document unless given.
    secret: signs page and watch tokens; where None, a key is derived from the collection's identity in the cluster.
    """

    document: type[T]
    name: str = field(default="", kw_only=True)
    path: str = field(default="", kw_only=True)
    singular: str = field(default="", kw_only=True)
    key: str = field(default="id", kw_only=True)
    key_aliases: Sequence[KeyAlias] = field(default=(), kw_only=True)
    parent: Parent | None = field(default=None, kw_only=True)
    operations: Collection[Operation | str] = field(default=ALL_OPERATIONS, kw_only=True)
    custom_methods: Collection[str] = field(default=(), kw_only=True)
    operation_ids: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    scope: Callable[..., Any] | None = field(default=None, kw_only=True)
    actor: Callable[..., Any] | None = field(default=None, kw_only=True)
    dependencies: Sequence[Any] = field(default=(), kw_only=True)
    operation_dependencies: Mapping[str, Sequence[Any]] = field(default_factory=dict, kw_only=True)
    schemas: Schemas = field(default_factory=Schemas, kw_only=True)
    references: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    filters: Collection[str] | None = field(default=None, kw_only=True)
    sorts: Collection[str] | None = field(default=None, kw_only=True)
    indexed_only: bool = field(default=False, kw_only=True)
    scope_fields: Collection[str] = field(default=(), kw_only=True)
    shared: bool = field(default=False, kw_only=True)
    default_sort: str = field(default="", kw_only=True)
    page_size: int = field(default=50, kw_only=True)
    max_page_size: int = field(default=1000, kw_only=True)
    soft_delete: bool = field(default=False, kw_only=True)
    require_if_match: bool = field(default=False, kw_only=True)
    transactional: bool = field(default=False, kw_only=True)
    max_batch: int = field(default=1000, kw_only=True)
    max_body_size: int = field(default=1024 * 1024, kw_only=True)
    max_body_values: int = field(default=50_000, kw_only=True)
    timeout: float = field(default=10.0, kw_only=True)
    watch: WatchLimits = field(default_factory=WatchLimits, kw_only=True)
    secret: str | None = field(default=None, kw_only=True)
    tags: Sequence[str] = field(default=(), kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        given: Any = self.document  # whatever the application wrote
        if not (isinstance(given, type) and issubclass(given, Document)):
            raise DeclarationError(f"a resource needs a Beanie Document class, not {given!r}")
        restore_defaults(self.document)
        singular = self.singular or _snake(self.document.__name__)
        object.__setattr__(self, "singular", singular)
        object.__setattr__(self, "name", self.name or _plural(singular))
        object.__setattr__(self, "path", self.path or self.name)
        # The docstring of this class alone: `getdoc` would find what Beanie says of its own.
        object.__setattr__(self, "description", inspect.cleandoc(self.description or self.document.__doc__ or ""))
        object.__setattr__(self, "operations", self._checked_operations())
        object.__setattr__(self, "references", self._checked_references())
        for word in (self.name, self.singular, self.path):
            if not NAME.match(word):
                raise DeclarationError(f"{self._said()}: {word!r} is no name: lower case, digits, '-' and '_'")
        self._check_fields()
        self._check_bounds()
        self._check_scope()
        if self.soft_delete:
            self._check_soft_delete()
        elif issubclass(self.document, DocumentWithSoftDelete):
            raise DeclarationError(f"{self._said()}: {_NOT_BEANIES_SOFT_DELETE}")

    @cached_property
    def read_only(self) -> frozenset[str]:
        """The fields (Python names) that only the server sets."""
        managed = {"revision_id"} | fields_marked(self.document, Marker.READ_ONLY)
        if self.parent:
            managed |= {self.parent.field, self.parent.sequence, *self.parent.copies} - {""}
        if self.id_from_server:
            managed.add("id")
        if self.soft_delete:
            managed.add(DELETED_AT)
        managed |= self.known_scope
        told = class_field(self.document)
        managed |= {name for name, info in self.document.model_fields.items() if (info.alias or name) == told}
        return frozenset(managed)

    @cached_property
    def id_from_server(self) -> bool:
        """Whether the document's id has a default (ObjectId, UUID factory); else clients give it."""
        return not self.document.model_fields["id"].is_required()

    @cached_property
    def hidden(self) -> frozenset[str]:
        """The fields that are never returned."""
        return fields_marked(self.document, Marker.WRITE_ONLY, Marker.SECRET) | {"revision_id"}

    @cached_property
    def secret_fields(self) -> frozenset[str]:
        """The fields that the audit trail redacts."""
        return fields_marked(self.document, Marker.SECRET)

    @cached_property
    def immutable(self) -> frozenset[str]:
        """The fields that keep the value they were created with: marked so, and the key."""
        return fields_marked(self.document, Marker.IMMUTABLE) | {self.key, "id"}

    @cached_property
    def bound_fields(self) -> frozenset[str]:
        """The fields (Python names) that have one value in each request: of the scope, and of the parent."""
        if self.parent is None:
            return frozenset(self.scope_fields)
        return frozenset(self.bound_scope) | {self.parent.field}

    @property
    def inherited_scope(self) -> Callable[..., Any] | None:
        """`scope`, else that of what this is nested in."""
        return self.scope if self.scope is not None or self.parent is None else self.parent.resource.inherited_scope

    @property
    def bound_scope(self) -> Collection[str]:
        """`scope_fields`, else those of what this is nested in."""
        if self.scope_fields or self.parent is None:
            return self.scope_fields
        return self.parent.resource.bound_scope

    @property
    def known_scope(self) -> frozenset[str]:
        """The fields that the scope is known to set before any request."""
        own = frozenset(self.scope_fields) | fields_set_by(self.scope)
        inherits = self.scope is None and self.parent is not None
        return own if own or not inherits or self.parent is None else self.parent.resource.known_scope

    @property
    def walled(self) -> bool:
        """Whether documents are found only by the id of a parent, which the scope keeps apart.

        Then they need not have the scope's fields themselves.
        """
        return self.parent is not None and self.scope is None and self.parent.stores == "id"

    @cached_property
    def in_batches(self) -> tuple[Operation, ...]:
        """What a batch of this resource may consist of: nothing where it has no batches."""
        offered = Operation.BATCH in self.operations
        return tuple(operation for operation in IN_BATCHES if offered and operation in self.operations)

    def operation_id(self, operation: Operation) -> str:
        """`list_books`, `get_book`, ... or what the declaration says."""
        noun = self.name if operation in COLLECTIVE else self.singular
        return self.operation_ids.get(operation, f"{operation}_{noun}".replace("-", "_"))

    def _said(self) -> str:
        return f"resource {self.name or self.document.__name__!r}"

    def _checked_operations(self) -> frozenset[Operation]:
        try:
            named = frozenset(Operation(operation) for operation in self.operations)
        except ValueError as error:
            raise DeclarationError(f"{self._said()}: {error}; there are {', '.join(Operation)}") from error
        return frozenset(operation for operation in named if named.intersection(NEGOTIATED.get(operation, [operation])))

    def _checked_references(self) -> Mapping[str, Reference]:
        found: dict[str, Reference] = {}
        for name, given in self.references.items():
            reference = given if isinstance(given, Reference) else Reference(resource=given)
            target: Any = reference.resource
            if not (isinstance(target, Resource) or (isinstance(target, type) and issubclass(target, Document))):
                raise DeclarationError(f"{self._said()}: references: {name!r} needs a Resource, document or Reference")
            if name not in self.document.model_fields:
                raise DeclarationError(f"{self._said()}: references: {name!r} is no field of the document")
            if reference.stores not in ("id", target.key if isinstance(target, Resource) else "id"):
                raise DeclarationError(f"{self._said()}: references: {name!r} must store an id or a key")
            found[name] = reference
        return found

    def _check_fields(self) -> None:
        known = self.document.model_fields
        if self.key not in known:
            raise DeclarationError(f"{self._said()}: the key {self.key!r} is no field of {self.document.__name__}")
        self._check_key()
        if self.parent and self.parent.field not in known:
            raise DeclarationError(
                f"{self._said()}: the parent field {self.parent.field!r} is no field of {self.document.__name__}"
            )
        if self.parent and self.parent.stores not in self.parent.resource.document.model_fields:
            raise DeclarationError(f"{self._said()}: the parent has no field {self.parent.stores!r} to store")
        if self.parent:
            above = self.parent.resource.document.model_fields
            if lost := {
                *(self.parent.copies.keys() - known.keys()),
                *(set(self.parent.copies.values()) - above.keys()),
            }:
                raise DeclarationError(f"{self._said()}: copies: {sorted(lost)} are no fields of both documents")
            self._check_counter(self.parent)
        if unknown := set(self.scope_fields) - known.keys():
            raise DeclarationError(f"{self._said()}: scope_fields: {sorted(unknown)} are no fields of the document")
        for name in marked_below(self.document):
            raise DeclarationError(f"{self._said()}: {name}: markers work on the document's own fields; mark the whole")
        for mapping in (self.operation_ids, self.operation_dependencies):
            unknown = set(mapping) - set(Operation)
            if unknown:
                raise DeclarationError(f"{self._said()}: unknown operations {sorted(unknown)}")
            for operation in NEGOTIATED.keys() & mapping.keys():
                hosts = " and ".join(NEGOTIATED[operation])
                raise DeclarationError(f"{self._said()}: {operation} is asked for on the route of {hosts}: name that")

    def _check_key(self) -> None:
        if self.key in self.hidden:
            raise DeclarationError(
                f"{self._said()}: the key {self.key!r} is hidden from clients, and would stand in every path: "
                "take another field"
            )
        for kind in compounds(self.document.model_fields[self.key].annotation):
            raise DeclarationError(
                f"{self._said()}: the key {self.key!r} cannot stand in a path, as {kind!r}: "
                "take a field of text, a number, a date, a UUID or an ObjectId"
            )

        if self.key_aliases and self.document.model_fields[self.key].annotation is str:
            raise DeclarationError(
                f"{self._said()}: key_aliases: the key {self.key!r} is text, so any alias could be a key as well"
            )

    def _check_counter(self, above: Parent) -> None:
        document = above.resource.document
        if above.touches and not (above.counter and above.touches in document.model_fields):
            raise DeclarationError(f"{self._said()}: touches: a field of the parent, together with a counter")
        if not above.counter:
            return
        if above.counter in document.model_fields or not NAME.match(above.counter):
            raise DeclarationError(f"{self._said()}: the counter {above.counter!r} must be a name that is no field")
        if not getattr(getattr(document, "Settings", None), "use_revision", False):
            raise DeclarationError(f"{self._said()}: a counter needs `use_revision` in {document.__name__}.Settings")

    def _check_soft_delete(self) -> None:
        declared = self.document.model_fields.get(DELETED_AT)
        if issubclass(self.document, DocumentWithSoftDelete):
            raise DeclarationError(f"{self._said()}: {_NOT_BEANIES_SOFT_DELETE}")
        if declared is None or declared.is_required() or declared.get_default() is not None:
            raise DeclarationError(
                f"{self._said()}: soft_delete needs the field `{DELETED_AT}: datetime | None = None` in the document"
            )
        if DELETED_AT in self.hidden:
            raise DeclarationError(f"{self._said()}: {DELETED_AT} must be shown")
        if self.parent and not self.parent.resource.soft_delete:
            raise DeclarationError(
                f"{self._said()}: soft_delete needs it of {self.parent.resource.name!r} too: "
                "what was deleted there would keep the deleted ones here out of reach"
            )

    def _check_scope(self) -> None:
        scoped = self.inherited_scope is not None
        if self.shared and scoped:
            raise DeclarationError(f"{self._said()}: shared=True and a scope exclude each other")
        missing = self.known_scope - self.document.model_fields.keys()
        if missing and not self.walled:
            raise DeclarationError(
                f"{self._said()}: the scope sets {sorted(missing)}, which {self.document.__name__} does not have, so "
                "everybody would see all of it: add the field (derive from Workspaced for `workspace`), or leave the "
                "scope out and declare shared=True"
            )
        if issubclass(self.document, Workspaced) and not scoped and not self.shared:
            raise DeclarationError(
                f"{self._said()}: {self.document.__name__} belongs to a workspace, so it needs scope=workspace_scope, "
                "or shared=True if everybody may see all workspaces of it"
            )

    def _check_bounds(self) -> None:
        if not 1 <= self.page_size <= self.max_page_size:
            raise DeclarationError(f"{self._said()}: page_size must be between 1 and max_page_size")
        if self.timeout <= 0 or min(self.max_body_size, self.max_body_values, self.max_batch) < 1:
            raise DeclarationError(
                f"{self._said()}: timeout, max_batch, max_body_size and max_body_values must be positive"
            )


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _plural(word: str) -> str:
    if re.search(r"[^aeiou]y\Z", word):
        return word[:-1] + "ies"
    if re.search(r"(?:s|x|z|ch|sh)\Z", word):
        return word + "es"
    return word + "s"
