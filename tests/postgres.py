"""A real Postgres server for the tests: in a folder of its own, reached by a unix socket, without a network."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg

SETTINGS: Final = ("listen_addresses=", "fsync=off", "max_connections=60")


def binaries() -> Path | None:
    """Where its programs are, or None."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    known = [
        *Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        *Path("/opt/homebrew/opt").glob("postgresql*/bin/initdb"),
    ]
    return max(known, key=lambda each: each.parts).parent if known else None


class Postgres:
    """A server, with a database for whoever wants one. Role `ada` needs a password, everybody else none."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._names = count(1)
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:  # which the server refuses to be
            user = next(each for each in ("postgres", "nobody") if each in {known.pw_name for known in pwd.getpwall()})
            self._as = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
            os.chown(self.folder, pwd.getpwnam(user).pw_uid, -1)
        self._do("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        known = self.folder / "data" / "pg_hba.conf"
        known.write_text("local all ada scram-sha-256\n" + known.read_text())
        self.start()

    def start(self) -> None:
        settings = " ".join(f"-c {each}" for each in SETTINGS)
        self._do("pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", f"-k {self.folder} {settings}")

    def stop(self, mode: str = "immediate") -> None:
        self._do("pg_ctl", "stop", "-w", "-m", mode)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def address(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """The address of a database of its own."""
        name = f"test_{next(self._names)}"
        self(f"CREATE DATABASE {name}")
        return self.address(name)

    def new_schema(self) -> str:
        return f"journal_{next(self._names)}"

    def __call__(self, statement: str, *values: Any, schema: str = "public") -> list[tuple[Any, ...]]:
        """What anybody else might do in the database `postgres`."""
        with psycopg.connect(self.address(), autocommit=True, options=f"-c search_path={schema}") as db:
            done = db.execute(statement.encode(), values or None)
            return done.fetchall() if done.description else []

    def _do(self, program: str, *options: str) -> None:
        command = [str(self.programs / program), "-D", str(self.folder / "data"), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60, **self._as)
