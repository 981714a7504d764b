"""A round on the service with the generated Python client; checked by mypy, and run: `python round.py ADDRESS`."""

import sys
from collections.abc import Sequence

from regesta_client import Client
from regesta_client.api.models import batch_models, create_model, delete_model, get_model, list_models, patch_model
from regesta_client.api.versions import create_version, get_version, list_versions, patch_version, replace_version
from regesta_client.models import (
    Artifact,
    ArtifactInput,
    LineagePatch,
    MetricInput,
    Model,
    ModelBatch,
    ModelBatchCreate,
    ModelBatchResults,
    ModelCreate,
    ModelPage,
    ModelPatch,
    Problem,
    Tag,
    TagInput,
    Version,
    VersionCreate,
    VersionCreateParams,
    VersionPage,
    VersionPatch,
    VersionReferenceInput,
    VersionReplace,
    VersionStatus,
)
from regesta_client.types import UNSET, Response, Unset

SHA256 = "0" * 64


def models(client: Client) -> None:
    """Create, get, list by pages, change, delete."""
    created = create_model.sync_detailed(
        client=client, body=ModelCreate(name="ResNet 50", task="image classification", tags=[TagInput("vision")])
    )
    assert isinstance(created.parsed, Model)
    assert (created.status_code, created.parsed.tags) == (201, [Tag("vision", "")])
    location: str = created.headers["Location"]
    assert location == "/api/v1/models/ResNet%2050"

    fetched = get_model.sync_detailed("ResNet 50", client=client)
    assert isinstance(fetched.parsed, Model)
    assert not isinstance(fetched.parsed.created_at, Unset)
    assert fetched.parsed.created_at.year > 2000
    etag: str = fetched.headers["ETag"]
    known = get_model.sync_detailed("ResNet 50", client=client, if_none_match=etag)
    assert (known.status_code, known.parsed) == (304, None)

    batch = ModelBatch(
        [ModelBatchCreate("create", ModelCreate(name=f"model-{n}", tags=[TagInput("batch")])) for n in range(3)]
    )
    answered = batch_models.sync(client=client, body=batch)
    assert isinstance(answered, ModelBatchResults)
    assert [result.status for result in answered.results] == [201, 201, 201]
    pages(client)

    patched = patch_model.sync_detailed("ResNet 50", client=client, body=ModelPatch(owner="vision team"), if_match=etag)
    assert isinstance(patched.parsed, Model)
    assert (patched.parsed.owner, patched.parsed.task) == ("vision team", "image classification")
    # The ETag is that of the revision before.
    lost = patch_model.sync_detailed("ResNet 50", client=client, body=ModelPatch(owner=None), if_match=etag)
    assert problem(lost, 412).code == "PRECONDITION_FAILED"
    unowned = patch_model.sync("ResNet 50", client=client, body=ModelPatch(owner=None))
    assert isinstance(unowned, Model)
    assert unowned.owner is None


def pages(client: Client) -> None:
    """Filter, sort, and the next page."""
    first = list_models.sync(client=client, tags_key="batch", sort="-name", page_size=2)
    assert isinstance(first, ModelPage)
    assert isinstance(first.next_page_token, str)
    rest = list_models.sync(
        client=client,
        tags_key="batch",
        sort="-name",
        page_size=2,
        page_token=first.next_page_token,
        prefer="count=exact",
    )
    assert isinstance(rest, ModelPage)
    assert [model.name for model in (*first.items, *rest.items)] == ["model-2", "model-1", "model-0"]
    assert (first.total, rest.total, rest.next_page_token) == (UNSET, 3, UNSET)


def versions(client: Client) -> None:
    """The same below a model, with everything that lies in a version."""
    body = VersionCreate(
        source="s3://models/resnet50",
        artifacts=[ArtifactInput(path="model.onnx", size=3, sha256=SHA256)],
        metrics=[MetricInput(name="top1", value=0.76)],
        params=VersionCreateParams.from_dict({"epochs": 90, "optimizer": "sgd"}),
        status=VersionStatus.PENDING,
    )
    created = create_version.sync_detailed("ResNet 50", client=client, body=body)
    assert isinstance(created.parsed, Version)
    assert (created.status_code, created.parsed.number, created.parsed.status) == (201, 1, VersionStatus.PENDING)
    etag: str = created.headers["ETag"]

    replaced = replace_version.sync_detailed(
        "ResNet 50",
        1,
        client=client,
        body=VersionReplace(source="s3://models/other", status=VersionStatus.PENDING),
        if_match=etag,
    )
    assert isinstance(replaced.parsed, Version)
    assert (replaced.parsed.status, replaced.parsed.artifacts) == (VersionStatus.PENDING, [])

    patched = patch_version.sync(
        "ResNet 50",
        1,
        client=client,
        body=VersionPatch(
            artifacts=[ArtifactInput(path="model.onnx", size=3, sha256=SHA256)],
            lineage=LineagePatch(parents=[VersionReferenceInput(model="model-0", version=1)]),
        ),
    )
    assert isinstance(patched, Version)
    assert patched.artifacts == [Artifact(path="model.onnx", size=3, sha256=SHA256)]
    page = list_versions.sync("ResNet 50", client=client, artifacts_sha256=SHA256)
    assert isinstance(page, VersionPage)
    assert [version.number for version in page.items] == [1]
    assert problem(get_version.sync_detailed("ResNet 50", 7, client=client), 404).code == "NOT_FOUND"


def refusals(client: Client) -> None:
    """What goes wrong has a type too."""
    assert problem(get_model.sync_detailed("nobody", client=client), 404).instance == "/api/v1/models/nobody"
    taken = create_model.sync_detailed(client=client, body=ModelCreate(name="ResNet 50"))
    assert problem(taken, 409).code == "DUPLICATE"
    invalid = problem(create_model.sync_detailed(client=client, body=ModelCreate(name="a/b", task="")), 422)
    assert sorted(issue.pointer for issue in invalid.errors) == ["/name", "/task"]


def problem(response: "Response[Model | Problem] | Response[Problem | Version]", status: int) -> Problem:
    """The problem that was answered."""
    assert isinstance(response.parsed, Problem)
    assert (response.status_code, response.parsed.status) == (status, status)
    return response.parsed


def main(arguments: Sequence[str]) -> None:
    """Everything, one after the other."""
    with Client(base_url=arguments[0], raise_on_unexpected_status=True) as client:
        models(client)
        versions(client)
        refusals(client)
        assert delete_model.sync_detailed("ResNet 50", client=client, cascade=True).status_code == 204
        problem(get_model.sync_detailed("ResNet 50", client=client), 404)
    print("done")


if __name__ == "__main__":
    main(sys.argv[1:])
