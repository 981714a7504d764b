"""What plugins implement of the hooks: which function, for which documents, and whether it may wait or read."""

import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace, UnionType
from typing import Any, TypeVar

from regesta import hookspecs
from regesta.annotations import aliased
from regesta.change import Change
from regesta.errors import PluginError

START_UP_HOOKS = frozenset(
    {
        "register_resources",
        "register_collections",
        "register_routers",
        "register_applications",
        "register_commands",
    }
)
READS_WHEN = "regesta_reads_when"
# Of pluggy's options: implementations run one after the other, so none can wrap others or go before them.
HONOURED = frozenset({"specname", "optionalhook"})
BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
F = TypeVar("F", bound=Callable[..., Any])


def reads_when(reads: Callable[[Change[Any]], bool]) -> Callable[[F], F]:
    """Says when an `async` hook asks the database: `@hookimpl @reads_when(has_parents) async def validate_change`.

    Before an `async` hook that may, all that a batch or an import holds back is sent, which makes many writes slow. And
    only where each `async` hook says it do creates that come at once share a transaction.
    """

    def mark(function: F) -> F:
        setattr(function, READS_WHEN, reads)
        return function

    return mark


@dataclass(frozen=True, slots=True)
class Implementation:
    """One plugin's implementation of one hook."""

    plugin: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    documents: tuple[type, ...]
    asynchronous: bool
    reads_when: Callable[[Change[Any]], bool] | None

    def concerns(self, document: type) -> bool:
        """Whether a change of this document is for it."""
        return issubclass(document, self.documents)

    @property
    def may_wait(self) -> bool:
        """Whether it can wait for anything, and does not say when."""
        return self.asynchronous and self.reads_when is None

    def may_read(self, change: Change[Any]) -> bool:
        """Whether it can ask the database, whose drivers are asynchronous, and does not say that it will not."""
        return self.asynchronous and (self.reads_when is None or self.reads_when(change))

    async def __call__(self, **offered: Any) -> Any:
        """Call it with those of the offered arguments that it takes."""
        result = self.function(**{name: offered[name] for name in self.arguments})
        return await result if inspect.isawaitable(result) else result


def implementations_of(plugin: Any, name: str) -> Iterator[tuple[str, Implementation]]:
    """Each hook that a plugin implements, by the names of its functions.

    Raises PluginError for one that cannot be async, for an argument that the hook does not offer, for an option of
    `@hookimpl` that would do nothing, and where it cannot be told which documents' changes it is for.
    """
    marker = f"{hookspecs.PROJECT}_impl"
    for attribute in dir(plugin):
        function = getattr(plugin, attribute, None)
        if not callable(function) or not hasattr(function, marker):
            continue
        options = getattr(function, marker)
        hook = options.get("specname") or attribute
        ignored = sorted(option for option, value in options.items() if value and option not in HONOURED)
        if ignored:
            raise PluginError(
                f"plugin {name!r}: {hook} cannot have {', '.join(ignored)}: plugins run as they are listed"
            )
        if hook in START_UP_HOOKS and inspect.iscoroutinefunction(function):
            raise PluginError(f"plugin {name!r}: {hook} runs at start-up and cannot be async")
        arguments = _arguments_of(function, hook, name, of_class=inspect.isclass(plugin))
        documents, inner = _documents_of(function, hook, name), inspect.unwrap(function)
        waits, reads = inspect.iscoroutinefunction(inner), getattr(inner, READS_WHEN, None)
        yield hook, Implementation(name, function, arguments, documents, waits, reads)


def _arguments_of(function: Callable[..., Any], hook: str, name: str, *, of_class: bool) -> tuple[str, ...]:
    """The names by which it is called: each one that the hook offers, where we have that hook."""
    taken = inspect.signature(function).parameters
    specification = getattr(hookspecs, hook, None)
    offered = inspect.signature(specification).parameters if specification else taken
    for argument, parameter in taken.items():
        if argument not in offered or parameter.kind not in BY_NAME:
            instead = "register an instance of it, not the class" if of_class else "nothing would be given for it"
            raise PluginError(
                f"plugin {name!r}: {hook} offers {', '.join(offered) or 'nothing'}, by name, "
                f"but {parameter} is asked for: {instead}"
            )
    return tuple(taken)


def _documents_of(function: Callable[..., Any], hook: str, name: str) -> tuple[type, ...]:
    """Book, where the argument `change` is annotated `Change[Book]`, or `changes` `Sequence[Change[Book]]`.

    Only that annotation is resolved: what else a function names need not be there at run time.
    """
    inner: Any = inspect.unwrap(function)
    written = getattr(inner, "__annotations__", {})
    asked = SimpleNamespace(__annotations__={one: written[one] for one in ("change", "changes") if one in written})
    try:
        hints = typing.get_type_hints(asked, getattr(inner, "__globals__", {}))
    except Exception as error:
        raise PluginError(
            f"plugin {name!r}: what {hook} is annotated with cannot be resolved ({error}): "
            "import it where it is there at run time, at the top of the module"
        ) from error
    several = typing.get_args(hints.get("changes")) or (Change,)
    found = [
        document
        for change in _members(hints.get("change", several[0]))
        for document in _members((*typing.get_args(change), Any)[0])
    ]
    return tuple(one if isinstance(one, type) and one is not Any else object for one in found)


def _members(annotation: Any) -> Iterator[Any]:
    """Those of a union, also behind an alias, else the annotation."""
    named = aliased(annotation)
    if named is not None:
        yield from _members(named)
    elif typing.get_origin(annotation) in (typing.Union, UnionType):
        for part in typing.get_args(annotation):
            yield from _members(part)
    else:
        yield annotation
