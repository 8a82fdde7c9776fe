"""The commands over recordings: what they print, write, refuse and leave with."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from stepladder.scenarios.recording_files import read_recordings, write_recordings
from tests.cli.desk import Desk
from tests.evaluation.recordings import runs_of

LEAK = "policy: {classifier: {complex: {long: [n_steps > 9]}}}"


@pytest.fixture
def runs(tmp_path: Path) -> str:
    file = tmp_path / "runs.jsonl.gz"
    write_recordings(runs_of(80), file)
    return str(file)


def test_evaluate(desk: Desk, runs: str) -> None:
    told = desk("evaluate", runs)
    assert told.code == 0, told.err
    for word in ("agents, escalating what is complex", "same call >= 3", "AUROC after"):
        assert word in told.out
    said = json.loads(desk("evaluate", runs, "--json").out)
    assert said["evaluations"][0]["policy"] == "agents"
    assert {each["policy"] for each in said["evaluations"]} >= {"never", "always", "random, as often"}
    assert said["evaluations"][0]["groups"][0]["figures"]["runs"]["value"] == 80


def test_no_figure_is_cut_on_a_narrow_screen(desk: Desk, runs: str) -> None:

    told = desk("evaluate", runs, columns=80).out
    assert "…" not in told
    for name in ("runs of", "random, as often", "consecutive errors >= 2", "ceiling"):
        assert name in told


def test_runs_without_a_label_are_told_of(desk: Desk) -> None:
    steps = [{"i": 0, "agent": "user", "kind": "user_message", "text": "hello"}]
    lines = [{"run_id": f"r{number}", "steps": steps} for number in range(3)]
    (desk.folder / "bare.jsonl").write_text("\n".join(map(json.dumps, lines)))
    told = desk("evaluate", "bare.jsonl")
    assert (told.code, "3 of 3 runs do not say how they ended" in told.err) == (0, True)
    told = desk("tune", "bare.jsonl", "-o", "policy.yaml")
    assert (told.code, "found 0 split keys with runs that failed" in told.err) == (2, True)


def test_evaluate_by_parts(desk: Desk, runs: str) -> None:
    assert "model 1" in desk("evaluate", runs, "--models").out
    assert desk("evaluate", runs, "--only", "domain=de*").code == 0
    assert desk("evaluate", runs, "--escalates", "hybrid").code == 0


@pytest.mark.parametrize("verb", [("evaluate",), ("tune", "-o", "policy.yaml"), ("ab",), ("ab", "--design", "shadow")])
def test_a_part_that_is_nowhere_is_said_in_one_line(desk: Desk, runs: str, verb: tuple[str, ...]) -> None:
    nothing = desk(verb[0], runs, *verb[1:], "--only", "domain=other")
    assert (nothing.code, nothing.out) == (2, "")
    found = "recordings: --only domain=other: found none of 80 runs; expected a domain of: 'desk' (80)"
    assert nothing.err.strip() == f"error: {found}"
    both = desk(verb[0], runs, *verb[1:], "--only", "domain=desk", "--only", "source=x")
    assert "--only domain=desk source=x: found none of 80 runs; expected a domain of: 'desk' (80)" in both.err
    assert "a source of: 'made' (80), all in one run" in both.err


def test_of_many_values_some_are_shown(desk: Desk) -> None:
    runs = [replace(run, domain=f"d{number % 11:02}") for number, run in enumerate(runs_of(23))]
    write_recordings(runs, desk.folder / "many.jsonl")
    told = desk("evaluate", "many.jsonl", "--only", "domain=other")
    shown = ", ".join(f"'d{number:02}' ({3 if number == 0 else 2})" for number in range(8))
    assert f"expected a domain of: {shown}, 3 more" in told.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--policy", "leak.yaml"), "known only after the run"),
        (("--policy", "missing.yaml"), "missing.yaml"),
        (("--only", "model=x"), "--only model=x"),
        (("--escalates", "standard"), "--escalates standard"),
    ],
)
def test_what_evaluate_refuses(desk: Desk, runs: str, args: tuple[str, ...], said: str) -> None:
    (desk.folder / "leak.yaml").write_text(LEAK)
    told = desk("evaluate", runs, *args)
    assert told.code == 2
    assert said in told.err
    assert not told.out


def test_broken_lines_are_told_and_skipped(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    write_recordings(runs_of(30), file)
    file.write_bytes(file.read_bytes() + b"{broken\n" * 25)
    told = desk("evaluate", str(file))
    assert told.code == 0
    assert told.err.count("skipped: ") == 21
    assert "5 more lines" in told.err


def test_evaluate_writes_columns(desk: Desk, runs: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert desk("evaluate", runs, "--columns", str(tmp_path / "c.parquet")).code == 0
    assert {"run", "step", "route", "risk"} <= set(parquet.read_table(tmp_path / "c.parquet").column_names)


def test_tune(desk: Desk, runs: str, tmp_path: Path) -> None:
    out = str(tmp_path / "policy.yaml")
    told = desk("tune", runs, "--learn", "--partitions", "1", "-o", out, "--plot", str(tmp_path / "p"))
    assert told.code == 0, told.err
    assert "held out" in told.out
    assert (tmp_path / "p.png").is_file()
    assert (tmp_path / "p.html").is_file()
    first = Path(out).read_bytes()
    said = json.loads(desk("tune", runs, "--learn", "--partitions", "1", "-o", out, "--json").out)
    assert said["held_out"]["partitions"] == 1
    assert Path(out).read_bytes() == first
    assert desk("evaluate", runs, "--policy", out).code == 0


def test_what_tune_refuses(desk: Desk, runs: str, tmp_path: Path) -> None:
    assert desk("tune", runs, "-o", str(tmp_path / "no" / "p.yaml"), "--partitions", "1", "--trials", "3").code == 2
    assert desk("tune", runs, "--budget", "0", "-o", "p.yaml").code == 2
    assert desk("tune", str(tmp_path / "none"), "-o", "p.yaml").code == 2


def test_import(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "chat.json").write_text(json.dumps({"messages": [{"role": "user", "content": "hi"}]}))
    out = tmp_path / "o.jsonl"
    told = desk(
        "import", "chat", str(tmp_path / "chat.json"), "-o", str(out), "--source", "us", "--domain", "desk", "--json"
    )
    assert json.loads(told.out) == {"runs": 1, "skipped": 0, "file": str(out)}
    (run,) = read_recordings([out])
    assert (run.source, run.domain) == ("us", "desk")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("nothing", "chat.json", "-o", "o.jsonl"), 2),
        (("chat", "chat.json", "-o", "o.txt"), 2),
        (("chat", "missing.json", "-o", "o.jsonl"), 2),
        (("otlp", "chat.json", "-o", "o.jsonl"), 1),
    ],
)
def test_what_import_refuses(desk: Desk, args: tuple[str, ...], code: int) -> None:
    (desk.folder / "chat.json").write_text(json.dumps({"messages": [{"role": "user", "content": "hi"}]}))
    assert desk("import", *args).code == code


@pytest.mark.parametrize("packed", [False, True])
def test_import_of_standard_input(tmp_path: Path, packed: bool) -> None:
    """A pipe, compressed or not, with a broken line in it."""
    talk = json.dumps({"messages": [{"role": "user", "content": "hi"}], "id": "one"})
    text = f"{talk}\n{{broken\n{talk.replace('one', 'two')}\n".encode()
    command = [
        sys.executable,
        "-c",
        "from stepladder.cli import main; main()",
        "import",
        "chat",
        "-",
        "-o",
        "out.jsonl",
    ]
    given = gzip.compress(text) if packed else text
    told = subprocess.run(command, input=given, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert told.returncode == 0, told.stderr
    assert told.stdout.decode() == "2 runs in out.jsonl, 1 skipped\n"
    assert "stdin:2" in told.stderr.decode()
    assert [json.loads(line)["run_id"] for line in (tmp_path / "out.jsonl").open()] == ["one", "two"]


def test_record_makes_the_folder_of_scenarios(desk: Desk) -> None:
    """A first scenario needs no folder; a way that leads nowhere stays a mistake."""
    desk("init", ".")
    ran = desk("run", "workflow.yaml", "--id", "r-1", "--input", "ticket=My invoice is wrong")
    assert ran.code == 0, ran.err
    made = desk("record", "r-1", "-o", "tried/r_1.yaml")
    assert (made.code, (desk.folder / "tried" / "r_1.yaml").is_file()) == (0, True), made.err
    wrong = desk("record", "r-1", "-o", "no/where/r_1.yaml")
    assert (wrong.code, "no such file" in wrong.err) == (2, True)


def test_imports_of_one_domain_are_of_its_family(desk: Desk) -> None:
    run = {"task_id": 1, "reward": 1.0, "traj": [{"role": "user", "content": "hello"}]}
    (desk.folder / "results.json").write_text(json.dumps([run]))
    told = desk("import", "chat", "results.json", "-o", "runs.jsonl", "--domain", "airline", "--source", "bench")
    assert told.code == 0, told.err
    (found,) = read_recordings([desk.folder / "runs.jsonl"])
    assert (found.source, found.domain, found.family, found.split_key) == (
        "bench",
        "airline",
        "chat/airline",
        "airline:1",
    )
    again = desk("import", "chat", "results.json", "results.json", "-o", "twice.jsonl")
    assert (again.code, "1 run in twice.jsonl, 1 skipped" in again.out) == (0, True)
    assert "run 'results.json:1:0' again" in again.err
