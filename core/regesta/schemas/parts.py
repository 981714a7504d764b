"""The models inside a schema: known by their names while it is made, then left inline or taken out.

A schema that stands by itself has them inline. OpenAPI names them, so that generated clients have one class
for each, and not one for each place where it stands.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

JsonSchema = dict[str, Any]

_MARK = "x-regesta-part"


def inlined(schema: JsonSchema) -> JsonSchema:
    """Without `$defs`; what came from there is marked. Where a model contains itself, one level is shown."""
    definitions = schema.get("$defs", {})
    rest = {key: value for key, value in schema.items() if key != "$defs"}
    resolved: JsonSchema = _resolve(copy.deepcopy(rest), definitions, ())
    resolved.pop(_MARK, None)  # a model that contains itself is a part at its top as well
    return resolved


def named(schema: JsonSchema, name: str) -> JsonSchema:
    """The same schema, marked as a part of this name."""
    return {**schema, _MARK: {"name": name, "own": {}, "suffix": "", "named": True}}


def variant(schema: JsonSchema, suffix: str) -> JsonSchema:
    """The same schema, whose part has a name of its own in this use."""
    return {**schema, _MARK: {**schema[_MARK], "suffix": suffix}} if _MARK in schema else schema


def plain(node: Any) -> Any:
    """The schema by itself, without marks."""
    return _mapped(node, lambda part, _: {key: value for key, value in part.items() if key != _MARK})


def divided(schema: JsonSchema, suffix: str, refer: Callable[[str, JsonSchema], str]) -> JsonSchema:
    """The schema with a `$ref` for each part; `refer` takes a part's name and schema, and tells where it is.

    Objects, enumerations and what was `named` are taken out; parts that contain parts come after them. `suffix`
    sets names apart from those of the same models in other uses, unless the part is an enumeration, which is the
    same in all.
    """

    def take_out(part: JsonSchema, mark: Mapping[str, Any]) -> JsonSchema:
        if not (part.keys() & {"properties", "enum"} or "named" in mark):
            return {key: value for key, value in part.items() if key != _MARK}
        beside = {key: part[key] for key in mark["own"] if key in part}
        own = {key: value for key, value in part.items() if key not in beside and key != _MARK}
        own |= {key: value for key, value in mark["own"].items() if value is not None}
        name = mark["name"] + ("" if "enum" in part else mark.get("suffix", suffix))
        return {"$ref": refer(name, own), **beside}

    found: JsonSchema = _mapped(schema, take_out)
    return found


def _mapped(node: Any, change: Callable[[JsonSchema, Mapping[str, Any]], JsonSchema]) -> Any:
    """Each part changed, the innermost first."""
    if isinstance(node, list):
        return [_mapped(item, change) for item in node]
    if not isinstance(node, dict):
        return node
    below = {key: value if key == _MARK else _mapped(value, change) for key, value in node.items()}
    return change(below, node[_MARK]) if _MARK in node else below


def _resolve(node: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_resolve(item, definitions, inside) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return {key: _resolve(value, definitions, inside) for key, value in node.items() if key != "discriminator"}
    name = reference.rpartition("/")[2]
    if name in inside:
        return {"type": "object", "title": name}
    beside = {key: value for key, value in node.items() if key != "$ref"}
    part = _resolve(definitions[name], definitions, (*inside, name))
    return {**part, **beside, _MARK: {"name": name, "own": {key: part.get(key) for key in beside}}}
