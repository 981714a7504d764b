"""What this folder needs beside the databases."""

from pathlib import Path

import pytest

# Beanie 1.30 reads the fields of models inside of documents from their instances; Pydantic is newer than it.
OLD_BEANIE = (
    "ignore:Accessing the 'model_fields' attribute on the instance is deprecated:"
    "DeprecationWarning:beanie.odm.utils.pydantic"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(OLD_BEANIE))
