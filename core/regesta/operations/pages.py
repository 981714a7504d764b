"""What is read: a stored document, and a page of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from beanie import Document

from regesta.operations.addresses import Addresses
from regesta.operations.etags import etag_of
from regesta.schemas import Codec

if TYPE_CHECKING:
    from regesta.operations.reads import Reads

T = TypeVar("T", bound=Document)


class Count(StrEnum):
    """How exact a page's `total` shall be."""

    EXACT = "exact"
    ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True)
class Stored(Generic[T]):
    """A document as MongoDB holds it, with the codec that turns it into anything else."""

    raw: Mapping[str, Any]
    codec: Codec[T]
    addresses: Addresses[T]

    @property
    def key(self) -> str:
        """Its key as it stands in paths."""
        return self.addresses.key_text(self.raw)

    @property
    def etag(self) -> str:
        """Its entity tag, without quotes."""
        return etag_of(self.raw)

    @property
    def document(self) -> T:
        """The Beanie instance."""
        return self.codec.from_stored(self.raw)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some documents in order, as MongoDB holds them, and the token of the page after them ("" after the last)."""

    raws: Sequence[dict[str, Any]]
    next_page_token: str
    total: int | None
    reads: "Reads[T]"

    @property
    def items(self) -> Sequence[Stored[T]]:
        """Each document with the codec of its own class."""
        return [self.reads.stored(raw) for raw in self.raws]

    async def into_wires(self) -> list[Any]:
        """What the JSON of the documents is made of, as clients see them. The page is spent with it."""
        return await self.reads.into_wires(self.raws)
