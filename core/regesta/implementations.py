"""What plugins implement of the hooks: which function, for which documents, and whether it may wait or read."""

import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from regesta import hookspecs
from regesta.change import Change
from regesta.errors import PluginError

START_UP_HOOKS = frozenset({"register_resources", "register_routers", "register_applications", "register_commands"})
READS_WHEN = "regesta_reads_when"
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
    document: type | None
    asynchronous: bool
    reads_when: Callable[[Change[Any]], bool] | None

    def concerns(self, document: type) -> bool:
        """Whether a change of this document is for it."""
        return self.document is None or issubclass(document, self.document)

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
    """Each hook that a plugin implements. Raises PluginError for one that cannot be async."""
    marker = f"{hookspecs.PROJECT}_impl"
    for attribute in dir(plugin):
        function = getattr(plugin, attribute, None)
        if not callable(function) or not hasattr(function, marker):
            continue
        options = getattr(function, marker)
        hook = options.get("specname") or attribute
        if hook in START_UP_HOOKS and inspect.iscoroutinefunction(function):
            raise PluginError(f"plugin {name!r}: {hook} runs at start-up and cannot be async")
        arguments = tuple(inspect.signature(function).parameters)
        document, inner = _document_of(function), inspect.unwrap(function)
        waits, reads = inspect.iscoroutinefunction(inner), getattr(inner, READS_WHEN, None)
        yield hook, Implementation(name, function, arguments, document, waits, reads)


def _document_of(function: Callable[..., Any]) -> type | None:
    """Book, where the argument `change` is annotated `Change[Book]`, or `changes` `Sequence[Change[Book]]`."""
    try:
        hints = typing.get_type_hints(function)
    except NameError:
        return None
    several = typing.get_args(hints.get("changes")) or (None,)
    arguments = typing.get_args(hints.get("change", several[0]))
    return arguments[0] if arguments and isinstance(arguments[0], type) and arguments[0] is not Any else None
