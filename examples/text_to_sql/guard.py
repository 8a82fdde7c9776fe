"""What SQL may be looked at at all: exactly one query, judged from its parse tree and never from its text."""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

MAX_SQL_CHARS = 20_000
QUERIES = (exp.Select, exp.SetOperation, exp.Subquery)
CHANGES = (exp.DML, exp.DDL, exp.Command, exp.Pragma, exp.Attach, exp.Detach, exp.Into, exp.Transaction)


def one_query(sql: str) -> exp.Query | str:
    """The only query in `sql`, or the reason why it is not one."""
    if len(sql) > MAX_SQL_CHARS:
        return f"the SQL is longer than {MAX_SQL_CHARS} characters"
    if "\x00" in sql:
        return "the SQL holds a NUL character"
    try:
        found = sqlglot.parse(sql, dialect="sqlite")
    except (SqlglotError, RecursionError, ValueError) as error:
        return f"the SQL cannot be parsed: {_first_line(error)}"
    return _only_query([statement for statement in found if statement is not None])


def _only_query(statements: list[exp.Expr]) -> exp.Query | str:
    if len(statements) != 1:
        return f"exactly one SELECT is expected, found {len(statements)} statements"
    statement = statements[0]
    if not isinstance(statement, QUERIES):
        return f"only SELECT is allowed, found {statement.key.upper()}"
    changing = next((node for node in statement.walk() if _changes(node)), None)
    if changing is not None:
        return f"only SELECT is allowed, found {changing.key.upper()} inside it"
    return statement


def _changes(node: exp.Expr) -> bool:
    return isinstance(node, CHANGES) and not isinstance(node, exp.Query)


def tables_read(query: exp.Query) -> frozenset[str]:
    """The names of tables, lower case, that the query reads, without the names it defines itself by WITH."""
    defined = {cte.alias_or_name.lower() for cte in query.find_all(exp.CTE)}
    return frozenset(table.name.lower() for table in query.find_all(exp.Table)) - defined


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
