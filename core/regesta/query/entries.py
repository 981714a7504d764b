"""What a field says of the values that are found in it by keys: mappings, and lists of entries with keys."""

from dataclasses import dataclass

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from regesta.errors import DeclarationError
from regesta.markers import Entries, entries_of, is_name

from .annotations import kind_of, model_of, shape, values_of_mapping
from .values import TEXT, Kind

SCALARS = frozenset({str, int, float, bool})


@dataclass(frozen=True, slots=True)
class Keyed:
    """Values that are found by keys in a field.

    kind: how they are read; None where each is typed by how it is written. keys, value: what an entry of a list is
    found by, the key and its qualifiers, and where its value is, in stored names; of a mapping there are none.
    names: what clients call the keys. are_names: the keys are kept as names are.
    """

    kind: Kind | None
    keys: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    value: str = ""
    are_names: bool = False


def keyed(field: FieldInfo) -> Keyed | None:
    """How values of a field are found by keys; None where they are not.

    Raises DeclarationError where Entries names what the entries do not have.
    """
    form, declared = shape(field.annotation), entries_of(field)
    if declared is not None:
        model = model_of(form.core)
        if model is None or not form.many or form.nested:
            raise DeclarationError("Entries marks a list of models")
        return _of_entries(model, declared)
    values = values_of_mapping(form.core)
    if values is None or form.many:
        return None
    inner = shape(values)
    if inner.many or inner.nested:
        return None
    if isinstance(inner.core, tuple) and str in inner.core and set(inner.core) <= SCALARS:
        return Keyed(None)
    kind = kind_of(inner.core)
    return None if kind is None else Keyed(kind)


def _of_entries(model: type[BaseModel], declared: Entries) -> Keyed:
    fields, keys = model.model_fields, (declared.key, *declared.qualifiers)
    for name in (*keys, declared.value):
        if name not in fields:
            raise DeclarationError(f"Entries: {model.__name__} has no field {name!r}")
    for name in keys:
        if kind_of(shape(fields[name].annotation).core) is not TEXT:
            raise DeclarationError(f"Entries: {name!r} of {model.__name__} is no text, so it is no key")
    form = shape(fields[declared.value].annotation)
    kind = None if form.many else kind_of(form.core)
    if kind is None:
        raise DeclarationError(f"Entries: no text stands for a {declared.value!r} of {model.__name__}")
    names = tuple(fields[name].serialization_alias or fields[name].alias or name for name in keys)
    return Keyed(
        kind,
        tuple(fields[name].alias or name for name in keys),
        names,
        fields[declared.value].alias or declared.value,
        are_names=all(is_name(fields[name]) for name in keys),
    )
