"""A stream of bytes as numbered lines, none of them longer than a bound."""

from collections.abc import Iterator
from dataclasses import dataclass

_BLANK = b" \t\r"


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank, without its end; `text` is None where it was too long to be kept."""

    number: int
    text: bytes | None


class Lines:
    """Splits what it is fed at line feeds, CR before them or not. It holds at most one line."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._number = 0
        self._begun = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> Iterator[Line]:
        """The lines that end in `data`."""
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._take(piece)
            yield from self.rest()
        self._take(rest)

    def rest(self) -> Iterator[Line]:
        """The line that was begun, as if it ended here; nothing where it is blank."""
        self._number += 1
        text, too_long = bytes(self._begun).removesuffix(b"\r"), self._too_long
        self._begun.clear()
        self._too_long = False
        if too_long or len(text) > self._limit:
            yield Line(self._number, None)
        elif text.strip(_BLANK):
            yield Line(self._number, text)

    def _take(self, piece: bytes) -> None:
        if self._too_long or len(self._begun) + len(piece) > self._limit + 1:  # the one more may be CR
            self._too_long = True
            self._begun.clear()
        else:
            self._begun += piece
