"""Addresses of journals: what is shown of one never holds a password, and what cannot be read is not repeated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.errors import JournalError
from stepladder.journal.address import is_address, shown
from stepladder.journal.postgres import PostgresJournal


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgresql://db/runs", "postgresql://db/runs"),
        ("postgres://ada:secret@db:5432/runs", "postgresql://ada@db:5432/runs"),
        ("postgresql://ada:a:b%40c!$&'()*+,;=~@db/runs", "postgresql://ada@db/runs"),
        ("postgresql://:secret@db/runs", "postgresql://db/runs"),
        ("postgresql:///runs?host=/run/pg&user=ada", "postgresql:///runs?host=/run/pg&user=ada"),
        ("postgresql://db/runs?password=secret&sslmode=require", "postgresql://db/runs?sslmode=require"),
        ("postgresql://db/runs?sslmode=require&sslpassword=secret", "postgresql://db/runs?sslmode=require"),
        ("postgresql://db/runs?password=secret", "postgresql://db/runs"),
        ("postgresql://ada:secret@[::1]:5432,second:5433/runs", "postgresql://ada@[::1]:5432,second:5433/runs"),
        ("postgresql://", "postgresql://"),
    ],
)
def test_what_is_shown(address: str, told: str) -> None:
    assert is_address(address)
    assert shown(address) == told


@pytest.mark.parametrize("path", ["runs.db", "postgresql.db", "/postgresql://x", "mysql://db", ""])
def test_a_file_is_no_address(path: str) -> None:
    assert not is_address(path)


AWKWARD = st.text(st.sampled_from("ab1:@/?#%[]&=, .'"), max_size=6)


@given(before=AWKWARD, after=AWKWARD, place=st.sampled_from(["ada:{}@localhost/runs", "localhost?password={}"]))
def test_a_password_is_never_told(before: str, after: str, place: str) -> None:
    """However it is written: it is read as one, or refused, or not the server's."""
    address = "postgresql://" + place.format(f"{before}hunter2{after}")
    with pytest.raises(JournalError) as caught:
        PostgresJournal(address + ("&" if "?" in address else "?") + "host=/nowhere&connect_timeout=2")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in caught.value.file
