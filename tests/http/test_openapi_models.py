"""The models of OpenAPI, as generators of clients see them."""

from typing import Annotated, Any

from beanie import Document
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from regesta import Immutable, Secret, crud_router


class Address(BaseModel):
    """Where somebody lives."""

    city: str = Field(examples=["Paris"])
    street: str = "unknown"


ANN: JsonDict = {"name": "Ann", "pin": "1234", "age": 5, "home": {"city": "Paris"}}


class Reader(Document):
    """Somebody who reads."""

    model_config = ConfigDict(json_schema_extra={"examples": [ANN, {"age": 1}]})

    name: Annotated[str, Immutable]
    age: int = 0
    home: Address | None = None
    former: list[Address] = Field(default_factory=list)
    pin: Annotated[str, Secret] = ""


class Company(Document):
    """With an address of another kind, that has the same name."""

    name: str
    seat: "Seat.Address"


class Seat:
    class Address(BaseModel):
        """Where a company is."""

        country: str


class Branch(Document):
    """With the address of a reader."""

    at: Address


Company.model_rebuild()


def components(*documents: type[Document]) -> dict[str, Any]:
    app = FastAPI()
    for document in documents:
        app.include_router(crud_router(document))
    found: dict[str, Any] = app.openapi()["components"]["schemas"]
    return found


def test_a_model_inside_is_a_component_for_each_use() -> None:
    found = components(Reader)
    reference = "#/components/schemas/Address"
    assert found["Reader"]["properties"]["home"]["anyOf"][0] == {"$ref": reference}
    for body in ("ReaderCreate", "ReaderReplace"):
        assert found[body]["properties"]["home"]["anyOf"][0] == {"$ref": f"{reference}Input"}
    # A merge patch merges objects, and replaces arrays.
    assert found["ReaderPatch"]["properties"]["home"]["anyOf"][0] == {"$ref": f"{reference}Patch"}
    assert found["ReaderPatch"]["properties"]["former"]["anyOf"][0]["items"] == {"$ref": f"{reference}Input"}
    assert found["AddressInput"]["additionalProperties"] is False
    assert found["AddressInput"]["required"] == ["city"]
    assert "required" not in found["AddressPatch"]
    assert "additionalProperties" not in found["Address"]


def test_two_documents_share_a_model_or_have_names_of_their_own() -> None:
    assert "Address" in components(Reader, Branch)
    found = components(Reader, Company)
    properties = [tuple(schema.get("properties", ())) for schema in found.values()]
    assert ("city", "street") in properties
    assert ("country",) in properties
    # Generators take a title for the name.
    assert not any("title" in schema for name, schema in found.items() if "Address" in name)


def test_only_what_means_its_default_shows_one() -> None:
    found = components(Reader)
    assert found["ReaderCreate"]["properties"]["age"]["default"] == 0
    assert found["AddressInput"]["properties"]["street"]["default"] == "unknown"
    for name in ("Reader", "ReaderPatch", "ReaderPage", "Address", "AddressPatch"):
        assert "'default'" not in str(found[name]), name


def test_examples_stand_where_they_fit() -> None:
    found = components(Reader)
    assert found["ReaderCreate"]["examples"] == [ANN]
    assert {"age": 1} in found["ReaderPatch"]["examples"]
    assert all("name" not in example for example in found["ReaderPatch"]["examples"])
    assert all("pin" not in example for example in found["Reader"].get("examples", []))
    assert found["AddressInput"]["properties"]["city"]["examples"] == ["Paris"]


def test_the_headers_of_answers_are_declared() -> None:
    app = FastAPI()
    app.include_router(crud_router(Reader))
    one, many = app.openapi()["paths"]["/readers/{reader}"], app.openapi()["paths"]["/readers"]
    assert {"ETag", "Location"} <= many["post"]["responses"]["201"]["headers"].keys()
    assert "Link" in many["get"]["responses"]["200"]["headers"]
    assert "Retry-After" in one["get"]["responses"]["503"]["headers"]
    assert "Accept-Patch" in one["patch"]["responses"]["415"]["headers"]
    assert "Accept" in many["post"]["responses"]["415"]["headers"]
    assert one["get"]["responses"]["404"]["content"].keys() == {"application/problem+json"}


class Plain(Document):
    name: str


def described(document: type[Document]) -> dict[str, str]:
    app = FastAPI()
    app.include_router(crud_router(document))
    operations = [operation for path in app.openapi()["paths"].values() for operation in path.values()]
    return {operation["operationId"]: operation["description"] for operation in operations}


def test_lists_say_what_the_documents_are_and_nothing_that_beanie_says_of_its_own() -> None:
    of_reader, of_plain = described(Reader)["list_readers"], described(Plain)["list_plains"]
    assert of_reader == f"Somebody who reads.\n\n{of_plain}"
    assert of_plain.startswith("A page of what the filters match")


def test_every_operation_says_what_it_does() -> None:
    said = described(Plain)
    assert len(set(said.values())) == len(said) > 5
    assert all(len(words) > 15 and words.endswith(".") for words in said.values())
