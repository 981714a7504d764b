"""Loads, orders and calls plugins.

pluggy registers and validates; the calls are made here, one implementation after the other, because a
pluggy call would leave coroutines unawaited and `firstresult` would stop at one.
"""

import asyncio
import inspect
import logging
from collections import Counter
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

import pluggy
from beanie import Document
from beanie.exceptions import CollectionWasNotInitialized
from pymongo.errors import PyMongoError

from regesta import hookspecs
from regesta.change import Access, AuditEvent, Change, HistoryRequest
from regesta.errors import ConfigurationError, Conflict, Forbidden, Invalid, Issue, PluginError, ProblemError
from regesta.implementations import Implementation, implementations_of
from regesta.store import as_problem, collection_of
from regesta.time_limits import TimeLimit

logger = logging.getLogger("regesta.hooks")

ENTRY_POINT_GROUP = "regesta"
RECORDING = frozenset({"record_change", "record_changes"})


class HookFailed(ProblemError):
    """500: a plugin raised something that is not a problem; nothing was written."""

    default_code = "HOOK_FAILED"
    title = "A plugin failed"


class Hooks:
    """The plugins of one application, in the order given.
    Raises PluginError, naming the plugin, for a misspelt hook, an argument that a hook does not offer, an
    `async` start-up hook, a plugin without any hook, two plugins of one name, or what `@hookimpl` or the annotation of
    a change asks for and cannot be done.
    """

    def __init__(self, *plugins: Any) -> None:
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._plugins: dict[str, Any] = {}
        self._versions: dict[str, str] = {}
        self._implementations: dict[str, tuple[Implementation, ...]] = {}
        self._recorders: list[tuple[str, Implementation]] = []
        self._concerned: dict[tuple[str, type], tuple[Implementation, ...]] = {}
        self._quick: dict[type, bool] = {}
        self._checked = 0
        self.failures: Counter[tuple[str, str]] = Counter()
        for plugin in plugins:
            self.add(plugin)

    @classmethod
    def load(cls, *plugins: Any, only: Iterable[str] | None = None) -> "Hooks":
        """`plugins`, then every installed one (entry point group `regesta`) by name; `only` these, in this order."""
        hooks = cls(*plugins)
        found: dict[str, list[metadata.EntryPoint]] = {}
        for point in metadata.entry_points(group=ENTRY_POINT_GROUP):
            found.setdefault(point.name, []).append(point)
        names = sorted(found) if only is None else list(only)
        for name in names:
            if name not in found:
                raise PluginError(f"plugin {name!r} is not installed; installed: {', '.join(sorted(found)) or 'none'}")
            point, *others = found[name]
            if others:
                values = ", ".join(one.value for one in found[name])
                raise PluginError(f"two plugins are named {name!r} ({values}): uninstall one")
            hooks.add(_load(point), name=name, version=point.dist.version if point.dist else "")
        return hooks

    def add(self, plugin: Any, *, name: str = "", version: str = "") -> None:
        """Register one more plugin, after the others."""
        name = name or _name_of(plugin)
        if name in self._plugins:
            raise PluginError(f"two plugins are named {name!r}")
        try:
            self._pluggy.register(plugin, name)
            self._pluggy.check_pending()
        except (ValueError, pluggy.PluginValidationError) as error:
            raise PluginError(f"plugin {name!r}: {error}") from error
        implementations = list(implementations_of(plugin, name))
        if not implementations:
            raise PluginError(f"plugin {name!r} implements no hook: mark its functions with @hookimpl")
        self._plugins[name] = plugin
        self._concerned.clear()
        self._quick.clear()
        self._versions[name] = version or getattr(plugin, "__version__", "")
        if {hook for hook, _ in implementations} >= RECORDING:
            raise PluginError(f"plugin {name!r} implements record_change and record_changes: each change comes to both")
        for hook, implementation in implementations:
            if hook in RECORDING:
                self._recorders.append((hook, implementation))
            self._implementations[hook] = (*self._implementations.get(hook, ()), implementation)

    @property
    def kept(self) -> Sequence[tuple[str, type[Document] | str]]:
        """What each plugin keeps beside the documents of its resources: (plugin, document class or collection name).

        Raises PluginError for what is neither.
        """
        found = []
        for plugin, answer in self.collect("register_collections"):
            if not isinstance(answer, list | tuple) or not all(map(_is_kept, answer)):
                raise PluginError(
                    f"plugin {plugin!r}: register_collections must answer a list of Document classes and names"
                )
            found += [(plugin, one) for one in answer]
        return found

    def check_documents(self) -> None:
        """Raises ConfigurationError, naming the plugin, if Beanie does not know a document that a plugin keeps."""
        if self._checked == len(self._plugins):
            return
        for plugin, document in self.kept:
            try:
                if not isinstance(document, str):
                    collection_of(document)
            except ConfigurationError as error:
                raise ConfigurationError(f"plugin {plugin!r}: {error}") from None
        self._checked = len(self._plugins)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._plugins.items())

    def version(self, plugin: str) -> str:
        """The plugin's version, "" where it does not tell."""
        return self._versions[plugin]

    def implemented_by(self, plugin: str) -> tuple[str, ...]:
        """The names of the hooks that a plugin implements, sorted."""
        return tuple(
            sorted(hook for hook, found in self._implementations.items() if any(i.plugin == plugin for i in found))
        )

    def has(self, hook: str, document: type | None = None) -> bool:
        """Whether anything implements the hook (for changes of this document)."""
        return bool(self._of(hook, document))

    def records(self, document: type) -> bool:
        """Whether anything is to be written with a change of this document."""
        return any(self._of(hook, document) for hook in RECORDING)

    def may_read(self, hook: str, change: Change[Any]) -> bool:
        """Whether an implementation of the hook can see, for this change, what the database has."""
        return any(i.may_read(change) for i in self._of(hook, change.document))

    def quick(self, document: type) -> bool:
        """Whether what is called before a change of this document is stored never waits, but for what it tells of.

        Then many changes may share a transaction: an `async` hook without `reads_when`, or a `record_change` for each,
        would let all of them wait for each.
        """
        found = self._quick.get(document)
        if found is None:
            asked = (*self._of("prepare_change", document), *self._of("validate_change", document))
            found = not self._of("record_change", document) and not any(one.may_wait for one in asked)
            self._quick[document] = found
        return found

    def _of(self, hook: str, document: type | None) -> tuple[Implementation, ...]:
        """The implementations of a hook (for changes of this document), which every write asks for."""
        if document is None:
            return self._implementations.get(hook, ())
        found = self._concerned.get((hook, document))
        if found is None:
            found = tuple(i for i in self._implementations.get(hook, ()) if i.concerns(document))
            self._concerned[hook, document] = found
        return found

    def collect(self, hook: str, **offered: Any) -> list[tuple[str, Any]]:
        """Call a start-up hook; (plugin, result) of each. Raises PluginError naming the plugin that failed."""
        results = []
        for implementation in self._implementations.get(hook, ()):
            try:
                given = {name: offered[name] for name in implementation.arguments}
                results.append((implementation.plugin, implementation.function(**given)))
            except Exception as error:
                raise PluginError(f"plugin {implementation.plugin!r} failed in {hook}: {error}") from error
        return results

    async def call(self, hook: str, *, document: type | None = None, **offered: Any) -> list[Any]:
        """Call every implementation in order and await what is awaitable; the first failure ends it.

        Problems pass through; anything else becomes HookFailed, logged with its traceback.
        """
        return [await _guarded(implementation, hook, offered) for implementation in self._of(hook, document)]

    async def record(self, changes: Sequence[Change[Any]], session: Any) -> None:
        """Tell every plugin in order, by whichever of the two recording hooks it has; the first failure ends it."""
        for hook, implementation in self._recorders:
            concerned = [change for change in changes if implementation.concerns(change.document)]
            if hook == "record_change":
                for change in concerned:
                    await _guarded(implementation, hook, {"change": change, "session": session})
            elif concerned:
                await _guarded(implementation, hook, {"changes": concerned, "session": session})

    async def prepare(self, change: Change[Any]) -> None:
        """Let all `prepare_change` hooks fill or change `change.after`, which stays the kind of document that it is."""
        given = change.after
        for implementation in self._of("prepare_change", change.document):
            await _guarded(implementation, "prepare_change", {"change": change})
            if given is not None and not isinstance(change.after, type(given)):
                kind = type(change.after).__name__
                logger.error("plugin %s put a %s into change.after", implementation.plugin, kind)
                raise HookFailed(f"plugin {implementation.plugin!r} failed in prepare_change: change.after is a {kind}")

    async def validate(self, change: Change[Any]) -> None:
        """Run all `validate_change` hooks. Raises one Invalid with every issue found, else the first problem."""
        issues: list[Issue] = []
        problems: list[ProblemError] = []
        for implementation in self._of("validate_change", change.document):
            try:
                await _guarded(implementation, "validate_change", {"change": change})
            except Invalid as error:
                issues += error.issues or [Issue(("body",), error.detail or error.title)]
            except (Conflict, Forbidden) as error:
                problems.append(error)
        if problems:
            raise problems[0]
        if issues:
            raise Invalid.of(issues)

    async def observe(self, event: AuditEvent, seconds: float | None = None) -> None:
        """Tell every `audit_event` hook, each for so many seconds at most. Failures are logged and counted."""
        for implementation in self._implementations.get("audit_event", ()):
            await self.attempt(implementation.plugin, "audit_event", implementation(event=event), seconds)

    async def attempt(self, plugin: str, hook: str, told: Awaitable[Any], seconds: float | None) -> None:
        """Await what cannot fail a write any more: that it raises or takes too long is counted in `failures`."""
        try:
            async with TimeLimit(seconds):
                await told
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            self.count_failure(plugin, hook)
        except Exception:  # noqa: BLE001 - the write stands, whatever it is
            self.count_failure(plugin, hook)

    async def history(self, request: HistoryRequest) -> Sequence[AuditEvent]:
        """What the first plugin that reads a trail answers; nothing where there is none."""
        for implementation in self._implementations.get("read_history", ()):
            found: Sequence[AuditEvent] = await _guarded(implementation, "read_history", {"request": request})
            return found
        return ()

    async def scope(self, access: Access) -> dict[str, Any]:
        """Ask `authorize`, then merge what `scope_query` hooks answer. Raises Forbidden where they disagree."""
        await self.call("authorize", request=access)
        merged: dict[str, Any] = {}
        for answer in await self.call("scope_query", request=access):
            merged = merge_scopes(merged, answer or {})
        return merged

    def count_failure(self, plugin: str, hook: str) -> None:
        """Log the exception being handled and count it."""
        self.failures[plugin, hook] += 1
        logger.exception("plugin %s failed in %s", plugin, hook)  # noqa: LOG004 - called by exception handlers


def merge_scopes(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both scopes at once. Raises Forbidden where they ask for different values of one field."""
    for field in one.keys() & other.keys():
        if one[field] != other[field]:
            raise Forbidden("the request's scopes exclude each other")
    return {**one, **other}


async def _guarded(implementation: Implementation, hook: str, offered: Mapping[str, Any]) -> Any:
    try:
        return await implementation(**offered)
    except (ProblemError, ConfigurationError):
        raise
    except CollectionWasNotInitialized as error:
        raise ConfigurationError(
            f"plugin {implementation.plugin!r} uses in {hook} a document that Beanie does not know: add it to the "
            "`document_models` of `init_beanie`, and for the service to the plugin's `register_collections`"
        ) from error
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and _is_cancelled():
            raise
        if isinstance(error, PyMongoError) and (hook in RECORDING or _may_be_repeated(error)):
            raise
        logger.exception("plugin %s failed in %s", implementation.plugin, hook)
        raise HookFailed(f"plugin {implementation.plugin!r} failed in {hook}") from error


def _is_kept(answer: Any) -> bool:
    return isinstance(answer, str) or (isinstance(answer, type) and issubclass(answer, Document))


def _is_cancelled() -> bool:
    """Whether this task is to end; else only something was that a hook awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _may_be_repeated(error: PyMongoError) -> bool:
    """Errors of the driver of which the plugin can do nothing: a transaction must see their labels to be retried."""
    return error.has_error_label("TransientTransactionError") or as_problem(error) is not None


def _load(point: metadata.EntryPoint) -> Any:
    try:
        loaded = point.load()
        return loaded() if inspect.isclass(loaded) else loaded
    except Exception as error:
        raise PluginError(f"plugin {point.name!r} ({point.value}) cannot be loaded: {error}") from error


def _name_of(plugin: Any) -> str:
    name = getattr(plugin, "name", None) or getattr(plugin, "__name__", None)
    return name if isinstance(name, str) else type(plugin).__name__
