"""Reads the archive of a bundle: a tar file of plain files, which may come from an enemy.

Not `tarfile`, which follows what headers say: it reads extended headers of any size into memory, fails with a
RecursionError over many of them, and takes a damaged header for the end. Here a header is read by `TarInfo.frombuf`,
and everything that a bundle does not need is refused: links, devices, sparse files, long names, compression.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from regesta.errors import ConfigurationError

BLOCK = tarfile.BLOCKSIZE
PIECE = 2**20
_ZEROS = bytes(BLOCK)
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
_MOST_DIGITS = 15  # of a number in an extended header
_MOST_EXTENDED = 16 * BLOCK  # bytes of an extended header


class BadBundle(ConfigurationError):
    """The archive is not a bundle, or not what it was when it was written. The message names the member."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive, or a folder, whose bytes are there as its header says."""

    name: str
    offset: int
    size: int
    is_folder: bool = False


def shown(name: object) -> str:
    """A name as messages quote it: without what a terminal would obey, and not too long."""
    return ascii(name if isinstance(name, str) else str(name))[:200]


def read_members(file: BinaryIO, length: int) -> Iterator[Member]:
    """The members of an archive of `length` bytes, one after the other. Raises BadBundle, OSError."""
    offset, size = 0, None
    while (header := _block(file, offset, length)) != _ZEROS:
        info = _header(header, offset)
        offset += BLOCK
        if info.type == tarfile.XHDTYPE and size is None:
            size = _extended_size(file, offset, info)
            offset += _padded(info.size)
            continue
        if info.type not in (*_PLAIN, tarfile.DIRTYPE):
            raise BadBundle(f"{shown(info.name)} is not a plain file")
        member = Member(
            info.name, offset, info.size if size is None or size < 0 else size, info.type == tarfile.DIRTYPE
        )
        if member.size < 0 or member.offset + member.size > length or (member.is_folder and member.size):
            raise BadBundle(
                f"{shown(member.name)} has another size than its header says: the archive is cut or damaged"
            )
        size = None
        offset += _padded(member.size)
        yield member
    _check_end(file, offset)


def _block(file: BinaryIO, offset: int, length: int) -> bytes:
    if offset + BLOCK > length:
        raise BadBundle("the archive is cut: its end is missing")
    file.seek(offset)
    return file.read(BLOCK)


def _header(block: bytes, offset: int) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise BadBundle(f"byte {offset} of the archive begins no member: it is no tar file, or damaged") from error


def _extended_size(file: BinaryIO, offset: int, info: tarfile.TarInfo) -> int:
    """The size that an extended header (pax) gives to the next member; -1 if it gives none."""
    if not 0 <= info.size <= _MOST_EXTENDED:
        raise BadBundle(f"{shown(info.name)} is an extended header of {info.size} bytes")
    file.seek(offset)
    left, found = file.read(info.size), -1
    while left:
        count = left[:_MOST_DIGITS].partition(b" ")[0]
        if not count.isdigit() or not len(count) + 2 <= int(count) <= len(left):
            raise BadBundle(f"{shown(info.name)} is a damaged extended header")
        record, left = left[len(count) + 1 : int(count)], left[int(count) :]
        keyword, _, value = record.removesuffix(b"\n").partition(b"=")
        if keyword == b"size":
            if not value.isdigit() or len(value) > _MOST_DIGITS:
                raise BadBundle(f"{shown(info.name)} gives {shown(value.decode('latin-1'))} as a size")
            found = int(value)
        elif keyword == b"path" or keyword.startswith(b"GNU.sparse"):
            raise BadBundle(f"{shown(info.name)} gives another name or form to a member, which no bundle needs")
    return found


def _check_end(file: BinaryIO, offset: int) -> None:
    file.seek(offset)
    while piece := file.read(PIECE):
        if piece.count(0) != len(piece):
            raise BadBundle("there is more after the end of the archive")


def _padded(size: int) -> int:
    return size + -size % BLOCK
