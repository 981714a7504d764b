"""The forms of a document (body, instance, stored, wire) and the JSON Schemas that describe them."""

from regesta.schemas.codec import Codec, View
from regesta.schemas.compiled import ModelReader
from regesta.schemas.issues import MAX_ISSUES, issues_of, shortened
from regesta.schemas.json_input import check_storable, parse_json, read_body, read_json
from regesta.schemas.json_lines import json_line, unbroken
from regesta.schemas.json_size import MAX_VALUES, check_value_count, has_more_values, value_count
from regesta.schemas.projection import dumps
from regesta.schemas.validator import with_link_ids
from regesta.schemas.wide_integers import Path, Widen, widened

__all__ = [
    "MAX_ISSUES",
    "MAX_VALUES",
    "Codec",
    "ModelReader",
    "Path",
    "View",
    "Widen",
    "check_storable",
    "check_value_count",
    "dumps",
    "has_more_values",
    "issues_of",
    "json_line",
    "parse_json",
    "read_body",
    "read_json",
    "shortened",
    "unbroken",
    "value_count",
    "widened",
    "with_link_ids",
]
