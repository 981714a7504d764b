"""Which resources can be served together."""

from dataclasses import replace

import pytest
from beanie import Document, PydanticObjectId

from regesta import DeclarationError, Parent, Registry, Resource


class Shelf(Document):
    name: str


class Rack(Document):
    name: str


class Box(Document):
    above: PydanticObjectId


SHELVES = Resource(Shelf, name="shelves", singular="shelf")
RACKS = Resource(Rack, name="shelves", singular="rack")
BELOW_RACKS = Resource(Box, name="boxes", parent=Parent(resource=RACKS, field="above"))


@pytest.mark.parametrize("resources", [(SHELVES, BELOW_RACKS), (BELOW_RACKS, SHELVES)], ids=["before", "after"])
def test_a_parent_is_not_another_resource_of_its_name(resources: tuple[Resource[Document], ...]) -> None:
    with pytest.raises(DeclarationError, match="'boxes': its parent is another one than what is served as 'shelves'"):
        Registry(resources)


def test_a_parent_need_not_be_served() -> None:
    registry = Registry([BELOW_RACKS])
    assert [bound.resource.name for bound in registry] == ["boxes"]
    parent = registry["boxes"].parent
    assert parent is not None
    assert parent.resource is RACKS


def test_a_parent_may_be_declared_otherwise_where_it_is_served() -> None:
    served = replace(RACKS, timeout=1.0)
    parent = Registry([served, BELOW_RACKS])["boxes"].parent
    assert parent is not None
    assert parent.resource is served


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(DeclarationError, match="two resources are named 'shelves'"):
        Registry([SHELVES, RACKS])
