"""A Postgres server of our own for as long as the benchmark runs, with a database for every measurement."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Database = Callable[[], str]
"""Makes a database of its own and gives its URL."""


class NoServer(Exception):
    """There is no Postgres server here, and why."""


@contextmanager
def server(folder: Path, url: str) -> Iterator[Database]:
    """Databases at the server of `url`, or at one that is started in `folder`.

    Raises:
        NoServer: none was given, and none can be started.
    """
    try:
        import psycopg  # noqa: F401
    except ModuleNotFoundError:
        raise NoServer("no module psycopg") from None
    if url:
        yield lambda: new_database(url)
        return
    programs = found()
    data = folder / "postgres"
    data.mkdir()
    user = "postgres" if os.geteuid() == 0 else None  # it does not run as root
    if user is not None:
        shutil.chown(data, user)

    def do(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(data), *arguments]
        done = subprocess.run(command, user=user, cwd=data, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise NoServer(f"{program}: {done.stderr.strip().splitlines()[-1:]}")

    do("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")
    settings = f"-c listen_addresses='' -c unix_socket_directories='{data}' -c max_connections=200"
    do("pg_ctl", "-w", "-l", str(data / "log"), "-o", settings, "start")
    try:
        yield lambda: new_database(f"postgresql://postgres@/postgres?host={data}")
    finally:
        do("pg_ctl", "-m", "immediate", "stop")


def found() -> Path:
    """The folder of Postgres' programs. Raises NoServer."""
    here = shutil.which("initdb")
    folders = [Path(here).resolve().parent] if here else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        raise NoServer("no initdb here, and no --postgres URL")
    return folders[-1]


def new_database(url: str) -> str:
    import psycopg

    name = f"stepladder_bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    address, _, options = url.partition("?")
    return f"{address.rpartition('/')[0]}/{name}" + (f"?{options}" if options else "")
