"""Searches: the filters of MongoDB that comparisons mean, and pages that no write shifts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any

from regesta import Caller, Operations
from regesta.errors import Malformed
from regesta.names import same_name
from regesta.operations import bounded
from regesta.query import and_filters, keyset_filter, position
from regesta.store import read_rows
from regesta_mlflow.errors import Refusal
from regesta_mlflow.filters import MODELS, VERSIONS, Comparison, Searched, comparisons
from regesta_mlflow.orders import Ordered
from regesta_mlflow.reads import Raw, Reads
from regesta_mlflow.sent import Sent
from regesta_mlflow.wire import MODEL_FIELDS, VERSION_FIELDS, version_wire

PROMPT = "mlflow.prompt.is_prompt"
LETS_PROMPTS_IN = {("=", "true"), ("!=", "false")}

MODEL_ORDER = Ordered(
    keys={"name": "name", "timestamp": "revised_at", "last_updated_timestamp": "revised_at"},
    ties=[("name", 1)],
    default=[("name", 1)],
    unknown="Invalid order by key '{}' specified",
)
VERSION_ORDER = Ordered(
    keys={
        "name": "model",
        "version_number": "number",
        "creation_timestamp": "created_at",
        "last_updated_timestamp": "revised_at",
    },
    ties=[("model", 1), ("number", -1)],
    default=[("revised_at", -1), ("model", 1), ("number", -1)],
    unknown="Invalid attribute key '{}' specified",
)

MOST_MODELS, MODELS_UNLESS_SAID = 1000, 100
# What clients may ask for, and what they get: they go on with the token.
MOST_VERSIONS, LARGEST_PAGE = 200_000, 10_000

# Each multiplies what an unlucky text costs the database.
MOST_GAPS = 10

_OPERATORS = {
    "=": "$eq",
    "!=": "$ne",
    "<": "$lt",
    "<=": "$lte",
    ">": "$gt",
    ">=": "$gte",
    "IN": "$in",
    "NOT IN": "$nin",
}


@dataclass(frozen=True)
class Asked:
    """A search: what for, in which order. Its tokens are good for no other."""

    searched: Searched
    text: str
    sort: list[tuple[str, int]]

    @cached_property
    def binding(self) -> bytes:
        """The digest that tokens are bound to."""
        return blake2b(repr((sorted(self.searched.texts), self.text, self.sort)).encode(), digest_size=16).digest()


class Searches:
    """Searches models and versions."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def models(self, caller: Caller, sent: Sent) -> dict[str, Any]:
        """A page of models. Raises Refusal, Unavailable."""
        size = _page_size(sent, MODELS_UNLESS_SAID, MOST_MODELS)
        asked = Asked(MODELS, sent.text("filter"), MODEL_ORDER.sort(sent.texts("order_by")))
        raws, token = await self._page(self._reads.models, caller, asked, sent.text("page_token"), size)
        shown = await self._reads.shown(caller, raws)
        if len(shown) < len(raws):  # their versions are large
            token = await self._token_after(self._reads.models, caller, asked, raws[len(shown) - 1])
        return _answer("registered_models", shown, token)

    async def versions(self, caller: Caller, sent: Sent) -> dict[str, Any]:
        """A page of versions. Raises Refusal, Unavailable."""
        size = _page_size(sent, LARGEST_PAGE, MOST_VERSIONS)
        asked = Asked(VERSIONS, sent.text("filter"), VERSION_ORDER.sort(sent.texts("order_by")))
        raws, token = await self._page(
            self._reads.versions, caller, asked, sent.text("page_token"), min(size, LARGEST_PAGE)
        )
        return _answer("model_versions", [version_wire(raw) for raw in raws], token)

    async def _page(
        self, operations: Operations[Any], caller: Caller, asked: Asked, token: str, size: int
    ) -> tuple[list[Raw], str]:
        name = "name" if asked.searched is MODELS else "model"
        wanted = filter_of(comparisons(asked.text, asked.searched), name)
        wanted = and_filters(self._reads.all_of(operations, caller), wanted)
        fields = MODEL_FIELDS if asked.searched is MODELS else VERSION_FIELDS
        async with bounded(operations.resource.timeout):
            if token:
                try:
                    values = (await operations.page_tokens()).read(asked, caller.scope, token)
                except Malformed:
                    raise Refusal("Invalid page token, could not base64-decode, or it is of another search") from None
                wanted = and_filters(wanted, keyset_filter(asked.sort, values))
            collection = await self._reads.collection(operations)
            rows = await read_rows(collection, wanted, count=size, projection=fields, sort=asked.sort)
            if not rows.more:
                return rows.documents, ""
            return rows.documents, await self._token_after(operations, caller, asked, rows.documents[-1])

    async def _token_after(self, operations: Operations[Any], caller: Caller, asked: Asked, raw: Raw) -> str:
        tokens = await operations.page_tokens()
        return tokens.issue(asked, caller.scope, position(raw, asked.sort))


def filter_of(found: Sequence[Comparison], name: str) -> dict[str, Any]:
    """MongoDB's filter; `name` is the field that holds the name of a model.

    Prompts are hidden unless they are asked for: then the condition is as any other.
    """
    about_prompts = [one for one in found if one.tag and one.field == PROMPT]
    if any((one.operator, str(one.value).lower()) in LETS_PROMPTS_IN for one in about_prompts):
        return and_filters(*(_condition(one, name) for one in found))
    others = [_condition(one, name) for one in found if one not in about_prompts]
    return and_filters({"kind": {"$ne": "prompt"}}, *others)


def _condition(one: Comparison, name: str) -> dict[str, Any]:
    if one.tag:
        # The tag must exist, whatever its value is compared with.
        return {"tags": {"$elemMatch": {"key": same_name(one.field), "value": _test(one)}}}
    if one.field == "version_number":
        return {"number": _test(one)}
    if one.field == "run_id":
        return _nullable("run.id", one)
    if one.field == "source_path":
        found = [{"source": _test(one)}, {"foreign.source": _test(one)}]
        return {"$and" if one.operator in ("!=", "NOT IN") else "$or": found}
    return {name: _test(_of_names(one))}


def _of_names(one: Comparison) -> Comparison:
    """The comparison with names in the spelling in which they are kept."""
    value = one.value
    if isinstance(value, str):
        return replace(one, value=same_name(value))
    return replace(one, value=tuple(map(same_name, value))) if isinstance(value, tuple) else one


def _nullable(path: str, one: Comparison) -> dict[str, Any]:
    """A text that may be missing, which is as if it were empty."""
    values = one.value if isinstance(one.value, tuple) else (one.value,)
    if one.operator in ("=", "IN"):
        return {path: {"$in": [value or None for value in values]}}
    if one.operator in ("!=", "NOT IN"):
        return {path: {"$nin": [value or None for value in values]}}
    if str(one.value).strip("%"):
        return {path: _test(one)}
    return {} if one.value else {path: None}


def _test(one: Comparison) -> dict[str, Any]:
    if one.operator in _OPERATORS:
        return {_OPERATORS[one.operator]: list(one.value) if isinstance(one.value, tuple) else one.value}
    return _like(str(one.value), ignore_case=one.operator == "ILIKE")


def _like(pattern: str, *, ignore_case: bool) -> dict[str, Any]:
    """`%` is any text and `_` any character; nothing else means anything."""
    if not ignore_case and not {"%", "_"} & set(pattern):
        return {"$eq": pattern}
    pattern = re.sub("%+", "%", pattern)
    if pattern.count("%") > MOST_GAPS:
        raise Refusal(f"Invalid filter: a pattern may have at most {MOST_GAPS} gaps")
    head = pattern.rstrip("%")
    expression = "".join({"%": ".*", "_": "."}.get(character, re.escape(character)) for character in head)
    # An expression that begins with plain text and goes on with anything walks an index.
    end = "" if head != pattern else r"(?![\s\S])"
    return {"$regex": f"^{expression}{end}", "$options": "is" if ignore_case else "s"}


def _page_size(sent: Sent, default: int, most: int) -> int:
    size = sent.integer("max_results", default, most)
    if size < 1:
        raise Refusal(f"Invalid value for max_results. It must be a positive integer, but is {size}")
    return size


def _answer(key: str, found: list[dict[str, Any]], token: str) -> dict[str, Any]:
    answer: dict[str, Any] = {key: found} if found else {}
    if token:
        answer["next_page_token"] = token
    return answer
