"""Every resource of an application, bound to its hooks."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

from regesta.errors import DeclarationError
from regesta.hooks import Hooks
from regesta.operations.references import names_of, references_of
from regesta.operations.unit import Unit, run_unit
from regesta.operations.writes import Operations
from regesta.resource import Resource

R = TypeVar("R")


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
        for bound in self._bound.values():
            above = bound.resource.parent
            if above and above.resource.name in self._bound:
                self._parent_of(bound.resource, above.resource).children.append(bound)
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
        return await run_unit(
            bound.collection, work, transactional=True, seconds=bound.resource.timeout, turn=bound.turns.of(meets)
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
