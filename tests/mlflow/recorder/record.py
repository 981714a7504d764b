"""Calls every registry method of MlflowClient, and writes down what it was answered.

python record.py URI FILE [PART...]: run by a Python that has MLflow. The registry at URI is emptied first.
"""

import sys
from pathlib import Path
from typing import Any

import mlflow
import models
import prompts
import searches
import webhooks
import wire
from recorder import Recorder

PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"


def empty(to: Recorder) -> None:
    """Delete what an earlier run left."""
    for text in ("", PROMPTS):
        while found := _listed(to, "/registered-models/search", "registered_models", filter=text):
            for model in found:
                to.send("DELETE", "/registered-models/delete", json={"name": model["name"]})
    while hooks := _listed(to, "/webhooks", "webhooks"):
        for hook in hooks:
            to.send("DELETE", f"/webhooks/{hook['webhook_id']}")


def _listed(to: Recorder, path: str, key: str, **params: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = to.send("GET", path, params=params).json().get(key, [])
    return found


if __name__ == "__main__":
    recorder = Recorder(sys.argv[1].rstrip("/"))
    mlflow.set_registry_uri(recorder.uri)
    parts = (models, searches, prompts, webhooks, wire)
    for part in (one for one in parts if one.__name__ in sys.argv[3:] or not sys.argv[3:]):
        empty(recorder)
        part.record(recorder)
    recorder.write(Path(sys.argv[2]))
