"""What the declaration of a resource is made of: its operations, and what can be said of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from beanie import Document
from pydantic import BaseModel

from regesta.errors import DeclarationError

if TYPE_CHECKING:
    from regesta.resource import Resource


F = TypeVar("F", bound=Callable[..., Any])


class Operation(StrEnum):
    """What clients may do with a resource."""

    LIST = "list"
    GET = "get"
    CREATE = "create"
    REPLACE = "replace"
    PATCH = "patch"
    DELETE = "delete"
    EXPORT = "export"
    IMPORT = "import"
    FACETS = "facets"
    SCHEMA = "schema"
    BATCH = "batch"
    WATCH = "watch"
    RESTORE = "restore"
    HISTORY = "history"
    REVERT = "revert"


READS = frozenset(
    {
        Operation.LIST,
        Operation.GET,
        Operation.EXPORT,
        Operation.FACETS,
        Operation.SCHEMA,
        Operation.WATCH,
        Operation.HISTORY,
    }
)
# Those that are about the whole collection, and named by its plural.
COLLECTIVE = frozenset({Operation.LIST, Operation.FACETS, Operation.SCHEMA, Operation.BATCH})
ALL_OPERATIONS = frozenset(Operation)
# What a batch may consist of.
IN_BATCHES = (Operation.CREATE, Operation.REPLACE, Operation.PATCH, Operation.DELETE)
# The field of a soft delete.
DELETED_AT = "deleted_at"
# A batch may have so many times the size of a single body, and so many times its values.
BATCH_BODIES, BATCH_VALUES = 16, 8

# These have no route of their own: a header asks for them on the route of another, whose dependencies hold for them.
NEGOTIATED: Mapping[Operation, tuple[Operation, ...]] = {
    Operation.EXPORT: (Operation.LIST,),
    Operation.IMPORT: (Operation.CREATE,),
    Operation.WATCH: (Operation.LIST, Operation.GET),
}


@dataclass(frozen=True, kw_only=True)
class Parent:
    """Where a nested resource hangs: `/models/{model}/versions`.

    `field` is the child document's field that holds the parent's `stores` field (its id, unless said
    otherwise; an id survives a rename). The server sets it; it never changes. `sequence` names an int field
    that the server fills with 1, 2, 3, ... per parent: never given twice, without gaps where the store has
    transactions. `copies` names fields of the child that the server fills from fields of the parent, and keeps so:
    what a list over all parents filters by (`{"model": "name"}`). Deleting a parent that has
    children is refused with 409 unless the client asks with `?cascade=true`. Children that are `owned` are part
    of their parent and go with it unasked.

    `counter` names a hidden field of the parent's stored document where the numbers are counted, instead of beside
    it: a new child then finds its parent, is numbered and keeps the parent from going in one write. The parent must
    keep revisions (Beanie's `use_revision`): its ETag does not tell of that write. `touches` names a date of the parent
    that is set, in the same write, to when its youngest child came.
    """

    resource: "Resource[Any]"
    field: str
    stores: str = "id"
    sequence: str = ""
    copies: Mapping[str, str] = default(default_factory=dict)
    owned: bool = False
    counter: str = ""
    touches: str = ""


def _everything(_: str) -> Mapping[str, Any]:
    """Return the filter that each document below the parent matches."""
    return {}


@dataclass(frozen=True, kw_only=True)
class KeyAlias:
    """Texts that reads take in a path in place of a key: `latest` for the highest number.

    pattern: a regular expression of the whole text. A text that is a key too is read as the key.
    description: which document is meant, as a sentence for OpenAPI.
    where: takes the text and returns a filter of MongoDB on stored names; scope and parent are added to it.
    sort: as pymongo has it; the first document in this order is meant.
    """

    pattern: str
    description: str
    where: Callable[[str], Mapping[str, Any]] = _everything
    sort: Sequence[tuple[str, int]] = ()

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise DeclarationError(f"the pattern {self.pattern!r} of a key's alias: {error}") from error

    def matches(self, text: str) -> bool:
        """Whether a text has this form."""
        return re.fullmatch(self.pattern, text) is not None

    @property
    def schema(self) -> dict[str, Any]:
        """Such a text as JSON Schema."""
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """That a field's value, or each in its list, is the value of another resource's id, or of its key (`stores`).

    A document stands for the one resource that serves it. `expand=` follows it where that resource is served with
    this one, lists, hangs below no parent, and has no `scope`, `actor` or `dependencies` but those of this one, so
    that nobody sees by it what a list would not show.
    """

    resource: "Resource[Any] | type[Document]"
    stores: str = "id"


@dataclass(frozen=True, kw_only=True)
class Schemas:
    """Models of your own where the derived ones do not fit.

    A body is validated by `create`, `replace` or `patch` in Pydantic's strict JSON mode; its fields, of `patch`
    those that the body sets, are then put into the document by name, which validates them again. `read`
    validates the stored document by attribute and is what clients see: its texts take ids and links too, and what
    does not fit is left out.
    """

    create: type[BaseModel] | None = None
    replace: type[BaseModel] | None = None
    patch: type[BaseModel] | None = None
    read: type[BaseModel] | None = None


@dataclass(frozen=True, kw_only=True)
class WatchLimits:
    """How long and how much watches may take: `Resource(..., watch=WatchLimits(lifetime=600))`.

    heartbeat: seconds between signs of life; a reader that takes nothing for so long is cut off. lifetime:
    seconds until a watch ends and its client has to connect, and be authorized, again. retry: seconds that clients
    are told to wait before that. queued: changes that wait for a slow reader. watches: how many one
    process serves, of all resources together.
    """

    heartbeat: float = 15.0
    lifetime: float = 3600.0
    retry: float = 3.0
    queued: int = 1000
    watches: int = 10_000

    def __post_init__(self) -> None:
        if min(self.heartbeat, self.lifetime, self.queued, self.watches) <= 0 or self.retry < 0:
            raise DeclarationError("the limits of watches must be positive")


def sets(*fields: str) -> Callable[[F], F]:
    """Says of a scope which fields it sets: `@sets("workspace")`. They are checked when a resource is declared."""

    def mark(scope: F) -> F:
        setattr(scope, _SETS, frozenset(fields))
        return scope

    return mark


def fields_set_by(scope: Callable[..., Any] | None) -> frozenset[str]:
    """The fields that a scope says it sets; none if it says nothing."""
    found: frozenset[str] = getattr(scope, _SETS, frozenset())
    return found


_SETS = "regesta_sets"
