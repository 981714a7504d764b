"""The forms of a document (body, instance, stored, wire) and the JSON Schemas that describe them."""

from regesta.schemas.codec import Codec, View, issues_of
from regesta.schemas.json_input import check_storable, read_json
from regesta.schemas.projection import dumps

__all__ = ["Codec", "View", "check_storable", "dumps", "issues_of", "read_json"]
