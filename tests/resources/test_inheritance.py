"""Several classes in one collection (`is_root`)."""

from typing import Any

import pytest
from beanie import Document

from regesta import Hooks
from regesta.audit import AuditTrail
from regesta.store import collection_of

from .serving import created, keeps, pointers, served


class Vehicle(Document):
    colour: str = "grey"

    class Settings:
        name = "vehicles"
        is_root = True


class Car(Vehicle):
    doors: int


class Van(Car):
    load: float = 1.5


class Bike(Vehicle):
    gears: int = 1


EVERY = [Vehicle, Car, Van, Bike]


async def fill() -> dict[str, str]:
    """One of each: name of the class to id."""
    found = {}
    for vehicle in (Vehicle(), Car(doors=3), Van(doors=5), Bike(gears=7)):
        await vehicle.insert()
        found[type(vehicle).__name__] = str(vehicle.id)
    return found


async def test_the_root_shows_each_document_with_its_own_fields(any_database: Any) -> None:
    async with served(any_database, Vehicle, also=EVERY) as client:
        ids = await fill()
        shown = {item.pop("id"): item for item in (await client.get("/vehicles")).json()["items"]}
        assert shown == {
            ids["Vehicle"]: {"colour": "grey"},
            ids["Car"]: {"colour": "grey", "doors": 3},
            ids["Van"]: {"colour": "grey", "doors": 5, "load": 1.5},
            ids["Bike"]: {"colour": "grey", "gears": 7},
        }
        one = await client.get(f"/vehicles/{ids['Van']}")
        assert one.json() == {"id": ids["Van"], **shown[ids["Van"]]}


async def test_a_child_sees_itself_and_its_children_only(any_database: Any) -> None:
    async with served(any_database, Car, also=EVERY) as client:
        ids = await fill()
        shown = (await client.get("/cars", headers={"prefer": "count=exact"})).json()
        assert {item["id"] for item in shown["items"]} == {ids["Car"], ids["Van"]}
        assert shown["total"] == 2
        for name in ("Vehicle", "Bike"):
            url = f"/cars/{ids[name]}"
            for answer in (
                await client.get(url),
                await client.put(url, json={"doors": 1}),
                await client.merge(url, {"doors": 1}),
                await client.delete(url),
            ):
                assert answer.status_code == 404, answer.text
        assert await collection_of(Vehicle).count_documents({}) == 4


async def test_a_new_document_of_a_child_carries_its_class(any_database: Any) -> None:
    async with served(any_database, Van, also=EVERY) as client:
        document = await created(client, "/vans", {"doors": 2})
        assert document == {"id": document["id"], "colour": "grey", "doors": 2, "load": 1.5}
        stored = await collection_of(Vehicle).find_one({})
        assert stored["_class_id"] == "Vehicle.Car.Van"
        assert pointers(await client.post("/vans", json={"doors": 2, "_class_id": "Vehicle"})) == {"/_class_id"}


async def test_through_the_root_a_child_is_validated_as_itself(any_database: Any) -> None:
    async with served(any_database, Vehicle, also=EVERY) as client:
        ids = await fill()
        url = f"/vehicles/{ids['Car']}"
        assert (await client.merge(url, {"doors": 4})).json()["doors"] == 4
        assert pointers(await client.merge(url, {"doors": "4"})) == {"/doors"}
        assert pointers(await client.merge(url, {"gears": 4})) == {"/gears"}
        assert pointers(await client.operate(url, {"op": "remove", "path": "/doors"})) == {"/doors"}
        assert pointers(await client.merge(f"/vehicles/{ids['Vehicle']}", {"doors": 4})) == {"/doors"}
        assert (await collection_of(Vehicle).find_one({"doors": 4}))["_class_id"] == "Vehicle.Car"


async def test_through_the_root_a_child_is_replaced_as_itself(any_database: Any) -> None:
    async with served(any_database, Vehicle, also=EVERY) as client:
        ids = await fill()
        url = f"/vehicles/{ids['Van']}"
        replaced = await client.put(url, json={"colour": "red", "doors": 2, "load": 3.0})
        assert replaced.status_code == 200, replaced.text
        assert replaced.json() == {"id": ids["Van"], "colour": "red", "doors": 2, "load": 3.0}
        await keeps(client, url, {"colour": "red", "doors": 2, "load": 3.0})
        assert pointers(await client.put(url, json={"colour": "red"})) == {"/doors"}
        assert pointers(await client.put(url, json={"colour": "red", "doors": "2"})) == {"/doors"}
        assert (await collection_of(Vehicle).find_one({"doors": 2}))["_class_id"] == "Vehicle.Car.Van"


async def test_through_the_root_a_child_is_deleted_and_audited_as_itself(database: Any) -> None:
    hooks = Hooks(AuditTrail())
    async with served(database, Vehicle, also=[*EVERY, AuditTrail.document], hooks=hooks) as client:
        ids = await fill()
        assert (await client.delete(f"/vehicles/{ids['Van']}")).status_code == 204
        assert await collection_of(Vehicle).count_documents({}) == 3
        assert (await collection_of(AuditTrail.document).find_one({}))["key"] == ids["Van"]


class Plant(Document):
    leaves: int = 1


class Tree(Plant):
    height: int = 1


async def test_a_class_that_is_made_late_keeps_the_defaults_of_its_base(any_database: Any) -> None:
    async with served(any_database, Tree) as client:
        await created(client, "/trees", {"height": 2})
    # From here on `Plant.leaves` is an expression of Beanie's.
    late: Any = type("Bush", (Plant,), {"__annotations__": {"width": int}, "__module__": __name__})
    async with served(any_database, late) as client:
        document = await created(client, "/bushes", {"width": 3})
        assert document == {"id": document["id"], "leaves": 1, "width": 3}
        assert document["id"] not in ("_id", None)
        (stored,) = await collection_of(late).find({}).to_list(None)
        assert str(stored["_id"]) == document["id"]


@pytest.mark.parametrize("name", [["Vehicle.Car"], {"a": 1}, 5, None, "Nothing"])
async def test_what_is_stored_as_of_no_known_class_is_shown_as_the_root(any_database: Any, name: Any) -> None:
    async with served(any_database, Vehicle, also=EVERY) as client:
        await fill()
        await collection_of(Vehicle).insert_one({"_class_id": name, "colour": "odd", "doors": 1})
        (odd,) = [item for item in (await client.get("/vehicles")).json()["items"] if item["colour"] == "odd"]
        assert odd == {"id": odd["id"], "colour": "odd"}
        url = f"/vehicles/{odd['id']}"
        assert (await client.get(url)).json() == odd
        assert (await client.merge(url, {"colour": "red"})).json() == {**odd, "colour": "red"}
