"""Tags of OpenAPI that say what they are about."""

from typing import Self


class Tag(str):
    """A tag with a description, for `tags=` of routes, routers and resources; the service's OpenAPI shows it."""

    __slots__ = ("description",)
    description: str

    def __new__(cls, name: str, description: str = "") -> Self:
        """The tag `name`."""
        made = super().__new__(cls, name)
        made.description = description
        return made
