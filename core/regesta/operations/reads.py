"""Reading: one document, or a page of them. One round trip each, and none for counting unless asked."""

import hashlib
import secrets
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from beanie import Document

from regesta.change import Caller
from regesta.errors import DeclarationError, Unsupported
from regesta.inheritance import children_of
from regesta.operations.addresses import Addresses
from regesta.operations.deadlines import bounded
from regesta.operations.pages import Count, Page, Stored
from regesta.operations.sequences import Numbering
from regesta.pacing import Pace
from regesta.query import PageTokens, Query, QueryRules, and_filters, check_prefix, keyset_filter, position
from regesta.resource import Resource
from regesta.schemas import Codec
from regesta.store import Atomicity, Batches, atomicity_of, collection_of, committed, read_rows

if TYPE_CHECKING:
    from regesta.operations.references import Bound

T = TypeVar("T", bound=Document)

# From this size on nobody sees in an estimate what was written in the last second.
LARGE, ESTIMATE_SECONDS = 10_000, 1.0


class Reads(Generic[T]):
    """The reading half of a resource's operations."""

    def __init__(self, resource: Resource[T], parent: "Reads[Any] | None") -> None:
        self.resource = resource
        self.parent = parent
        self.addresses = Addresses(resource)
        self.codec = Codec(resource, resource.document)
        self.rules = QueryRules(resource)
        # By wire name; known once all resources are.
        self.references: Mapping[str, Bound] = {}
        self._codecs: dict[str, Codec[Any]] = {}
        self._tokens: PageTokens | None = None
        self._estimated: tuple[Any, int, float] = (None, 0, 0.0)
        self._identity = b""

    @property
    def collection(self) -> Any:
        """The driver's collection."""
        return collection_of(self.resource.document)

    def stored(self, raw: Mapping[str, Any]) -> Stored[T]:
        """A raw document with the codec of its own class."""
        return Stored(raw, self.codec_for(raw), self.addresses)

    def codec_for(self, raw: Mapping[str, Any]) -> Codec[T]:
        """The codec of the class that a document was stored as (Beanie's inheritance)."""
        children = children_of(self.resource.document)
        if not children:
            return self.codec
        name = raw.get(self.resource.document.get_settings().class_id)
        # Somebody else may have stored anything there.
        return self._codec_of(name) if isinstance(name, str) and name in children else self.codec

    def codecs(self) -> Iterable[Codec[Any]]:
        """The codecs of the resource's class and of those below it."""
        return (self.codec, *map(self._codec_of, children_of(self.resource.document)))

    def _codec_of(self, name: str) -> Codec[Any]:
        if name not in self._codecs:
            self._codecs[name] = Codec(self.resource, children_of(self.resource.document)[name])
        return self._codecs[name]

    async def into_wires(self, raws: Sequence[dict[str, Any]]) -> list[Any]:
        """What the JSON of these documents is made of, as clients see them. They are spent with it."""
        if self.codec.direct and not children_of(self.resource.document):
            return self.codec.into_wires(raws)
        pace, wires = Pace(), list[Any]()
        for raw in raws:
            wires.append(self.codec_for(raw).wire(raw))
            await pace.rest()
        return wires

    async def get(self, caller: Caller, keys: Sequence[str], session: Any = None) -> Stored[T]:
        """The document at this path of keys. Raises NotFound, Invalid for an impossible key, Unavailable.

        Within a session the driver's own errors pass: the transaction around must see them to be repeated.
        """
        if session is None:
            async with bounded(self.resource.timeout):
                raw = await self.find(caller, keys)
        else:
            raw = await self.find(caller, keys, session)
        if raw is None:
            raise self.addresses.not_found(keys[-1])
        return self.stored(raw)

    async def find(self, caller: Caller, keys: Sequence[str], session: Any = None) -> dict[str, Any] | None:
        """The raw document at this path, None where there is none. Raises NotFound for a missing parent.

        Of deleted ones it is the one that was deleted last, where none is live.
        """
        wanted = await self.filter_at(caller, keys, session)
        live = self.rules.live
        found: dict[str, Any] | None = await self.collection.find_one({**wanted, **live}, session=session)
        return found if found is not None or not live else await self._last_deleted(wanted, session)

    async def find_live(self, caller: Caller, keys: Sequence[str], session: Any = None) -> dict[str, Any] | None:
        """As `find`, without the deleted ones."""
        wanted = await self.filter_at(caller, keys, session)
        found: dict[str, Any] | None = await self.collection.find_one({**wanted, **self.rules.live}, session=session)
        return found

    async def find_all(
        self, caller: Caller, parents: Sequence[str], keys: Collection[str], session: Any = None
    ) -> dict[str, dict[str, Any]]:
        """Those live with these keys, raw, by key. Raises NotFound for a missing parent, Invalid for what is no key."""
        wanted = await self.filter_below(caller, parents, self.addresses.keys_filter(keys), session)
        found = self.collection.find({**wanted, **self.rules.live}, session=session)
        return {self.addresses.keys.canonical(self.addresses.key_text(raw)): raw for raw in await found.to_list(None)}

    async def find_deleted(self, caller: Caller, keys: Sequence[str], session: Any = None) -> dict[str, Any] | None:
        """The one at this path that was deleted last, whether one is live or not."""
        return await self._last_deleted(await self.filter_at(caller, keys, session), session)

    async def filter_at(self, caller: Caller, keys: Sequence[str], session: Any) -> dict[str, Any]:
        """What matches the document at this path, deleted or not. Raises NotFound for a missing parent."""
        return await self.filter_below(caller, keys[:-1], self.addresses.key_filter(keys[-1]), session)

    async def filter_below(
        self, caller: Caller, parents: Sequence[str], where: Mapping[str, Any], session: Any
    ) -> dict[str, Any]:
        """What matches `where` below these parents, deleted or not. Raises NotFound for a missing parent."""
        parent = None if self.parent is None else await self.parent_value(caller, parents, session)
        return and_filters(self.addresses.collection_filter(caller.scope, parent), where)

    async def _last_deleted(self, wanted: Mapping[str, Any], session: Any) -> dict[str, Any] | None:
        (deleted_at,) = self.rules.live
        deleted = and_filters(wanted, {deleted_at: {"$ne": None}})
        # Of two in one millisecond, the one that was made last.
        order = [(deleted_at, -1), ("_id", -1)]
        found: dict[str, Any] | None = await self.collection.find_one(deleted, sort=order, session=session)
        return found

    async def parent_value(
        self, caller: Caller, keys: Sequence[str], session: Any = None, *, live: bool = False
    ) -> Any:
        """What this resource's documents store of the parent at this path. Raises NotFound where it is not there.

        `live`: a deleted parent is not there.
        """
        if self.parent is None or self.resource.parent is None:
            return None
        return self.stored_of_parent(await self.parent_document(caller, keys, session, live=live))

    async def parent_document(
        self, caller: Caller, keys: Sequence[str], session: Any = None, *, live: bool = False
    ) -> Mapping[str, Any]:
        """The parent at this path, raw; empty where this resource has none. Raises NotFound where it is not there."""
        if self.parent is None:
            return {}
        found = await (self.parent.find_live if live else self.parent.find)(caller, keys, session)
        if found is None:
            raise self.parent.addresses.not_found(keys[-1])
        return found

    @property
    def parent_counts(self) -> bool:
        """Whether a new child of this resource writes its parent."""
        return bool(self.resource.parent and self.resource.parent.counter)

    def numbering_of(self, parent: Mapping[str, Any]) -> Numbering:
        """What numbers the children of a raw parent."""
        above = self.resource.parent
        if self.parent is None or above is None or not above.counter:
            return Numbering.beside(self.collection, self.stored_of_parent(parent))
        return Numbering(self.parent.collection, {"_id": parent.get("_id")}, above.counter, above.touches)

    def stored_of_parent(self, raw: Mapping[str, Any], name: str = "") -> Any:
        """What this resource's documents store of a raw parent, or its field `name`; None where there is no parent."""
        if self.resource.parent is None:
            return None
        name = name or self.resource.parent.stores
        return raw.get(self.resource.parent.resource.document.model_fields[name].alias or name)

    async def page(
        self, caller: Caller, parents: Sequence[str], query: Query, count: Count | None = None, session: Any = None
    ) -> Page[T]:
        """One page, shorter than `page_size` if its rows are large.

        Raises Malformed for a page token that is not of this query, NotFound for a missing parent. Within a session it
        has only what cannot be rolled back.
        """
        async with bounded(self.resource.timeout):
            parent = await self.parent_value(caller, parents, session)
            everything = await self.matching(caller, parent, query.filter, searches=query.searches)
            wanted = everything
            if query.page_token is not None:
                values = (await self.page_tokens()).read(query, self.bound(caller, parents), query.page_token)
                rare = await atomicity_of(self.collection) is not Atomicity.LOCK
                wanted = and_filters(everything, keyset_filter(query.sort, values, rare=rare))
            collection = self.collection if session is None else committed(self.collection)
            rows = await read_rows(
                collection,
                wanted,
                count=query.page_size,
                projection=self._projection(query),
                sort=query.sort,
                session=session,
            )
            token = ""
            if rows.more:
                tokens = await self.page_tokens()
                token = tokens.issue(query, self.bound(caller, parents), position(rows.documents[-1], query.sort))
            total = await self._count(everything, count)
        return Page(rows.documents, token, total, self)

    async def everything(self, caller: Caller, parents: Sequence[str], query: Query) -> Batches:
        """All that a query matches, not opened yet; its `page_size` and `page_token` mean nothing here.

        Raises NotFound for a missing parent, Unavailable.
        """
        async with bounded(self.resource.timeout):
            parent = await self.parent_value(caller, parents)
            matching = await self.matching(caller, parent, query.filter, searches=query.searches)
        return Batches(self.collection, matching, projection=self._projection(query), sort=query.sort)

    async def matching(
        self, caller: Caller, parent: Any, filter_: Mapping[str, Any], *, searches: bool = False
    ) -> dict[str, Any]:
        """What the filter of a query means for this caller below this parent. `searches`: it has a `$text`.

        Raises Unsupported where the store has no text search, Invalid where its index wants more than is compared.
        """
        together = and_filters(self.addresses.collection_filter(caller.scope, parent), filter_)
        if self.resource.indexed_only:
            self._check_bound(caller)
        if searches:
            if await atomicity_of(self.collection) is Atomicity.LOCK:
                raise Unsupported("the memory store has no text search", code="TEXT_SEARCH_UNSUPPORTED")
            check_prefix(self.rules.text, together)
        return together

    def _check_bound(self, caller: Caller) -> None:
        """That the scope sets one value where `scope_fields` says so: the indexes were judged by it."""
        for name in self.resource.bound_scope:
            if isinstance(caller.scope.get(name), Mapping):
                raise DeclarationError(
                    f"the scope of {self.resource.name!r} must set {name!r} to one value: it is in scope_fields"
                )

    def _projection(self, query: Query) -> dict[str, int] | None:
        """Only what `fields=` needs, where the document can be answered from parts of it."""
        if query.fields is None or not self.codec.direct or (query.include_etag and not _has_revision(self.resource)):
            return None
        heads = {path.partition(".")[0] for path in query.fields}
        class_id = self.resource.document.get_settings().class_id
        ordered = {stored for stored, _ in query.sort}
        return dict.fromkeys(
            sorted(_outermost(heads | ordered | {self.addresses.key_field, "revision_id", class_id})), 1
        )

    async def _count(self, filter_: dict[str, Any], count: Count | None) -> int | None:
        if count is None:
            return None
        if count is Count.ESTIMATED and not filter_:
            return await self._estimate()
        exact: int = await self.collection.count_documents(filter_)
        return exact

    async def _estimate(self) -> int:
        """The size of the whole collection. That of a large one is remembered for a second, for the next pages."""
        collection = self.collection
        known, size, until = self._estimated
        if known is collection and time.monotonic() < until:
            return size
        size = int(await collection.estimated_document_count())
        self._estimated = (collection, size, time.monotonic() + ESTIMATE_SECONDS if size >= LARGE else 0.0)
        return size

    def bound(self, caller: Caller, parents: Sequence[str]) -> dict[str, Any]:
        """What page tokens are bound to, beside the query."""
        return {"scope": dict(caller.scope), "parents": list(parents)}

    async def page_tokens(self) -> PageTokens:
        """What signs and reads page tokens."""
        if self._tokens is None:
            self._tokens = PageTokens(await self.secret())
        return self._tokens

    async def secret(self) -> bytes:
        """What signs tokens.

        The same for every worker without being configured: from the collection's UUID, which clients never see.
        """
        if self.resource.secret:
            return self.resource.secret.encode()
        if self._identity:
            return self._identity
        collection = self.collection
        try:
            listed = await collection.database.command("listCollections", filter={"name": collection.name})
            identity = listed["cursor"]["firstBatch"][0]["info"]["uuid"]
        except (NotImplementedError, KeyError, IndexError):
            return _PROCESS_SECRET
        self._identity = hashlib.blake2b(bytes(getattr(identity, "bytes", identity)), person=b"regesta-page").digest()
        return self._identity


_PROCESS_SECRET = secrets.token_bytes(32)


def _has_revision(resource: Resource[Any]) -> bool:
    return bool(resource.document.get_settings().use_revision)


def _outermost(paths: set[str]) -> set[str]:
    """MongoDB refuses a projection that names both `a` and `a.b`."""
    return {path for path in paths if not any(path.startswith(f"{other}.") for other in paths)}
