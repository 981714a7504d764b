"""Every resource of an application, bound to its hooks."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Any, TypeVar

from regesta.declarations import READS
from regesta.errors import DeclarationError
from regesta.hooks import Hooks
from regesta.inheritance import are_kept_apart, collection_name, may_hold
from regesta.operations import repeats, sequences
from regesta.operations.references import names_of, references_of
from regesta.operations.unit import Unit, run_unit
from regesta.operations.writes import Operations
from regesta.resource import Resource

R = TypeVar("R")

# What the operations keep beside the documents.
OWN_COLLECTIONS = (repeats.COLLECTION, sequences.COLLECTION)


class Registry:
    """`registry["books"]` reads and writes books as the generated routes do.

    A child is bound to the resource of its parent's name, which may be that one declared a little otherwise (another
    actor, say). Raises DeclarationError for two resources of one name, or where that one has other documents.
    """

    def __init__(self, resources: Iterable[Resource[Any]], hooks: Hooks | None = None) -> None:
        self.hooks = hooks or Hooks()
        self._bound: dict[str, Operations[Any]] = {}
        for resource in resources:
            if resource.name in self._bound and self._bound[resource.name].resource is not resource:
                raise DeclarationError(f"two resources are named {resource.name!r}")
            self._bind(resource)
        _check_collections([bound.resource for bound in self._bound.values()])
        _check_reserved([bound.resource for bound in self._bound.values()], self.hooks)
        for bound in self._bound.values():
            self._hang(bound)
        for bound in self._bound.values():
            bound.references = references_of(bound, self._bound.values())
        for bound in self._bound.values():
            bound.rules.offer_expand(names_of(bound))

    def __getitem__(self, name: str) -> Operations[Any]:
        return self._bound[name]

    def __iter__(self) -> Iterator[Operations[Any]]:
        return iter(self._bound.values())

    async def run(self, resource: str, work: Callable[[Unit], Awaitable[R]], meets: Hashable = None) -> R:
        """Do several writes together: `work(unit)` passes `unit` on to each operation it calls.

        It runs in one transaction where the store has them, and may run again. What the operations raise
        undoes all of it. `resource` names the one whose timeout and database it uses. Works of this process
        with the same `meets` go one after the other, which spares them from aborting each other.
        """
        bound = self._bound[resource]
        self.hooks.check_documents()
        return await run_unit(
            bound.collection,
            work,
            transactional=True,
            seconds=bound.resource.timeout,
            turn=partial(bound.turns.of, meets),
        )

    def _bind(self, resource: Resource[Any]) -> Operations[Any]:
        if resource.name not in self._bound:
            parent = None
            if resource.parent:
                known = self._bound.get(resource.parent.resource.name)
                parent = known or Operations(
                    resource.parent.resource, self.hooks, self._above(resource.parent.resource)
                )
            self._bound[resource.name] = Operations(resource, self.hooks, parent)
        return self._bound[resource.name]

    def _hang(self, child: Operations[Any]) -> None:
        """Let every resource know of the children that its documents may have, whichever of them is the parent's."""
        above = child.resource.parent
        if above is None or above.resource.name not in self._bound:
            return
        parent = self._parent_of(child.resource, above.resource)
        for bound in self._bound.values():
            if bound is parent or may_hold(bound.resource.document, above.resource.document):
                bound.children.append(child)

    def _parent_of(self, child: Resource[Any], above: Resource[Any]) -> Operations[Any]:
        known = self._bound[above.name]
        if known.resource.document is not above.document:
            raise DeclarationError(
                f"resource {child.name!r}: its parent is another one than what is served as {above.name!r}: "
                "give both the same Resource, or the parent another name"
            )
        return known

    def _above(self, resource: Resource[Any]) -> Operations[Any] | None:
        if resource.parent is None:
            return None
        return Operations(resource.parent.resource, self.hooks, self._above(resource.parent.resource))


def _check_collections(resources: Sequence[Resource[Any]]) -> None:
    """Raises DeclarationError for two classes in one collection whose documents cannot be told from each other."""
    for one, other in combinations(resources, 2):
        if not (are_kept_apart(one.document, other.document) or _is_view(one, other) or _is_view(other, one)):
            raise DeclarationError(
                f"resources {one.name!r} and {other.name!r}: {one.document.__name__} and {other.document.__name__} are "
                f"kept in one collection, {collection_name(one.document)!r}, and nothing tells their documents apart: "
                "give one another `name` in its Settings, or let both be of one `is_root` or one `union_doc`. If they "
                "are two views of the same documents, derive one class from the other and let one resource only read"
            )


def _check_reserved(resources: Sequence[Resource[Any]], hooks: Hooks) -> None:
    """Raises DeclarationError for a resource that would show or change what Regesta or a plugin keeps for itself."""
    owners: dict[Any, str] = dict.fromkeys(OWN_COLLECTIONS, "Regesta")
    owners |= {kept: f"plugin {plugin!r}" for plugin, kept in hooks.kept}
    for resource in resources:
        name = collection_name(resource.document)
        for kept, owner in owners.items():
            if name == kept or (not isinstance(kept, str) and not are_kept_apart(resource.document, kept)):
                raise DeclarationError(
                    f"resource {resource.name!r}: {resource.document.__name__} is kept in the collection {name!r}, "
                    f"which {owner} keeps for itself: give the document another `name` in its Settings"
                )


def _is_view(one: Resource[Any], other: Resource[Any]) -> bool:
    """Whether `one` only reads the documents of `other`, as a class derived from the other's or the other way round."""
    related = issubclass(one.document, other.document) or issubclass(other.document, one.document)
    return related and READS.issuperset(one.operations)
