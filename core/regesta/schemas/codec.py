"""Everything that turns one resource's documents from one form into another.

body (bytes) -> document -> stored (dict for MongoDB) -> wire (bytes or dict for clients)
"""

import copy
import datetime
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cached_property
from typing import Any, Generic, TypeVar

import bson
import orjson
from beanie import Document
from beanie.odm.utils.parsing import parse_obj
from bson.errors import BSONError
from pydantic import ValidationError

from regesta.annotations import takes_none
from regesta.declarations import Operation
from regesta.errors import Invalid, Issue, Location
from regesta.inheritance import CLASS_ID, class_field
from regesta.markers import masks_itself
from regesta.resource import Resource
from regesta.schemas.dumping import dump, readable, with_zones
from regesta.schemas.issues import shortened, validation, with_suggestions
from regesta.schemas.pages import page_projector
from regesta.schemas.projection import Projector, as_json, dumps, projector
from regesta.schemas.read_models import ReadModel
from regesta.schemas.sendable import check_sendable
from regesta.schemas.shape import Shape, input_name, input_names_at, is_back_link, shape_of
from regesta.schemas.stored import BsonEncoder, encoder_of
from regesta.schemas.validator import NOTHING, BodyValidator
from regesta.store import STANDARD

T = TypeVar("T", bound=Document)


# What Beanie and BSON raise over a value that cannot be encoded; the first for a decimal of too many digits.
UNENCODABLE = (ArithmeticError, AttributeError, TypeError, ValueError)
STORED_ONLY = frozenset({"_id", CLASS_ID, "revision_id"})


class View(Enum):
    """How much of a document is shown: what clients see, or each field that they may send, and no other."""

    VISIBLE = "visible"
    WHOLE = "whole"


class Codec(Generic[T]):
    """The conversions of one document class under one resource's rules."""

    def __init__(self, resource: Resource[Any], document: type[T]) -> None:
        self.document = document
        self.resource = resource
        fields = document.model_fields
        unsent = {name for name, info in fields.items() if is_back_link(info.annotation)}
        self.read_only = (resource.read_only | unsent) & fields.keys()
        self.hidden = resource.hidden & fields.keys()
        self.inputs = {input_name(name, info): name for name, info in fields.items() if name not in self.read_only}
        self.managed = {input_name(name, fields[name]): name for name in self.read_only}
        self.input_names = {name: wire for wire, name in self.inputs.items()}
        self.nullable = frozenset(
            wire
            for wire, name in self.inputs.items()
            if fields[name].is_required() and takes_none(fields[name].annotation)
        )
        if document is resource.document and _derives_bodies(resource):
            check_sendable(document)
        self.shape: Shape = shape_of(document)
        self._stored_only = STORED_ONLY | {class_field(document)}
        self.wire_names = {found.name: found.wire for found in self.shape.fields.values()}
        self.stored_names = {name: info.alias or name for name, info in fields.items()}
        self.secret_names = frozenset(
            self.wire_names[name] for name in resource.secret_fields if name in self.wire_names
        )
        self._links = [name for name, found in ((f.name, f) for f in self.shape.fields.values()) if found.link]
        # Pydantic dumps these as asterisks.
        self._masked = frozenset(name for name in self.hidden & self.wire_names.keys() if masks_itself(fields[name]))
        self._unshown = {"id", "revision_id", *unsent, *self._links}
        self._validator = BodyValidator(document, self.read_only)
        self._read = ReadModel(resource.schemas.read) if resource.schemas.read else None
        self.unreadable = self.hidden | (fields.keys() - self._read.reads if self._read else frozenset())
        self.direct = self.shape.direct and self._read is None and not _has_encoders(document)
        self._visible: Projector = projector(self.shape, self.hidden)
        self._page = page_projector(self.shape, self.hidden)
        self._whole: Projector = projector(self.shape, frozenset({"revision_id"}))

    # body -> document

    def refused(self, tree: Mapping[str, Any]) -> list[Issue]:
        """Return an issue for each field of a body that clients may not send."""
        if tree.keys() <= self.inputs.keys():
            return []
        return self.refusals((name, ("body", name)) for name in tree)

    def refusals(self, named: Iterable[tuple[str, Location]]) -> list[Issue]:
        """Return an issue for each of these fields that clients may not send, at the place that names it."""
        refused = [(name, loc) for name, loc in named if not self.accepts(name)]
        issues = shortened((Issue(loc, *self.refusal(name)) for name, loc in refused), len(refused))
        return with_suggestions(issues, self.names_at)

    def accepts(self, name: str) -> bool:
        """Whether clients may send a field of this wire name."""
        if name in self.inputs:
            return True
        return self.shape.extra and name not in self.managed and name not in self._stored_only

    def refusal(self, name: str) -> tuple[str, str]:
        """Message and type of what is wrong with a field that clients may not send."""
        if name in self.managed:
            return "is set by the server: leave it out", "read_only"
        return "is not a field of this resource", "extra_forbidden"

    def names_at(self, loc: Location) -> Iterable[str]:
        """Return the names that clients may send at a location of a body."""
        return input_names_at(self.shape, loc[1:]) if len(loc) > 1 else self.inputs

    def from_body(self, body: bytes, given: Mapping[str, Any] = NOTHING) -> T:
        """A document from a checked body; the server gives the fields of `given`. Raises Invalid with every issue."""
        with validation(self.names_at):
            return self._validator.validate(body, given)

    def assembled(
        self, before: T, tree: Mapping[str, Any], reset: Collection[str] = (), shown: Mapping[str, Any] | None = None
    ) -> T:
        """The document as a body changes it. Raises Invalid with every issue.

        Fields that the body has are validated and taken; those of `reset` (Python names) that it lacks go
        back to their defaults; all others stay. `shown` is what clients could send of the document (`sendable`):
        "before" validators of the whole see what stays of it, too.
        """
        if self._validator.fills:
            tree, reset = self._filled(tree, reset, shown or {})
        fields = self.document.model_fields
        absent = [name for name in reset if name in fields and self.input_names[name] not in tree]
        defaults = {
            name: fields[name].get_default(call_default_factory=True, validated_data={})
            for name in absent
            if not fields[name].is_required()
        }
        try:
            with validation(self.names_at):
                sent, extra = self._validator.validate_some(tree, {**before.__dict__, **defaults})
            issues: list[Issue] = []
        except Invalid as error:
            sent, extra, issues = {}, {}, [*error.issues]
        missing = sorted(self.input_names[name] for name in absent if fields[name].is_required())
        issues += [Issue(("body", wire), "Field required", "missing") for wire in missing]
        gone = [name for name in reset if name not in sent]
        if issues:
            raise Invalid.of(issues)
        kept = {name: value for name, value in before.__dict__.items() if name not in gone}
        kept_extra = {name: value for name, value in (before.__pydantic_extra__ or {}).items() if name not in gone}
        return self._validated(kept | sent, kept_extra | extra, before)

    def _filled(
        self, tree: Mapping[str, Any], reset: Collection[str], shown: Mapping[str, Any]
    ) -> tuple[dict[str, Any], set[str]]:
        """What is sent and reset, once "before" validators of the whole have changed it. Raises Invalid."""
        whole = {name: value for name, value in shown.items() if self.inputs.get(name, name) not in reset}
        whole |= tree
        with validation():
            filled = self._validator.filled(orjson.dumps(whole))
        sent = {
            name: value for name, value in filled.items() if name in tree or name not in whole or value != whole[name]
        }
        return sent, {self.inputs.get(name, name) for name in whole.keys() - filled.keys()}.union(reset)

    def with_sent(self, before: T, tree: Mapping[str, Any]) -> T:
        """The document with these fields as a body would set them; those that no body may hold stay."""
        values, extra = dict[str, Any](), dict[str, Any]()
        try:
            values, extra = self._validator.validate_some(tree, before.__dict__)
        except (ValidationError, *UNENCODABLE):
            for name, value in tree.items() if len(tree) > 1 else ():
                one = self.with_sent(before, {name: value})
                values |= {
                    field: found for field, found in one.__dict__.items() if found is not before.__dict__.get(field)
                }
                extra |= one.__pydantic_extra__ or {}
        return self._copied(before, values, extra)

    def _copied(self, document: T, values: Mapping[str, Any], extra: Mapping[str, Any]) -> T:
        again = copy.copy(document)
        again.__dict__.update(values)
        if extra:
            again.__pydantic_extra__ = {**(document.__pydantic_extra__ or {}), **extra}
        return again

    def with_stored(self, document: T, encoded: Mapping[str, Any], stored: Mapping[str, Any]) -> T:
        """The document, whose form is `encoded`, with some keys as they are `stored`; as it is if that is not valid."""
        parsed = next(self._parsed({**encoded, **stored}), None)
        if parsed is None:
            return document
        names = {found.stored: found.name for found in self.shape.fields.values()}
        values = {names[key]: parsed.__dict__[names[key]] for key in stored if key in names}
        found = parsed.__pydantic_extra__ or {}
        return self._copied(document, values, {key: found[key] for key in stored if key not in names and key in found})

    def from_values(self, values: Mapping[str, Any]) -> T:
        """A document from Python values by field name. Raises Invalid."""
        with validation():
            return self._validator.validate_values(values)

    def with_values(self, before: T, values: Mapping[str, Any], reset: Collection[str]) -> T:
        """The document with these values by field name; those of `reset` without one go back to their defaults."""
        kept = {name: value for name, value in before.__dict__.items() if name not in reset}
        return self._validated({**kept, **values}, before.__pydantic_extra__, before)

    def validate_again(self, document: T) -> T:
        """The document, once its fields are valid after hooks changed them. Raises Invalid."""
        return self._validated(document.__dict__, document.__pydantic_extra__, document)

    def _validated(self, values: Mapping[str, Any], extra: Mapping[str, Any] | None, model: T) -> T:
        with validation():
            again = self._validator.validate_values(values, extra)
        again.__dict__["revision_id"] = model.__dict__.get("revision_id")
        again.__pydantic_private__ = model.__pydantic_private__
        return again

    # document <-> stored

    def to_stored(self, document: T) -> dict[str, Any]:
        """What Beanie would write for it. Raises Invalid where Beanie cannot encode a value."""
        try:
            return self._encode(document)
        except UNENCODABLE as error:
            raise self.not_storable(document) from error

    def not_storable(self, document: T) -> Invalid:
        """The error that names each field of the document that Beanie or BSON cannot encode."""
        wires = [self.wire_names.get(name, name) for name in self._not_encodable(document)]
        locations: list[Location] = [("body", wire) for wire in wires] or [("body",)]
        return Invalid.of(Issue(loc, "holds a value that cannot be stored", "not_storable") for loc in locations)

    def _not_encodable(self, document: T) -> Iterator[str]:
        encode = BsonEncoder(custom_encoders=document.get_settings().bson_encoders, to_db=True).encode
        for name, value in document:
            try:
                bson.encode({"": encode(value)}, codec_options=STANDARD)
            except (*UNENCODABLE, BSONError):
                yield name

    @cached_property
    def _encode(self) -> Callable[[Any], dict[str, Any]]:
        return encoder_of(self.document)

    def stored_before(self, raw: Mapping[str, Any], document: T) -> dict[str, Any]:
        """What Beanie would write for a document as it was read; of what Beanie cannot write, what is stored."""
        try:
            return self.stored_after(raw, document, document)
        except Invalid:
            return {key: value for key, value in raw.items() if key in self.shape.fields}

    def stored_after(self, raw: Mapping[str, Any], before: T, after: T) -> dict[str, Any]:
        """`to_stored` of a changed document. A field that did not change need not be one that Beanie can write."""
        try:
            return self.to_stored(after)
        except Invalid:
            lost = set(self._not_encodable(after))
            if not lost <= self.stored_names.keys() or not all(_is_still(before, after, name) for name in lost):
                raise
            encoded = self.to_stored(self._copied(after, dict.fromkeys(lost), {}))
            keys = {self.stored_names[name] for name in lost}
            return {key: value for key, value in encoded.items() if key not in keys} | {
                key: raw[key] for key in keys if key in raw
            }

    def never_set(self, raw: Mapping[str, Any]) -> Iterator[str]:
        """The fields (Python names) that a document must have and lacks: it is older than they are."""
        keep_nulls = self.document.get_settings().keep_nulls
        for name, info in self.document.model_fields.items():
            absent = info.is_required() and self.stored_names[name] not in raw
            if absent and (keep_nulls or not takes_none(info.annotation)):
                yield name

    def from_stored(self, raw: Mapping[str, Any]) -> T:
        """The instance. One that does not fit its model (somebody else wrote it) is built without validation."""
        return next(self._instances(raw))

    def _instances(self, raw: Mapping[str, Any]) -> Iterator[T]:
        """The ways to see it, best first: with datetimes in UTC, without a zone as Beanie reads them, not validated."""
        yield from self._parsed(raw)
        names = {found.stored: found.name for found in self.shape.fields.values()}
        known = {names[key]: value for key, value in raw.items() if key in names}
        yield self.document.model_construct(**known)

    def _parsed(self, raw: Mapping[str, Any]) -> Iterator[T]:
        for zone in (datetime.UTC, None):
            try:
                document: T = parse_obj(self.document, readable(raw, zone))  # type: ignore[assignment]
            except Exception:  # noqa: BLE001, S112 - validators of the user's own may raise anything
                continue
            yield document

    # stored -> wire

    def wire(self, raw: Mapping[str, Any], view: View = View.VISIBLE) -> Any:
        """What `dumps` turns into the JSON of a document."""
        return self._projected(raw, view) if self.direct else self._dump(raw, view)

    def into_wires(self, raws: Sequence[dict[str, Any]]) -> list[Any]:
        """What `dumps` turns into the JSON of several documents of this class, which are spent with it.

        As clients see them. To copy a hundred dicts costs more than to look at each of their values.
        """
        return self._page(raws) if self.direct else list(map(self.wire, raws))

    def tree(self, raw: Mapping[str, Any], view: View = View.VISIBLE) -> dict[str, Any]:
        """The document as parsed JSON."""
        parsed: dict[str, Any] = orjson.loads(dumps(self.wire(raw, view)))
        return parsed

    def sendable(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The document as parsed JSON, each field under the name that clients send it by."""
        names = {found.wire: self.input_names.get(found.name, found.wire) for found in self.shape.fields.values()}
        return {names.get(name, name): value for name, value in self.tree(raw, View.WHOLE).items()}

    def wire_path(self, stored: str) -> str:
        """A stored dotted path as clients write it; what the document does not know stays as it is."""
        shape: Shape | None = self.shape
        parts = []
        for part in stored.split("."):
            found = shape.fields.get(part) if shape else None
            parts.append(found.wire if found else part)
            shape = found.child if found else None
        return ".".join(parts)

    def sent_path(self, stored: str) -> str:
        """Return a stored dotted path as clients send it, which may differ from how it is shown."""
        shape: Shape | None = self.shape
        parts = []
        for part in stored.split("."):
            found = shape.fields.get(part) if shape else None
            parts.append(input_name(found.name, shape.model.model_fields[found.name]) if shape and found else part)
            shape = found.child if found else None
        return ".".join(parts)

    def _projected(self, raw: Mapping[str, Any], view: View) -> dict[str, Any]:
        return self._visible(raw) if view is View.VISIBLE else self._whole(raw)

    def _dump(self, raw: Mapping[str, Any], view: View) -> Any:
        if self._read and view is View.VISIBLE:
            return self._read.wire(self.from_stored(raw))
        masked = self._masked if view is View.WHOLE else frozenset[str]()
        left_out = masked if view is View.WHOLE else self.hidden
        for attempt, document in enumerate(self._instances(raw)):
            try:
                dumped, broken = dump(document, self._unshown | left_out, computed=view is View.VISIBLE)
            except Exception:  # noqa: BLE001, S112 - computed fields of the user's own may raise anything
                continue
            shown = with_zones(dumped, self._projected(raw, view)) if attempt else dumped
            links = {
                self.wire_names[name]: getattr(document, name, None) for name in self._links if name not in left_out
            }
            if as_stored := {self.wire_names.get(name, name) for name in masked | broken}:
                extra = document.__pydantic_extra__ or {}
                stored = {name: raw[name] for name in extra if name in raw} | self._projected(raw, view)
                shown |= {wire: value for wire, value in stored.items() if wire in as_stored}
            return {"id": document.id, **shown, **links}
        return self._projected(raw, view)


def _derives_bodies(resource: Resource[Any]) -> bool:
    own = resource.schemas
    models = {Operation.CREATE: own.create, Operation.REPLACE: own.replace, Operation.PATCH: own.patch}
    return any(operation in resource.operations and model is None for operation, model in models.items())


def _has_encoders(document: type[Document]) -> bool:
    return bool(getattr(getattr(document, "Settings", None), "bson_encoders", None))


def _is_still(before: Document, after: Document, name: str) -> bool:
    """Whether a field has the value that it had."""
    missing = object()
    old, new = before.__dict__.get(name, missing), after.__dict__.get(name, missing)
    return old is new or (type(old) is type(new) and bool(old == new))


__all__ = ["Codec", "View", "as_json", "dumps"]
