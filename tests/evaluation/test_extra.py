"""What is needed besides."""

from __future__ import annotations

import subprocess
import sys


def test_without_numpy_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['numpy'] = None; import stepladder.evaluation"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "StepladderError: stepladder.evaluation needs numpy: pip install 'stepladder[evaluation]'" in told.stderr
