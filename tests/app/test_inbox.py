"""What lies in an inbox, by whether this view of the run can say anything about it."""

from __future__ import annotations

import pytest

from stepladder.app.inbox import event_of, is_too_late
from stepladder.commands import AskPerson
from stepladder.journal import InboxItem
from stepladder.orchestrator import Machine
from stepladder.state import RunState
from tests.drivers.desk import TALK, workflow

TALKING: Machine = workflow(TALK).machine


@pytest.mark.parametrize(
    ("command", "too_late", "taken"),
    [
        (2, True, False),  # a question before this one
        (3, False, True),  # this one
        (0, False, True),  # whatever is asked
        (4, False, False),  # asked since, elsewhere: whoever still sees the run here has been overtaken
    ],
)
def test_an_answer_belongs_to_its_question(command: int, too_late: bool, taken: bool) -> None:
    asked = {3: AskPerson(3, "question", "asking")}
    state = RunState(run_id="r", status="working", step="asking", outstanding=asked, next_command=4)  # type: ignore[arg-type]
    item = InboxItem(1, "answer", {"command": command, "value": {"text": "a"}, "by": ""})
    assert is_too_late(state, item) is too_late
    assert too_late or (event_of(TALKING, state, item, 1.0) is not None) is taken
