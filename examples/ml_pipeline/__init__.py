"""A machine-learning pipeline in seven steps: plan, validate, revise; write code, validate, fix; report.

The agents are plain functions on plain JSON and work offline on real data: `plan`, `validate_plan`, `write_code`,
`validate_code` (async) and `report`.
"""

from .code_validator import validate_code
from .finish import report
from .planner import plan
from .programmer import write_code
from .validator import validate_plan

__all__ = ["plan", "report", "validate_code", "validate_plan", "write_code"]
