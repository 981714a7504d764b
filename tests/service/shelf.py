"""A plugin for tests: books. Imported as it is, and installed beside a real process by `processes.py`."""

from typing import Annotated, Any, ClassVar

from pymongo import IndexModel

from regesta import Immutable, Resource, hookimpl
from regesta.workspaces import Workspaced, workspace_scope

__version__ = "1.2.3"


class Book(Workspaced):
    """A book."""

    isbn: Annotated[str, Immutable]
    title: str

    class Settings:
        name = "books"
        use_revision = True
        indexes: ClassVar = [IndexModel(["workspace", "isbn"], unique=True)]


books: Resource[Book] = Resource(Book, name="books", key="isbn", scope=workspace_scope)


@hookimpl
def register_resources() -> list[Resource[Any]]:
    return [books]


@hookimpl
def register_commands(cli: Any) -> None:
    @cli.command()  # type: ignore[untyped-decorator]
    def shelves() -> None:
        """Count the shelves."""
        print("one shelf")
