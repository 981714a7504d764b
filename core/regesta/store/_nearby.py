"""Local stores in folders nearby, for somebody who started in the wrong folder."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

_LOOKED_AT = 1000  # entries of a folder


def stores_nearby(directory: Path) -> list[Path]:
    """Return the other local stores of the same name: in the folders above, and one folder below.

    `directory` is the store that is in use. Folders that cannot be read are left out.
    """
    folder, name = directory.parent, directory.name
    candidates = [*(parent / name for parent in folder.parents), *(child / name for child in _folders(folder))]
    return [found for found in candidates if _holds_data(found)]


def _folders(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from (child for child in islice(folder.iterdir(), _LOOKED_AT) if child.is_dir())


def _holds_data(store: Path) -> bool:
    try:
        return (store / "data" / "WiredTiger").is_file()
    except OSError:
        return False
