"""The history of models and versions."""

from tests.models.application import MERGE_PATCH, Service, at


async def test_a_model_tells_its_history_and_goes_back(any_service: Service) -> None:
    client = any_service.client
    made = await client.post(
        "/models", json={"name": "ResNet 50", "description": "first", "tags": [{"key": "a", "value": "b"}]}
    )
    url = at("ResNet 50")
    await client.patch(url, json={"description": "second", "tags": []}, headers=MERGE_PATCH)
    entries = (await client.get(f"{url}:history")).json()["items"]
    assert [entry["action"] for entry in entries] == ["update", "create"]
    assert entries[1]["revision"] == made.headers["etag"].strip('"')
    past = await client.get(url, params={"revision": made.headers["etag"]})
    assert past.json() == made.json()
    back = await client.post(f"{url}:revert", json={"revision": entries[1]["revision"]})
    assert back.status_code == 200, back.text
    assert (back.json()["description"], back.json()["tags"]) == ("first", [{"key": "a", "value": "b"}])
    other = {"X-Regesta-Workspace": "other"}
    assert (await client.get(f"{url}:history", headers=other)).status_code == 404
    assert (await client.delete(url)).status_code == 204
    assert len((await client.get(f"{url}:history")).json()["items"]) == 4


async def test_versions_of_two_models_have_two_histories(any_service: Service) -> None:
    for model in ("a", "b"):
        await any_service.model(model)
        await any_service.version(model, source=f"s3://bucket/{model}")
    (entry,) = (await any_service.client.get(f"{at('a')}/versions/1:history")).json()["items"]
    assert entry["changes"][0]["value"]["source"] == "s3://bucket/a"
