"""What names, versions, aliases, tags and sources may be: what the protocol asks for, before anything is looked up.

What Regesta itself refuses beyond that is refused by its own rules when it is written.
"""

import posixpath
import re
from urllib.parse import unquote

from regesta.names import checked_name, same_name
from regesta_mlflow.errors import Refusal, missing, wrong
from regesta_mlflow.sent import Sent

LONGEST_ALIAS, LONGEST_KEY, LONGEST_VALUE = 255, 250, 100_000
MOST_DECODINGS = 10

_ALIAS = re.compile(r"[\w-]+\Z")
_RESERVED = re.compile(r"[vV][0-9]+\Z")
_KEY = re.compile(r"[\w./: -]+\Z")
_PARTS = re.compile(r"[/\\]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

STAGES = {stage.lower(): stage for stage in ("None", "Staging", "Production", "Archived")}

Tags = dict[str, str]


def model_name(sent: Sent, field: str = "name") -> str:
    """The name of a model, in the spelling in which names are kept."""
    return same_name(_model_name(sent, field))


def new_model_name(sent: Sent, field: str = "name") -> str:
    """The name that a model is given. Raises Refusal, also for one with characters that cannot be seen."""
    name = _model_name(sent, field)
    try:
        return checked_name(name)
    except ValueError as error:
        raise wrong(field, name, f"it {error}") from None


def _model_name(sent: Sent, field: str) -> str:
    name = sent.required(field)
    if not name.strip():
        raise missing(field)
    if "/" in name or ":" in name:
        raise Refusal(f"Invalid model name {name!r}: it must have no '/' and no ':'")
    if _is_climbing(name) or name.startswith(".."):
        raise wrong(field, name, "it must not be '.' nor begin with '..'")
    return name


def version_number(sent: Sent) -> int:
    """The number of a version: what Python's `int` takes."""
    text = sent.number("version")
    try:
        return int(text)
    except ValueError:
        raise Refusal(f"Parameter 'version' must be an integer, got '{text}'.") from None


def alias_name(sent: Sent) -> str:
    """An alias that is looked for."""
    alias = sent.required("alias")
    if not _ALIAS.match(alias):
        raise Refusal(f"Invalid alias name: {alias!r}: it must be of letters, digits, '_' and '-'")
    if len(alias) > LONGEST_ALIAS:
        raise Refusal(f"'alias' exceeds the maximum length of {LONGEST_ALIAS} characters")
    return alias


def new_alias(sent: Sent) -> str:
    """An alias that is set."""
    alias = alias_name(sent)
    if alias.lower() == "latest" or _RESERVED.match(alias):
        raise Refusal(f"The alias {alias!r} is reserved")
    return alias


def tag_key(key: str) -> str:
    """The key of a tag."""
    key = same_name(key)
    if not _KEY.match(key):
        raise wrong("key", key, "it must be of letters, digits, spaces and '_', '-', '.', '/', ':'")
    if len(key) > LONGEST_KEY:
        raise Refusal(f"'key' exceeds the maximum length of {LONGEST_KEY} characters")
    if _is_climbing(key) or key.startswith(("/", "..")):
        raise wrong("key", key, "as a path it must stay as it is")
    return key


def tag_value(value: str, most: int = LONGEST_VALUE) -> str:
    """The value of a tag."""
    if len(value) > most:
        raise Refusal(f"'value' exceeds the maximum length of {most} characters")
    return value


def tags_of(sent: Sent) -> Tags:
    """The tags of something new. Of one key that is there twice, the last counts."""
    found: Tags = {}
    for tag in sent.objects("tags"):
        fields = Sent(tag, queried=False)
        key = fields.text("key")
        if not key:
            raise wrong("key", key, "a tag needs one")
        found[tag_key(key)] = tag_value(fields.text("value"))
    return found


def stage_of(text: str) -> str:
    """A stage, in any case."""
    if text.lower() not in STAGES:
        known = ", ".join(STAGES.values())
        raise Refusal(f"Invalid Model Version stage: {text}. Value must be one of {known}.")
    return STAGES[text.lower()]


def check_source(source: str, *, local: bool) -> None:
    """Where files are. Without `local` it must be a URI that means the same on every machine."""
    text = source
    for _ in range(MOST_DECODINGS):
        if ".." in _PARTS.split(text) or "\x00" in text:
            raise Refusal(f"Invalid model version source: {source!r}: it must not climb")
        decoded = unquote(text)
        if decoded == text:
            break
        text = decoded
    else:
        raise Refusal(f"Invalid model version source: {source!r}: it is encoded too often")
    if not local and is_local(source):
        raise Refusal(
            f"Invalid model version source: {source!r}: a path means something on one machine only; "
            "the setting REGESTA_MLFLOW_LOCAL_SOURCES allows it"
        )


def is_local(source: str) -> bool:
    """Whether it is a path, or a URI of one."""
    return not _SCHEME.match(source) or source.lower().startswith("file:")


def _is_climbing(text: str) -> bool:
    return text in (".", "..") or posixpath.normpath(text) != text
