import re
from pathlib import Path

import pytest

from examples.ml_pipeline.datasets import BUNDLED, DatasetError, delimiter_of, load


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("iris", 150, 5),
        ("wine", 178, 14),
        ("breast_cancer", 569, 31),
        ("digits", 1797, 65),
        ("diabetes", 442, 11),
    ],
)
def test_bundled_sets_are_read_by_name(name, rows, columns):
    table = load(name)
    assert (table.rows, len(table.columns), table.target) == (rows, columns, "target")


def test_labels_of_bundled_sets_are_names():
    assert set(load("iris").columns["target"]) == {"setosa", "versicolor", "virginica"}


def test_a_csv_is_numbers_where_every_present_cell_is_one(write_csv):
    path = write_csv("kinds.csv", ["a", "b"], [["1", "x"], ["NA", ""], [" 2.5 ", "3"]])
    assert load(path).columns == {"a": (1.0, None, 2.5), "b": ("x", None, "3")}


def test_a_glance_reads_only_the_first_rows(shop_csv):
    assert load(shop_csv, rows=5).rows == 5


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-8"), ("|", "utf-8")]
)
def test_delimiter_and_byte_order_mark_are_minded(write_csv, delimiter, encoding):
    path = write_csv("form.csv", ["age", "pay"], [["1", "2"]], encoding=encoding, delimiter=delimiter)
    assert delimiter_of(path) == delimiter
    assert list(load(path).columns) == ["age", "pay"]


BROKEN = {
    "empty file": ("", "an empty file", "a header line"),
    "only a header": ("a,b\n", "no rows", "at least one row"),
    "short row": ("a,b\n1,2\n3\n", "1 cells in row 2", "2"),
    "name twice": ("a,a\n1,2\n", "the name 2 times", "once"),
    "no name": ("a,\n1,2\n", "a column without a name", "a name for every column"),
    "other encoding": (b"a\n\xff\xfe\n", "can't decode", "UTF-8"),
}


@pytest.mark.parametrize(("content", "found", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_told_by_what_was_found_and_expected(tmp_path, content, found, expected):
    path = tmp_path / "broken.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DatasetError) as error:
        load(str(path))
    assert found in error.value.found
    assert expected in error.value.expected
    assert error.value.dataset == str(path)


def test_a_name_that_is_neither_set_nor_file_lists_the_sets():
    with pytest.raises(DatasetError, match=re.escape("one of 'iris'")):
        load("irises")


@pytest.mark.parametrize("name", ["\0", "", None, str(Path.cwd())])
def test_what_cannot_be_opened_is_a_dataset_error(name):
    with pytest.raises(DatasetError):
        load(name)


def test_an_unknown_target_lists_the_columns(shop_csv):
    with pytest.raises(DatasetError) as error:
        load(shop_csv, "sold")
    assert error.value.column == "sold"
    assert "'bought'" in error.value.expected


def test_the_target_of_a_bundled_set_is_fixed():
    assert all(load(name, "target").target == "target" for name in BUNDLED)
    with pytest.raises(DatasetError, match="a feature"):
        load("diabetes", "age")
