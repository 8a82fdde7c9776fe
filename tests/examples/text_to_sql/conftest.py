"""The databases that the questions are about, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.text_to_sql.schema import Schema, read_schema
from examples.text_to_sql.shop import build_shop
from tests.examples.text_to_sql.databases import BUILDERS


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("databases")
    built = {name: build(folder / f"{name}.db") for name, build in BUILDERS.items()}
    return built | {"shop": build_shop(folder / "shop.db")}


@pytest.fixture(scope="session")
def schemas(databases: dict[str, Path]) -> dict[str, Schema]:
    return {name: read_schema(path) for name, path in databases.items()}


@pytest.fixture(scope="session")
def shop(databases: dict[str, Path]) -> Path:
    return databases["shop"]
