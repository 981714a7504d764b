"""Names that people read: kept in one spelling, and without invisible characters.

    class Dataset(Workspaced):
        name: Annotated[str, Name]

"é" can be one character or two. `Name` keeps the composed form (NFC) and finds a document by either one.
"""

import unicodedata
from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

JOINERS = frozenset("\u200c\u200d")  # ZWNJ, ZWJ: between letters or emoji they change what is seen
PRESENTATIONS = frozenset("\ufe0e\ufe0f")  # after a sign they say whether it is text or an emoji

# By category: control, format (bidi and zero width among them), private use, surrogates, unassigned, line separators.
_REFUSED = frozenset(("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"))
# Not shown either, although their category says letter, mark or symbol.
_BLANK = frozenset(
    [
        *"\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159",
        *map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE0E), *range(0xE0100, 0xE01F0))),
    ]
)


@dataclass(frozen=True, slots=True)
class _Name:
    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(_of_client, handler(source))


Name: Final = _Name()
"""Marks a text that names something: `Annotated[str, Name]`.

What clients send is kept in NFC. Characters that are not shown are refused, as is a name of nothing visible. What is
stored already stays as it is, and code that sets the field calls `checked_name` itself.
"""


def checked_name(text: str) -> str:
    """Return the name in NFC. Raises ValueError for one that has something invisible, or nothing visible."""
    if text.isascii() and text.isprintable() and text.strip(" "):
        return text
    name = unicodedata.normalize("NFC", text)
    for position, character in enumerate(name):
        if not _is_shown(name, position):
            raise ValueError(f"must not have U+{ord(character):04X}, which cannot be seen (character {position + 1})")
    if not any(unicodedata.category(character)[0] in "LNPS" for character in name):
        raise ValueError("must have something that can be seen")
    return name


def same_name(text: str) -> str:
    """Return the spelling in which a name is kept, for looking it up."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def spellings(text: str) -> list[str]:
    """Return the spellings in which a name may be stored: older documents keep what they were sent."""
    if text.isascii():
        return [text]
    return list(dict.fromkeys((same_name(text), text, unicodedata.normalize("NFD", text))))


def _of_client(text: Any, info: ValidationInfo) -> Any:
    """Bodies are JSON. What is read from the database is not."""
    return checked_name(text) if info.mode == "json" and isinstance(text, str) else text


def _is_shown(name: str, position: int) -> bool:
    character = name[position]
    before, after = name[position - 1 : position], name[position + 1 : position + 2]
    if character in JOINERS:
        return _joins(before) and _joins(after)
    if character in PRESENTATIONS:
        return bool(before) and unicodedata.category(before)[0] in "SPN"
    return character not in _BLANK and unicodedata.category(character) not in _REFUSED


def _joins(character: str) -> bool:
    """Whether it is of a letter or an emoji."""
    return character in PRESENTATIONS or (character != "" and unicodedata.category(character)[0] in "LMS")
