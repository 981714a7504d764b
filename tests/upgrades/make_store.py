"""Write the fixture of a store with the release that is installed: `python -m tests.upgrades.make_store NAME`.

It starts `regesta serve` on an empty local store, writes through the HTTP APIs, records what the APIs answer to reads,
and packs both into `stores/NAME.tar.xz`: the folder `store` and the file `answers.json`.
`test_older_stores.py` opens each fixture with the code of today. Never rewrite one: add one for each release.
"""

import json
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from tests.service.processes import serving

STORES = Path(__file__).parent / "stores"
PLUGINS = {"REGESTA_PLUGINS": "models,mlflow,shelf"}
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
VISION = {"X-Regesta-Workspace": "vision"}
API, MLFLOW = "/api/v1", "/api/2.0/mlflow"
UPLOADED = bytes(range(256)) * 5000

Json = dict[str, Any]

HISTORY = "/models/resnet50:history"

# Every later release has to answer these in the same way.
LISTS = [
    "/models",
    "/models?filter=tags.family%20%3D%20%22vit%22",
    "/models?sort=-name",
    "/models/resnet50/versions",
    "/versions?filter=metrics.top1.imagenet%20%3E%2080",
    "/versions?sort=-created_at",
    "/models/resnet50/promotions",
    "/promotion-policies",
    "/deployments",
    "/audit-events",
    "/audit-events?resource=versions",
    HISTORY,
    "/models/resnet50/versions/1:history",
    "/books",
    "/books/978-1:history",
]
DOCUMENTS = [
    "/models/resnet50",
    "/models/R%C3%A9sum%C3%A9%20%E6%A8%A1%E5%9E%8B",
    "/models/resnet50/versions/1",
    "/models/resnet50/versions/2",
    "/models/resnet50/aliases",
    "/models/resnet50/aliases/production",
    "/models/resnet50/card",
    "/models/resnet50/versions/1/card",
    "/models/resnet50/versions/1/artifacts",
    "/models/resnet50/versions/2:lineage",
    "/models/resnet50/versions:compare?versions=1,2",
    "/books/978-1",
    "/books/978-2",
]
PROTOCOL = [
    "/registered-models/get?name=resnet50",
    "/registered-models/get?name=from%20mlflow",
    "/registered-models/alias?name=resnet50&alias=production",
    "/model-versions/get?name=from%20mlflow&version=1",
    "/registered-models/search?max_results=100",
    "/model-versions/search?max_results=100",
    "/webhooks",
]


class Client:
    """Requests whose status is checked."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def __call__(
        self, method: str, path: str, body: Any = None, *, type_: str = "application/json", **headers: str
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": type_} if content is not None else {}
        answer = self._client.request(method, path, content=content, headers=sent | headers)
        if answer.status_code >= 300:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer


def write(call: Client) -> None:
    """Write at least one of each kind of thing that a store can hold."""
    call("POST", f"{API}/models", {"name": "resnet50", "task": "classification", "license": "Apache-2.0"})
    call("POST", f"{API}/models", {"name": "Résumé 模型", "tags": [{"key": "family", "value": "vit"}]})
    call("POST", f"{API}/models", {"name": "made once"}, **{"Idempotency-Key": "made-by-the-older-build"})
    call("POST", f"{API}/models", {"name": "resnet50", "description": "of another tenant"}, **VISION)
    resnet = f"{API}/models/resnet50"
    for accuracy in (0.76, 80.5, 81.25):
        version = {
            "status": "pending",
            "source": "s3://models/resnet50.onnx",
            "params": {"depth": 50, "optimizer": "sgd", "augment": True, "rate": 1e-3},
            "metrics": [{"name": "top1", "value": accuracy, "dataset": "imagenet", "split": "validation"}],
            "signature": {"inputs": [{"name": "x", "dtype": "float32", "shape": ["N", 3, 224, 224]}], "outputs": []},
            "environment": {"python": "3.12.4", "packages": ["torch==2.4.1"]},
            "run": {"id": "r1", "link": "https://runs.example.org/r1"},
            "code": {"repository": "https://git.example.org/vision.git", "commit": "a" * 40},
        }
        call("POST", f"{resnet}/versions", version)
    call("PUT", f"{resnet}/versions/1/artifacts/onnx/weights.bin", UPLOADED, type_="application/octet-stream")
    call("PUT", f"{resnet}/versions/1/artifacts/onnx/again.bin", UPLOADED, type_="application/octet-stream")
    call("PUT", f"{resnet}/versions/2/artifacts/small.txt", b"small", type_="text/plain")
    lineage = {"parents": [{"model": "resnet50", "version": 1}], "datasets": ["imagenet-2012"]}
    call("PATCH", f"{resnet}/versions/2", {"lineage": lineage}, type_=MERGE_PATCH)
    for number in (1, 2):
        call("PATCH", f"{resnet}/versions/{number}", {"status": "ready"}, type_=MERGE_PATCH)
    call("PUT", f"{resnet}/card", b"---\nlicense: apache-2.0\n---\n# ResNet\n\nA *card*.", type_="text/markdown")
    call("PUT", f"{resnet}/versions/1/card", b"# Version 1\n", type_="text/markdown")
    gate = {"type": "metric", "name": "top1", "dataset": "imagenet", "threshold": 50}
    policy = {"name": "production needs proof", "alias": "production", "model": "resnet50", "gates": [gate]}
    call("POST", f"{API}/promotion-policies", policy)
    call("PUT", f"{resnet}/aliases/production", {"version": 2})
    call("POST", f"{resnet}/aliases/production:override", {"version": 1, "reason": "an outage"})
    call("POST", f"{resnet}/aliases/production:rollback", {"reason": "it is over"})
    call("PUT", f"{resnet}/aliases/champion", {"version": 1})
    call("POST", f"{resnet}/versions/1/deployments", {"name": "eu-west-1", "environment": "production"})
    call("PATCH", resnet, [{"op": "add", "path": "/description", "value": "fifty layers"}], type_=JSON_PATCH)
    call("PATCH", resnet, {"description": "fifty layers, with residuals", "protected": True}, type_=MERGE_PATCH)
    call("DELETE", f"{resnet}/versions/3")
    write_books(call)
    write_by_mlflow(call)


def write_books(call: Client) -> None:
    """Write documents of a plugin, one by one, as a batch and as an import."""
    call("POST", f"{API}/books", {"isbn": "978-1", "title": "Emma"})
    call("PUT", f"{API}/books/978-1", {"isbn": "978-1", "title": "Emma, revised"})
    creates = [{"op": "create", "body": {"isbn": f"978-{number}", "title": "Persuasion"}} for number in (2, 3)]
    call("POST", f"{API}/books:batch", {"operations": creates})
    call("DELETE", f"{API}/books/978-3")
    lines = b'{"isbn": "978-4", "title": "Sanditon"}\n{"isbn": "978-5", "title": "Lady Susan"}\n'
    call("POST", f"{API}/books", lines, type_="application/x-ndjson")


def write_by_mlflow(call: Client) -> None:
    """Write by MLflow's protocol. The webhook is disabled and leads to this machine."""
    tags = [{"key": "team", "value": "vision"}]
    call("POST", f"{MLFLOW}/registered-models/create", {"name": "from mlflow", "tags": tags})
    call("POST", f"{MLFLOW}/model-versions/create", {"name": "from mlflow", "source": "s3://bucket/m", "run_id": "abc"})
    stage = {"name": "from mlflow", "version": "1", "stage": "Staging", "archive_existing_versions": False}
    call("POST", f"{MLFLOW}/model-versions/transition-stage", stage)
    prompt = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    call("POST", f"{MLFLOW}/registered-models/create", {"name": "a prompt", "tags": prompt})
    event = {"entity": "MODEL_VERSION", "action": "CREATED"}
    webhook = {"name": "off", "url": "http://127.0.0.1:9/", "events": [event], "status": "DISABLED", "secret": "s"}
    call("POST", "/api/2.0/mlflow/webhooks", webhook)


def read(client: httpx.Client) -> Json:
    """Return what the service answers, by the request; lists page by page."""
    answers: Json = {}
    for path in LISTS:
        for workspace in ("default", "vision"):
            answers[f"{workspace} {API}{path}"] = read_list(client, f"{API}{path}", {"X-Regesta-Workspace": workspace})
    for path in DOCUMENTS:
        answers[f"default {API}{path}"] = read_one(client, f"{API}{path}", {})
    for path in PROTOCOL:
        answers[f"default {MLFLOW}{path}"] = read_one(client, f"{MLFLOW}{path}", {})
    for revision in revisions(answers[f"default {API}{HISTORY}"]["items"]):
        path = f"{API}/models/resnet50?revision={revision}"
        answers[f"default {path}"] = read_one(client, path, {})
    return answers


def revisions(history: Sequence[Json]) -> list[str]:
    """Return the ids of all revisions in a history."""
    return [str(entry["revision"]) for entry in history]


def read_list(client: httpx.Client, path: str, headers: Mapping[str, str]) -> Json:
    """Return all items of a list, in its order, or the problem."""
    items: list[Json] = []
    token = ""
    while True:
        parameters = httpx.URL(path).params.merge({"page_token": token} if token else {})
        answer = client.get(httpx.URL(path, params=parameters), headers=headers)
        page = answer.json()
        if answer.status_code != 200:
            return {"status": answer.status_code, "code": page["code"]}
        items += page["items"]
        token = page.get("next_page_token", "")
        if not token:
            return {"status": 200, "items": items}


def read_one(client: httpx.Client, path: str, headers: Mapping[str, str]) -> Json:
    """Return the status, the ETag and the body of one answer."""
    answer = client.get(path, headers=headers)
    body = answer.json() if "json" in answer.headers["content-type"] else answer.text
    return {"status": answer.status_code, "etag": answer.headers.get("etag"), "body": body}


def without_spare_files(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out the empty files that mongod keeps ready for its journal."""
    return None if "WiredTigerPreplog" in member.name else member


def main(name: str) -> int:
    """Make the store and pack it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with serving(folder, **PLUGINS, REGESTA_WEBHOOK_TARGETS="127.0.0.0/8") as service, service.client() as client:
            write(Client(client))
            answers = read(client)
            service.end()
        (folder / "answers.json").write_text(json.dumps(answers, indent=1, sort_keys=True), "utf-8")
        STORES.mkdir(exist_ok=True)
        with tarfile.open(STORES / f"{name}.tar.xz", "w:xz") as archive:
            archive.add(folder / "store" / "data", "store/data", filter=without_spare_files)
            archive.add(folder / "answers.json", "answers.json")
    for request, answer in answers.items():
        print(request, len(answer.get("items", [])) or answer.get("status"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
