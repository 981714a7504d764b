"""How documents are written as BSON, whatever the client that holds the connection was told."""

from typing import Any

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions

# What Beanie stores.
STANDARD: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
