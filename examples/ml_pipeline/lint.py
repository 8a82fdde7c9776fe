"""Reading a script before it is run: which imports and names it uses, and whether it may."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ALLOWED_IMPORTS = frozenset(
    {
        *("sklearn", "numpy", "json", "csv", "pathlib", "math", "datetime", "statistics"),
        *("collections", "itertools", "functools", "warnings", "random"),
    }
)
FORBIDDEN_NAMES = frozenset(
    {
        *("exec", "eval", "compile", "getattr", "setattr", "delattr", "globals", "locals", "vars", "input"),
        *("breakpoint", "builtins", "importlib", "runpy", "FunctionType", "CodeType"),
        *("os", "sys", "subprocess", "multiprocessing", "threading", "signal", "shutil", "system", "popen", "ctypes"),
        *("socket", "urllib", "urlopen", "urlretrieve"),
        *("write_text", "write_bytes", "unlink", "rmdir", "mkdir", "touch", "rename", "chmod"),
        *("symlink_to", "hardlink_to", "save", "savez", "savez_compressed", "savetxt", "tofile", "dump"),
        *("pickle", "joblib", "load", "fromfile", "memmap", "open_memmap", "DataSource", "ctypeslib", "f2py"),
    }
)
MODES_TO_READ = frozenset({"r", "rt", "rb"})


def parse(code: object) -> ast.Module | str:
    """Return the syntax tree, or what is wrong with the text."""
    if not isinstance(code, str) or not code.strip():
        return "there is no code"
    try:
        tree = ast.parse(code)
        compile(tree, "train.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"the code does not compile: {error}"
    return tree


def foreign_imports(tree: ast.Module) -> list[str]:
    """Name the imported modules that are not allowed, in order."""
    modules = [module for node in ast.walk(tree) for module in _modules(node)]
    return sorted({module for module in modules if module.partition(".")[0] not in ALLOWED_IMPORTS})


def forbidden_uses(tree: ast.Module) -> list[str]:
    """Name what could run text, reach the system or the network, or write files."""
    return sorted({name for node in ast.walk(tree) for name in _names(node) if _forbidden(name)} | _writing(tree))


def called(tree: ast.Module) -> set[str]:
    """Name everything that is called by its plain name."""
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {function.id for function in calls if isinstance(function, ast.Name)}


def split_arguments(tree: ast.Module) -> set[str]:
    """Name the keyword arguments given to train_test_split."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    splits = (call for call in calls if _name_of(call.func) == "train_test_split")
    return {keyword.arg for call in splits for keyword in call.keywords if keyword.arg}


def _modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module or "." * node.level


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield name
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            yield from (part for alias in aliases for part in alias.name.split("."))


def _forbidden(name: str) -> bool:
    hidden = name.startswith("__") and name != "__name__"
    return name in FORBIDDEN_NAMES or name.startswith("fetch_") or hidden


def _writing(tree: ast.Module) -> set[str]:
    """Find every `open` that is not plainly called to read."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    reading = {id(call.func) for call in calls if _reads(call)}
    opens = (node for node in ast.walk(tree) if isinstance(node, ast.expr) and _name_of(node) == "open")
    return {"open for writing" for node in opens if id(node) not in reading}


def _reads(call: ast.Call) -> bool:
    """Tell whether the mode of an open call, wherever it is given, is a literal that reads."""
    at = 1 if isinstance(call.func, ast.Name) else 0
    modes = [*call.args[at : at + 1], *(keyword.value for keyword in call.keywords if keyword.arg in ("mode", None))]
    unclear = any(isinstance(argument, ast.Starred) for argument in call.args)
    return not unclear and all(isinstance(mode, ast.Constant) and mode.value in MODES_TO_READ for mode in modes)


def _name_of(expression: ast.expr) -> str:
    match expression:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
