"""The forms of a document (body, instance, stored, wire) and the JSON Schemas that describe them."""

from regesta.schemas.codec import Codec, View
from regesta.schemas.compiled import ModelReader
from regesta.schemas.issues import issues_of, shortened
from regesta.schemas.json_input import check_storable, read_json
from regesta.schemas.json_lines import json_line, unbroken
from regesta.schemas.projection import dumps

__all__ = [
    "Codec",
    "ModelReader",
    "View",
    "check_storable",
    "dumps",
    "issues_of",
    "json_line",
    "read_json",
    "shortened",
    "unbroken",
]
