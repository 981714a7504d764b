"""Registers 1266 models of PyTorch Image Models with what was measured of them on four test sets, in one stream.

A version stands for a size of images and a crop at which a model was measured: 1556 of them.

    regesta serve
    python examples/import_timm.py [URL]

URL is where the service runs, http://127.0.0.1:8000 unless given. What is there already stays as it is, so the
import may run again, or go on after it was interrupted. It needs nothing but Python.
"""

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

DATA = Path(__file__).parent / "data"
TABLES = {
    "imagenet": "timm-results-imagenet.csv",
    "imagenet-real": "timm-results-imagenet-real.csv",
    "imagenetv2-matched-frequency": "timm-results-imagenetv2-matched-frequency.csv",
    "imagenet-sketch": "timm-results-sketch.csv",
}
METRICS = ("top1", "top1_err", "top5", "top5_err")
DEFAULT_URL = "http://127.0.0.1:8000"
PREFIXES = ("/api/v1", "")  # of the service; of an application that mounts the routers itself
NDJSON = "application/x-ndjson"
TIMEOUT = 120  # seconds
SEARCH = 'metrics.top1.imagenet > 85 AND tags.family = "vit"'
SHOWN, STEP = 5, 200

# What a version needs before this alias may point to it. The first of these models lacks it, the second has it. The
# policy holds for all models, so the alias has a name that no other example uses.
POLICY = {
    "name": "champions of ImageNet",
    "alias": "imagenet-champion",
    "gates": [
        {"type": "metric", "name": "top1", "dataset": "imagenet", "comparison": ">=", "threshold": 85},
        {"type": "metric", "name": "top1", "dataset": "imagenet-sketch", "comparison": ">=", "threshold": 50},
        {"type": "not_worse", "name": "top1", "dataset": "imagenet"},
    ],
}
CANDIDATES = ("resnet50.a1_in1k", "eva_giant_patch14_336.clip_ft_in1k")

Json = dict[str, Any]


class Refused(Exception):
    """The server did not do what it was asked for; the message says it in one line."""


def main(arguments: list[str]) -> int:
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        root = api(arguments[0] if arguments else DEFAULT_URL)
        register(root)
        show(root, SEARCH)
        promote(root)
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: run it again to go on", file=sys.stderr)
        return 130
    return 0


def timm() -> dict[tuple[str, int, float], dict[str, Json]]:
    """The rows by data set, of each model, size of images and crop: many were measured at several."""
    measured: dict[tuple[str, int, float], dict[str, Json]] = {}
    for dataset, name in TABLES.items():
        with (DATA / name).open(encoding="utf-8", newline="") as table:
            for row in csv.DictReader(table):
                setting = (row["model"], int(row["img_size"]), number(row["crop_pct"]))
                measured.setdefault(setting, {})[dataset] = row
    return dict(sorted(measured.items()))


def lines() -> Iterator[bytes]:
    """The body of the import: a model and one of its versions in each line."""
    for (name, size, crop), rows in timm().items():
        body = {"model": model_of(name), "version": version_of(f"timm:{name}?img_size={size}&crop_pct={crop}", rows)}
        yield json.dumps(body).encode() + b"\n"


def model_of(name: str) -> Json:
    """A body as POST /models takes it."""
    return {
        "name": name,
        "description": f"{name}, from PyTorch Image Models.",
        "task": "image classification",
        "framework": "timm",
        "owner": "PyTorch Image Models",
        "tags": tags(name),
    }


def version_of(source: str, rows: dict[str, Json]) -> Json:
    """A body as POST /models/{model}/versions takes it."""
    about = next(iter(rows.values()))
    return {
        "source": source,
        "framework": "timm",
        "tags": tags(about["model"]),
        "params": {
            "img_size": int(about["img_size"]),
            "param_count": number(about["param_count"]),
            "crop_pct": number(about["crop_pct"]),
            "interpolation": about["interpolation"],
        },
        "metrics": [
            {"name": metric, "value": number(row[metric]), "dataset": dataset}
            for dataset, row in rows.items()
            for metric in METRICS
        ],
    }


def tags(name: str) -> list[Json]:
    """Its family, `vit` of `vit_base_patch16_224.augreg_in21k_ft_in1k`, and the weights."""
    architecture, _, weights = name.partition(".")
    # What other frameworks trained has their name in front.
    family = re.match(r"(?:tf_|gc|test_)?([a-z]+?(?:v[0-9])?)(?=[0-9_]|$)", architecture)
    found = [{"key": "family", "value": family[1] if family else architecture}]
    return found + ([{"key": "weights", "value": weights}] if weights else [])


def number(text: str) -> float:
    return float(text.replace(",", ""))


def register(root: str) -> None:
    """Send all of it in one request, and read the answers while it is on its way."""
    headers = {"Content-Type": NDJSON, "Transfer-Encoding": "chunked"}
    new_models = new_versions = 0
    for position, result in enumerate(answers(f"{root}/versions?on_conflict=skip", lines(), headers), 1):
        if "summary" in result:
            print(f"registered {new_models} new models and {new_versions} new versions" if new_versions else
                  "nothing changed: all of it was there")  # fmt: skip
            print(f"{position - 1} lines: {json.dumps(result['summary'])}")
            return
        if "problem" in result:
            raise Refused(f"line {result['line']}: {result['problem'].get('detail')}")
        new_versions += result["status"] == HTTPStatus.CREATED
        new_models += result.get("model_created", False)
        if position % STEP == 0:
            print(f"[{position:4}] {result['model']}", flush=True)
    raise Refused("the answer ended too early: run it again to go on")


def show(root: str, wanted: str) -> None:
    """What a search finds."""
    query = urlencode({"filter": wanted, "fields": "model,number,metrics", "page_size": SHOWN})
    request = Request(f"{root}/versions?{query}", headers={"Prefer": "count=exact"})  # noqa: S310
    with opened(request) as response:
        page = json.load(response)
    print(f"\n{wanted}: {page['total']} versions, the newest of them")
    for version in page["items"]:
        best = max(
            (metric for metric in version["metrics"] if metric["name"] == "top1"), key=lambda each: each["value"]
        )
        print(f"  {version['model']}, version {version['number']}: top1 {best['value']} on {best['dataset']}")


def promote(root: str) -> None:
    """A policy, and an alias that moves by it or does not."""
    put(f"{root}/promotion-policies/{quote(str(POLICY['name']))}?allow_missing=true", POLICY)
    print(f"\npolicy {POLICY['name']!r} guards the alias {POLICY['alias']!r}")
    for model in CANDIDATES:
        status, answer = put(f"{root}/models/{model}/aliases/{POLICY['alias']}", {"version": 1})
        if status == HTTPStatus.CONFLICT and answer["code"] == "GATES_NOT_MET":
            print(f"  {model}, version 1: refused")
            for issue in answer["errors"]:
                print(f"    {issue['type']}: {issue['message']}")
        else:
            print(f"  {model}, version {answer['number']}: is {', '.join(answer['aliases'])}")


def put(url: str, body: Json) -> tuple[int, Json]:
    """The status and the answer; 409 is an answer too."""
    sent = json.dumps(body).encode()
    request = Request(url, data=sent, headers={"Content-Type": "application/json"}, method="PUT")  # noqa: S310
    try:
        with urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310 - its scheme was checked
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            if error.code == HTTPStatus.CONFLICT:
                return error.code, json.load(error)
            raise Refused(f"PUT {url}: {error.code} {error.read(500)!r}") from None


def api(url: str) -> str:
    """Where the resources are."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise Refused(f"{url!r} is no address of a server: give http://HOST:PORT")
    for prefix in PREFIXES:
        root = url.rstrip("/") + prefix
        try:
            with urlopen(f"{root}/versions?page_size=1", timeout=TIMEOUT) as response:  # noqa: S310
                if "items" in json.load(response):
                    return root
        except HTTPError as error:
            error.close()
        except (URLError, OSError) as error:
            raise Refused(f"nobody answers at {url}: {getattr(error, 'reason', error)}") from None
        except (ValueError, TypeError):
            continue
    raise Refused(f"{url} is not Regesta with its model registry")


def answers(url: str, body: Iterable[bytes], headers: dict[str, str]) -> Iterator[Json]:
    """The lines that answer a stream of lines."""
    with opened(Request(url, data=body, headers=headers, method="POST")) as response:  # noqa: S310
        for line in response:
            yield json.loads(line)


def opened(request: Request) -> Any:
    try:
        return urlopen(request, timeout=TIMEOUT)  # noqa: S310 - its scheme was checked
    except HTTPError as error:
        with error:
            raise Refused(f"{request.method} {request.full_url}: {error.code} {error.read(500)!r}") from None
    except (URLError, OSError) as error:
        raise Refused(f"nobody answers at {request.full_url}: {getattr(error, 'reason', error)}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
