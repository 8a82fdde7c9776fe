"""Names that are given where callers give none."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.app.ids import new_id
from stepladder.app.inputs import check_id


@pytest.mark.parametrize("at", [0.0, 1_700_000_000.0, 1_789_012_345.678901])
def test_a_name_is_a_uuid_of_version_7_that_tells_its_time(at: float) -> None:
    name = new_id(at)
    found = uuid.UUID(name)
    assert (len(name), found.version, found.variant) == (32, 7, uuid.RFC_4122)
    assert found.int >> 80 == int(at * 1000)
    check_id(name)


def test_no_name_is_given_twice() -> None:
    assert len({new_id(1_700_000_000.0) for _ in range(10_000)}) == 10_000


@given(st.floats(0, 4e9), st.floats(0.001, 4e9))
def test_what_is_made_later_sorts_later(at: float, later: float) -> None:
    assert new_id(at) <= new_id(at + later) or int(at * 1000) == int((at + later) * 1000)
