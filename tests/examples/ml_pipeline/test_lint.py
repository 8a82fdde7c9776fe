import ast

import pytest

from examples.ml_pipeline.lint import forbidden_uses, foreign_imports, parse

ALLOWED = {
    "scikit-learn": "from sklearn.linear_model import Ridge",
    "reading": "open('a.csv')",
    "reading, said so": "open('a.csv', 'r')",
    "reading a path": "Path('a.csv').open(encoding='utf-8')",
    "its own name": "if __name__ == '__main__': pass",
}
FORBIDDEN = {
    "eval": "eval('1')",
    "exec by another name": "run = exec",
    "import by call": "__import__('os')",
    "through builtins": "__builtins__['exec']",
    "through classes": "().__class__.__mro__",
    "os through pathlib": "from pathlib import os",
    "os through numpy": "import numpy; numpy.os.remove('a')",
    "open for writing": "open('a', 'w')",
    "mode by keyword": "open('a', mode='a')",
    "mode unknown": "open('a', mode)",
    "mode hidden": "open('a', **how)",
    "open by another name": "o = open; o('a', 'w')",
    "a path for writing": "Path('a').open('wb')",
    "writing a path": "Path('a').write_text('x')",
    "an array to a file": "np.save('a', x)",
    "unpickling": "np.load('a')",
    "the network": "from sklearn.datasets import fetch_openml",
}
FOREIGN = {
    "os": "import os",
    "subprocess": "import subprocess as sp",
    "a module inside": "import json, urllib.request",
    "relative": "from . import secrets",
}


@pytest.mark.parametrize("code", ALLOWED.values(), ids=ALLOWED)
def test_training_code_may_compute_and_read(code):
    tree = parse(code)
    assert foreign_imports(tree) == forbidden_uses(tree) == []


@pytest.mark.parametrize("code", FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_reaches_further_is_named(code):
    assert forbidden_uses(parse(code))


@pytest.mark.parametrize("code", FOREIGN.values(), ids=FOREIGN)
def test_other_imports_are_named(code):
    assert foreign_imports(parse(code))


@pytest.mark.parametrize("code", [None, 3, "", "  \n", "def", "a = '\0'", "x = '\ud800'", "(" * 500, "return 1"])
def test_what_does_not_compile_is_said(code):
    assert isinstance(parse(code), str)
    assert isinstance(parse("x = 1"), ast.Module)
