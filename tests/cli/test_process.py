"""The command line as a process: start-up, streams, interrupts, a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.desk import Desk

START = [sys.executable, "-c", "from stepladder.cli import main; main()"]
ROOT = Path(__file__).parents[2]
FILE = "text_to_sql.yaml"


def process(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", **more}
    return subprocess.run([*START, *args], capture_output=True, text=True, env=env, timeout=60, check=False)


def typed(*args: str, answers: dict[str, bytes], patience_s: float = 20.0) -> tuple[str, int]:
    """What a terminal shows, and the exit code; each answer is typed once its text has come up."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(PYTHONPATH=str(ROOT), COLUMNS="80", TERM="xterm-256color")
        os.execv(sys.executable, [*START, *args])
    shown, waiting, end = b"", dict(answers), time.monotonic() + patience_s
    while time.monotonic() < end:
        ready, _, _ = select.select([terminal], [], [], 0.1)
        try:
            shown += os.read(terminal, 65536) if ready else b""
        except OSError:
            break
        for text in [text for text in waiting if text.encode() in shown]:
            os.write(terminal, waiting.pop(text))
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return shown.decode(errors="replace"), os.waitstatus_to_exitcode(status)


def test_it_runs_as_a_module_too() -> None:
    words = [sys.executable, "-m", "stepladder", "runs", "--journal", "no.db"]
    run = subprocess.run(words, capture_output=True, cwd=ROOT, timeout=60, check=False)
    assert (run.returncode, run.stdout) == (4, b"")
    assert b"no journal no.db" in run.stderr


def test_it_starts_quickly() -> None:
    times = []
    for _ in range(3):
        began = time.perf_counter()
        assert process("--help").returncode == 0
        times.append(time.perf_counter() - began)
    assert min(times) < 0.5


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; import stepladder.cli; "
        "heavy = {'transitions', 'jinja2', 'yaml', 'jsonschema_rs', 'openai', 'sqlite3', 'networkx', 'asyncio'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    found = set(eval(run.stdout)) - {"asyncio"}
    assert found == set()


def test_json_goes_to_stdout_and_errors_to_stderr(sql: Desk) -> None:
    good = process("run", FILE, "-i", "question=How many?", "--json")
    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout)["end"] == "done"
    bad = process("run", FILE, "--json")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert json.loads(bad.stderr)["error"]["kind"] == "InputError"


def test_a_closed_pipe_is_no_bug(sql: Desk) -> None:
    process("run", FILE, "-i", "question=How many?", "--id", "r")
    command = f"{sys.executable} -c 'from stepladder.cli import main; main()' show r --entries | head -1"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, shell=True, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert "bug" not in run.stderr
    assert "Traceback" not in run.stderr


def test_a_run_goes_on_when_nobody_reads_its_log(sql: Desk) -> None:
    program = f"{sys.executable} -c 'from stepladder.cli import main; main()'"
    command = f"{program} run {FILE} -i question=x --id r --option slow=0.5 | head -1"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, shell=True, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert run.stdout.startswith(" run  ")
    assert "Traceback" not in run.stderr
    assert sql.json("show", "r")["end"] == "done"


def test_another_encoding_of_the_terminal_is_no_bug(sql: Desk) -> None:
    run = process(
        "run", FILE, "-i", "question=Wie viele Käufer → heute?", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C"
    )
    assert run.returncode == 0
    assert "K?ufer" in run.stdout


@pytest.mark.parametrize("args", [(), ("--no-color",)], ids=["colours", "none"])
def test_on_a_terminal_it_asks_and_goes_on(sql: Desk, args: tuple[str, ...]) -> None:
    shown, code = typed("run", FILE, "-i", "question=best", *args, answers={"text> ": b"by revenue\n"})
    assert code == 0
    assert "question? " in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "There are 42 customers." in shown
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]", shown)) is not bool(args), "colours"


def test_no_color_in_the_environment(sql: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    shown, _ = typed("run", FILE, "-i", "question=How many?", answers={})
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", shown)


def test_end_of_input_leaves_the_question_open(sql: Desk) -> None:
    shown, code = typed("run", FILE, "-i", "question=best", "--id", "r", answers={"text> ": b"\x04"})
    assert code == 3
    assert "stepladder answer r --text '...'" in shown


def test_an_interrupt_at_the_question_leaves_it_open(sql: Desk) -> None:
    shown, code = typed("run", FILE, "-i", "question=best", "--id", "r", answers={"text> ": b"\x03"})
    assert code == 130
    assert "go on with: stepladder resume r" in shown
    assert sql("answer", "r", "--text", "by revenue").code == 0


def test_an_interrupt_cuts_off_at_once_and_the_run_can_be_resumed(sql: Desk) -> None:
    began = time.monotonic()
    shown, code = typed(
        "run", FILE, "-i", "question=x", "--id", "r", "--option", "slow=30", answers={"planner": b"\x03"}
    )
    assert code == 130
    assert time.monotonic() - began < 15, "the agent's thread is not waited for"
    assert "interrupted; go on with: stepladder resume r" in shown
    told = sql("resume", "r", "--option", "slow=0")
    assert told.code == 0
    assert "resumed by another process" in told.out


def test_an_interrupt_with_json_is_json(sql: Desk) -> None:
    command = [*START, "run", FILE, "-i", "question=x", "--id", "r", "--option", "slow=30", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, **pipes) as child:
        end = time.monotonic() + 20
        while sql.run_ids() != ["r"] and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    assert (child.returncode, out) == (130, "")
    assert json.loads(err)["error"] == {
        "kind": "Interrupted",
        "message": "interrupted; go on with: stepladder resume r",
        "exit": 130,
    }


@pytest.mark.parametrize(("slow", "called_again"), [("1.5", False), ("30", True)], ids=["in time", "cut off"])
def test_a_kind_end_lets_what_is_in_flight_be_written(sql: Desk, slow: str, called_again: bool) -> None:
    """SIGTERM: an agent that comes to its end is not called again; one that does not is cut off after a while."""
    command = [*START, "run", FILE, "-i", "question=How many customers?", "--id", "r", "--option", f"slow={slow}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, **pipes) as child:
        end = time.monotonic() + 20
        while sql.run_ids() != ["r"] and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.2)
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=30)
    assert child.returncode == 143
    assert "stopped; go on with: stepladder resume r" in err
    kinds = [entry["kind"] for entry in sql.json("export", "r")["entries"]]
    assert ("agent_returned" in kinds) is not called_again
    told = sql("resume", "r", "--option", "slow=0")
    assert (told.code, "resumed by another process" in told.out) == (0, True)


def test_a_killed_run_can_be_resumed(sql: Desk) -> None:
    command = [*START, "run", FILE, "-i", "question=x", "--id", "r", "--option", "slow=30"]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL) as child:
        end = time.monotonic() + 20
        while sql.run_ids() != ["r"] and time.monotonic() < end:
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
    assert sql.json("runs")["runs"][0]["status"] == "working"
    assert "working (planning)" in sql("runs").out
    assert sql("outcome", "r", "--success").code == 2, "nobody writes into a run at work"
    assert sql("resume", "--all", "--option", "slow=0").code == 0
