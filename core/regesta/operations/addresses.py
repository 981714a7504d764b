"""Which stored documents a request may mean: its scope, its parents, its key."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Generic, TypeVar

from beanie import Document
from beanie.odm.utils.encoder import Encoder

from regesta.declarations import KeyAlias
from regesta.errors import Forbidden, Invalid, Issue, NotFound
from regesta.inheritance import class_filter
from regesta.markers import is_name
from regesta.operations.keys import Keys
from regesta.operations.scopes import Scopes
from regesta.resource import Resource
from regesta.schemas.shape import input_name

T = TypeVar("T", bound=Document)

# No segment of a path, or one that clients and proxies resolve away (RFC 3986, 5.2.4).
UNREACHABLE = frozenset({"", ".", ".."})


class Addresses(Generic[T]):
    """Filters of one resource, and the text of its keys."""

    def __init__(self, resource: Resource[T]) -> None:
        self.resource = resource
        fields = resource.document.model_fields
        self._stored = {name: info.alias or name for name, info in fields.items()}
        self.key_field = self._stored[resource.key]
        self.keys = Keys(fields[resource.key].annotation, are_names=is_name(fields[resource.key]))
        self.scopes = Scopes(resource)
        # Every read of a key asks this.
        forms = "|".join(f"(?:{alias.pattern})" for alias in resource.key_aliases)
        self._may_be_alias = re.compile(forms).fullmatch if forms else None
        self._subclasses: dict[str, Any] | None = None

    def scope_filter(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        """The scope as a filter on stored fields.

        Raises DeclarationError for a scope that does not keep the documents of this resource apart.
        """
        self.scopes.check(scope)
        return {self._stored[name]: Encoder().encode(value) for name, value in scope.items() if name in self._stored}

    def class_filter(self) -> dict[str, Any]:
        """Only this class and its children, where several share a collection. Needs an initialised document."""
        if self._subclasses is None:
            self._subclasses = class_filter(self.resource.document)
        return self._subclasses

    def holds(self, raw: Mapping[str, Any]) -> bool:
        """Whether a document of the collection is of this class, or of one below it. Needs an initialised document."""
        return all(
            raw.get(field) in (wanted["$in"] if isinstance(wanted, Mapping) else [wanted])
            for field, wanted in self.class_filter().items()
        )

    def collection_filter(self, scope: Mapping[str, Any], parent: Any = None) -> dict[str, Any]:
        """What every document of a request's collection has in common. `parent`: the value that children store."""
        return self.scope_filter(scope) | self.filter_of_all(parent)

    def filter_of_all(self, parent: Any = None) -> dict[str, Any]:
        """What all documents below a parent have in common, whoever asks: for what is done to the parent itself."""
        found = dict(self.class_filter())
        if self.resource.parent:
            found[self._stored[self.resource.parent.field]] = parent
        return found

    def key_filter(self, text: str) -> dict[str, Any]:
        """The document with this key in the path. Raises Invalid where it can be no key."""
        value = self.key_value(text)
        found = self.keys.spellings(text) if self.keys.are_names else [value]
        return {self.key_field: value if len(found) == 1 else {"$in": found}}

    def keys_filter(self, texts: Collection[str]) -> dict[str, Any]:
        """The documents with these keys. Raises Invalid if one of them can be no key."""
        for text in texts:
            self.key_value(text)
        return {self.key_field: {"$in": [value for text in texts for value in self.keys.spellings(text)]}}

    def key_value(self, text: str) -> Any:
        """What is stored of the key in the path. Raises Invalid."""
        try:
            return self.keys.read(text)
        except ValueError:
            if self.alias_of(text) is not None:
                raise self._no_key(
                    f"{text[:100]!r} may stand for another {self.resource.singular} at any time, so only "
                    f"reads take it: GET it, and send the {self.resource.key} that its Content-Location has",
                    "alias",
                ) from None
            raise self._no_key(f"{text[:100]!r} is no key of {self.resource.name}") from None

    def alias_of(self, text: str) -> KeyAlias | None:
        """The alias that this text of a path is; None for the text of a key, and for one that means nothing."""
        if self._may_be_alias is None or not self._may_be_alias(text):
            return None
        try:
            self.keys.read(text)
        except ValueError:
            return next(alias for alias in self.resource.key_aliases if alias.matches(text))
        return None

    def key_text(self, raw: Mapping[str, Any]) -> str:
        """The key of a stored document as it stands in paths."""
        return self.keys.text(raw.get(self.key_field))

    def new_key(self, raw: Mapping[str, Any], asked: str | None = None) -> str:
        """The key of a new document, which is to have the one `asked` for in the path, where there is such.

        Raises Invalid where another is stored, or no path could lead to it.
        """
        text = self.key_text(raw)
        if asked is not None and text != asked:
            raise self._no_key(f"{asked[:100]!r} is no key of {self.resource.name}: it is written {text[:100]!r}")
        message = ""
        if not self.keys.leads_to(text, raw.get(self.key_field)):
            message = f"is no key: in a path {text[:100]!r} does not stand for this value"
        elif text in UNREACHABLE or "/" in text or text.endswith("\n"):
            message = "is no key: it is empty, '.' or '..', contains '/' or ends with a line break"
        if message:
            sent = input_name(self.resource.key, self.resource.document.model_fields[self.resource.key])
            raise Invalid.of([Issue(("body", sent), message, "key")])
        return text

    def _no_key(self, message: str, type_: str = "key") -> Invalid:
        return Invalid.of([Issue(("path", self.resource.singular), message, type_)])

    def not_found(self, text: str) -> NotFound:
        """The error for a key that leads nowhere."""
        return NotFound(f"there is no {self.resource.singular} {text[:200]!r}")

    def stamp(self, document: T, scope: Mapping[str, Any], before: T | None = None) -> None:
        """Put the scope's values into a new document, or those that it had `before`, which the scope found.

        Raises Forbidden for a document outside of the scope.
        """
        self.scopes.check(scope)
        if not scope:
            return
        for name, value in self.scopes.given(scope).items():
            document.__dict__[name] = value if before is None else before.__dict__.get(name, value)
        for name, value in scope.items():
            if name not in self._stored or not isinstance(value, Mapping):
                continue
            if document.__dict__.get(name) not in value.get("$in", ()):
                raise Forbidden(f"{name}: outside of what this request may write")
