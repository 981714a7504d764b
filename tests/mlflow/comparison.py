"""Compares what two registries answered to the same calls. Each difference that may be stands here, with its reason."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Entry = Mapping[str, Any]

# Texts that clients, or their published tests, look for: where MLflow says one of them, so do we. Only codes and
# statuses are compared of all other errors: sentences are everybody's own.
INTERFACE = tuple(
    re.compile(pattern)
    for pattern in (
        r"Missing value for required parameter '[^']*'",
        r"Invalid value .* for parameter '[^']*' supplied",
        r"Registered Model with name=.* not found",
        r"Model Version \(name=.*, version=.*\) not found",
        r"(Registered Model|Prompt) \(name=[^)]*\) already exists",
        r"Tried to create a .* with name '.*', but the name is already taken by a (registered model|prompt)\.",
        r"Parameter 'version' must be an integer, got '.*'\.",
        r"Registered model alias \S+ not found\.",
        r"Latest version not found for model .*\.",
        r"Invalid Model Version stage: .*\. Value must be one of None, Staging, Production, Archived\.",
        r"Model version transition cannot archive existing model versions because '.*' is not an Active stage",
        r"'(value|key)' exceeds the maximum length of \d+ characters",
        r"Prompt text exceeds max length of",
        r"Invalid model version source",
        r"Invalid clause\(s\) in filter string",
        r"Invalid attribute key '[^']*' specified",
        r"Invalid entity type '[^']*'",
        r"Parameter value is either not quoted or unidentified quote types used for string value \w+",
        r"Expected a quoted string value",
        r"Invalid comparator for (attribute|tag)",
        r"While parsing a list in the query, expected [\w -]*(, punctuation, or whitespace)?, but got [\w -]*list",
        r"Search filter contained multiple expression",
        r"Invalid order by key '[^']*' specified",
        r"Invalid order_by clause '.*'",
        r"Invalid ordering key in order_by clause",
        r"`order_by` contains duplicate fields",
        r"Invalid value for max_results\. It must be a positive integer",
        r"Invalid page token, could not base64-decode",
        r"Webhook with ID .* not found\.",
        r"Webhook URL cannot be empty or just whitespace",
        r"Invalid webhook URL scheme",
        r"Invalid action '\w+' for entity '\w+'",
    )
)


@dataclass(frozen=True)
class Difference:
    """Calls whose answers differ on purpose: what ours is then, and why. `ours` is an error code, "" for a result."""

    calls: str
    ours: str
    reason: str

    def is_about(self, call: str) -> bool:
        """Whether it is about calls of this name."""
        return bool(re.fullmatch(self.calls, call, re.DOTALL))

    def explains(self, ours: Entry) -> bool:
        """Whether it is about this answer of ours."""
        return self.is_about(ours["call"]) and ours.get("error", "") == self.ours


BAD, MISSING = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"
REPEATED = "400 for what can never work: on 500, which MLflow says, clients try again for minutes"
NAMES = "names that look the same on a screen are one: Regesta has none with spaces around or control characters"
INTERNAL = "what a service of the operator's own network answers is for no client: there is no `response_body`"
ON_PURPOSE = (
    Difference(r"archiving with an inactive stage", BAD, REPEATED),
    Difference(r"models where name IS NULL", BAD, REPEATED),
    Difference(r"(models|versions) by \['(name', 'name.*|timestamp', 'last.*)\]", BAD, REPEATED),
    Difference(r"a body that is (an array|a number|a text)", BAD, REPEATED),
    Difference(r"(0|-1) models", BAD, "a page of nothing, with a token, never ends"),
    Difference(r"a model named '( lead and |a\\tb).*", BAD, NAMES),
    Difference(r"(get|version of|delete) the model named '( lead and |a\\tb).*", MISSING, NAMES),
    Difference(r"set the alias 'псевдоним' of 9", BAD, "aliases stand in paths: ASCII, as everywhere in Regesta"),
    Difference(r"tags that are \[.*", BAD, "what is wrong is the list or the key, and that is said"),
    Difference(r"(a version that is a number|an alias of a number)", "", "a number is understood"),
    Difference(
        r"a body (of (text/plain|application/x-www-form-urlencoded)|without a type)",
        BAD,
        "any web page can make a browser send it",
    ),
    Difference(r"an unknown (path|verb)", "ENDPOINT_NOT_FOUND", "said in JSON, which clients can read"),
    Difference(r"a webhook whose events is \[(5|\{'entity': 'EVIL').*", BAD, REPEATED),
    Difference(r"a webhook whose status is 'EVIL'", BAD, "MLflow takes any other word for ACTIVE"),
    Difference(
        r"test (\{.*|without an event|a webhook that refuses)",
        "",
        INTERNAL,
    ),
    Difference(r"GET /model-versions/get-download-uri without version", BAD, "said as of every other field"),
)


def differences(theirs: Sequence[Entry], ours: Sequence[Entry], allowed: Sequence[Difference]) -> Iterator[str]:
    """What differs and may not; and what may differ, and did not."""
    labels = [entry["call"] for entry in theirs], [entry["call"] for entry in ours]
    if labels[0] != labels[1]:
        yield f"not the same calls: {sorted(set(labels[0]) ^ set(labels[1]))}"
        return
    used: set[Difference] = set()
    for one, other in zip(theirs, ours, strict=True):
        if agree(one, other):
            continue
        found = [difference for difference in allowed if difference.explains(other)]
        used.update(found)
        if not found:
            yield f"{one['call']}\n  MLflow:  {_shown(one)}\n  Regesta: {_shown(other)}"
    for difference in allowed:
        if difference not in used:
            yield f"no such difference any more: {difference}"


def agree(theirs: Entry, ours: Entry) -> bool:
    """Whether two answers say the same."""
    if theirs.get("status") != ours.get("status") or theirs.get("error") != ours.get("error"):
        return False
    if "error" not in theirs:
        return bool(_comparable(theirs.get("result")) == _comparable(ours.get("result")))
    said = [match.group() for pattern in INTERFACE if (match := pattern.search(theirs["message"]))]
    return all(text in ours["message"] for text in said)


def _comparable(result: Any, *, listed: bool = False) -> Any:
    """Without what means nothing, or what is better here.

    Tags have no order. An empty description and none are the same: which of them MLflow says depends on how it came.
    Versions in lists carry their aliases here, and in MLflow's lists they do not.
    """
    if isinstance(result, list):
        return [_comparable(item, listed=True) for item in result]
    if not isinstance(result, dict):
        return result
    found = {key: _comparable(value) for key, value in result.items() if key != "description" or value}
    if isinstance(found.get("tags"), list):
        found["tags"] = sorted(found["tags"], key=str)
    if listed and "version" in found:
        found.pop("aliases", None)
    return found


def _shown(entry: Entry) -> str:
    found = {key: value for key, value in entry.items() if key != "call"}
    return str(found)[:600]
