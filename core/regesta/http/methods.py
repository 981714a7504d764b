"""How each operation stands in HTTP: its verb, and on which path."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from regesta.declarations import Operation
from regesta.query import flag, parse_parameters

VALIDATE_ONLY = flag("Do everything but the write, and answer what it would leave (AIP-163).")
_ONLY_VALIDATES = {"validate_only": VALIDATE_ONLY}


def only_validates(request: Request) -> bool:
    """Whether `?validate_only=true` was sent. Raises Invalid for any other parameter."""
    return bool(parse_parameters(request.scope["query_string"], _ONLY_VALIDATES).get("validate_only"))


@dataclass(frozen=True, slots=True)
class Method:
    """A verb on the collection's path or on a document's; `suffix` (":batch") makes it a custom method (AIP-136)."""

    verb: str
    on_collection: bool = False
    suffix: str = ""

    def same_path(self, other: "Method") -> bool:
        """Whether both stand on one path."""
        return (self.on_collection, self.suffix) == (other.on_collection, other.suffix)


# In the order in which requests are matched.
METHODS: Mapping[Operation, Method] = {
    Operation.GET: Method("GET"),
    Operation.LIST: Method("GET", on_collection=True),
    Operation.CREATE: Method("POST", on_collection=True),
    Operation.REPLACE: Method("PUT"),
    Operation.PATCH: Method("PATCH"),
    Operation.DELETE: Method("DELETE"),
    Operation.FACETS: Method("GET", on_collection=True, suffix=":facets"),
    Operation.SCHEMA: Method("GET", on_collection=True, suffix=":schema"),
    Operation.BATCH: Method("POST", on_collection=True, suffix=":batch"),
    Operation.HISTORY: Method("GET", suffix=":history"),
    Operation.RESTORE: Method("POST", suffix=":restore"),
    Operation.REVERT: Method("POST", suffix=":revert"),
}
