"""The logical form as SQL, built from sqlglot's nodes: no text of a question is ever pasted into SQL."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from ..schema import Schema
from .logic import Condition, Expression, Part, Path, Product, Query, Ref, RowKey, Some, Term, fans_out

COMPARISONS = {">": exp.GT, ">=": exp.GTE, "<": exp.LT, "<=": exp.LTE, "=": exp.EQ, "!=": exp.NEQ}
OPPOSITE = {"<": ">=", "<=": ">", "=": "!="}
PLACE = "place_in_order"


def sql(query: Query, schema: Schema) -> str:
    """The query as text in SQLite's dialect."""
    return Renderer(schema).query(query).sql(dialect="sqlite")


class Scope:
    """The joins of one SELECT: every distinct path is joined once, under a name of its own."""

    def __init__(self, schema: Schema, root: str) -> None:
        self.schema = schema
        self.aliases: dict[Path, str] = {(): root}
        self.joins: list[exp.Join] = []

    def alias(self, path: Path, left: bool = False) -> str:
        """The name of the table at the end of a path, joined when it was not yet."""
        if path in self.aliases:
            return self.aliases[path]
        source = self.alias(path[:-1], left)
        name = self._free(path[-1].target)
        here, there = path[-1].columns
        on = exp.EQ(this=column(source, here), expression=column(name, there))
        outer = left and path[-1].forward and self._nullable(path)
        self.joins.append(exp.Join(this=_table(path[-1].target, name), on=on, side="LEFT" if outer else None))
        self.aliases[path] = name
        return name

    def _nullable(self, path: Path) -> bool:
        key = path[-1].key
        found = self.schema.table(key.table).column(key.column)
        return found is None or found.nulls

    def _free(self, table: str) -> str:
        taken = {name.lower() for name in self.aliases.values()}
        names = [table, *(f"{table}_{n}" for n in range(2, 20))]
        return next(name for name in names if name.lower() not in taken)


def column(table: str, name: str) -> exp.Column:
    """A quoted column."""
    return exp.Column(this=exp.to_identifier(name, quoted=True), table=exp.to_identifier(table, quoted=True))


def _table(name: str, alias: str) -> exp.Table:
    node = exp.Table(this=exp.to_identifier(name, quoted=True))
    if alias != name:
        node.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    return node


def _named(node: exp.Expr, name: str) -> exp.Expr:
    return exp.Alias(this=node, alias=exp.to_identifier(name, quoted=True))


def literal(value: str | float) -> exp.Expr:
    """A value as a literal; a whole number without a point."""
    if isinstance(value, str):
        return exp.Literal.string(value)
    return exp.Literal.number(int(value) if float(value).is_integer() else value)


class Renderer:
    """Renders queries over one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def query(self, query: Query) -> exp.Query:
        """The whole statement."""
        if query.zeros_of is not None:
            return self._with_zeros(query)
        if query.average_of_groups:
            return self._of_groups(query)
        if (query.shared_first or query.within) and query.order is not None:
            return self._first_place(query)
        select = self._select(query)
        return self._ordered(select, query)

    def _select(self, query: Query) -> exp.Select:
        if self._repeats(query):
            return self._without_repeats(query)
        scope = Scope(self.schema, query.root)
        select = self._from(query, scope)
        select = select.select(*(_named(self.term(term, scope, query), term.name) for term in query.outputs))
        if query.groups:
            select = select.group_by(*(self.expression(group, scope) for group in query.groups))
        if query.having:
            term, operator, number = query.having
            select = select.having(
                COMPARISONS[operator](this=self.term(term, scope, query), expression=literal(number))
            )
        return self._joined(select.distinct() if query.distinct else select, scope)

    def _from(self, query: Query, scope: Scope) -> exp.Select:
        """FROM and WHERE; the joins are put in when every path is known."""
        select = exp.select().from_(_table(query.root, query.root))
        grouped = bool(query.groups) or any(term.function for term in query.outputs)
        for path in (*query.required, *(_path(group) for group in (*query.groups, *query.within))):
            scope.alias(path)
        wheres = [self.condition(condition, scope) for condition in query.conditions]
        wheres += [self.some(some, query.root) for some in query.somes]
        for term in query.outputs:
            scope.alias(_path(term.expression), left=not grouped)
        if query.order is not None:
            scope.alias(_path(query.order.expression), left=not grouped)
        return select.where(*wheres) if wheres else select

    def _joined(self, select: exp.Select, scope: Scope) -> exp.Select:
        select.set("joins", scope.joins)
        return select

    def _repeats(self, query: Query) -> bool:
        """A sum or average over rows that a join has repeated."""
        adds = [term for term in query.outputs if term.function in ("sum", "avg")]
        return bool(adds) and any(fans_out(path) for path in _direct(query))

    def _without_repeats(self, query: Query) -> exp.Select:
        """Every row of the root once in each group, then the functions."""
        scope = Scope(self.schema, query.root)
        rows = self._from(query, scope)
        plain = [_named(self.expression(t.expression, scope), t.name) for t in query.outputs]
        keys = [self.expression(group, scope) for group in query.groups if isinstance(group, RowKey)]
        hidden = [_named(key, f"group_key_{n}") for n, key in enumerate(keys)]
        rows = rows.select(*plain, *hidden, _named(self.key(query.root, query.root), "row_key")).distinct()
        select = exp.select(*(_outer(term) for term in query.outputs)).from_(self._joined(rows, scope).subquery("rows"))
        names = [column("rows", term.name) for term in query.outputs if not term.function]
        names += [column("rows", f"group_key_{n}") for n in range(len(keys))]
        return select.group_by(*names) if names else select

    def _ordered(self, select: exp.Select, query: Query) -> exp.Select:
        if query.order is not None:
            select = select.order_by(self._by(query))
        return select.limit(query.limit) if query.limit is not None else select

    def _by(self, query: Query) -> exp.Ordered:
        assert query.order is not None
        shown = next((term for term in query.outputs if term == query.order), None)
        node = exp.column(exp.to_identifier(shown.name, quoted=True)) if shown else self._hidden(query)
        return exp.Ordered(this=node, desc=query.descending, nulls_first=not query.descending)

    def _hidden(self, query: Query) -> exp.Expr:
        """The order's term when it cannot be called by its name."""
        order = query.order
        assert order is not None
        if self._repeats(query):
            return _value(order)
        return self.term(order, self._same_scope(query), query)

    def _same_scope(self, query: Query) -> Scope:
        scope = Scope(self.schema, query.root)
        self._from(query, scope)
        return scope

    def _first_place(self, query: Query) -> exp.Select:
        """All rows that share the first place, or in each group the first places."""
        inner = self._select(query)
        scope = self._same_scope(query)
        within = [self.expression(group, scope) for group in query.within]
        ordered = exp.Ordered(this=self._hidden(query), desc=query.descending, nulls_first=False)
        place = exp.Window(this=exp.Anonymous(this="RANK"), partition_by=within, order=exp.Order(expressions=[ordered]))
        ranked = inner.select(_named(place, PLACE)).subquery("ranked")
        kept = [_named(column("ranked", term.name), term.name) for term in query.outputs]
        first = exp.LTE(this=column("ranked", PLACE), expression=exp.Literal.number(query.limit or 1))
        return exp.select(*kept).from_(ranked).where(first)

    def _of_groups(self, query: Query) -> exp.Select:
        """A function over one number per group."""
        term = next(term for term in query.outputs if term.function)
        inner = self._select(query).subquery("counted")
        return exp.select(
            _named(
                _function(query.average_of_groups, column("counted", term.name)),
                f"{query.average_of_groups}_{term.name}",
            )
        ).from_(inner)

    def _with_zeros(self, query: Query) -> exp.Query:
        """Counts per row of a table, with the rows that have none of them."""
        zero = query.zeros_of
        assert zero is not None
        measure = next(term for term in query.outputs if term.function)
        scope = Scope(self.schema, query.root)
        key = self.expression(RowKey(zero.path, zero.table), scope)
        counts = self._from(query, scope).select(
            _named(key, "row_key"), _named(self.term(measure, scope, query), measure.name)
        )
        counted = self._joined(counts.group_by(key.copy()), scope).subquery("counted")
        on = exp.EQ(this=column("counted", "row_key"), expression=self.key(zero.table, zero.table))
        number = exp.Coalesce(this=column("counted", measure.name), expressions=[exp.Literal.number(0)])
        labels = [term for term in query.outputs if not term.function]
        shown = [_named(column(zero.table, _ref(term).column.name), term.name) for term in labels]
        place = exp.Window(
            this=exp.Anonymous(this="RANK"),
            order=exp.Order(expressions=[exp.Ordered(this=number.copy(), desc=query.descending, nulls_first=False)]),
        )
        rows = exp.select(*shown, _named(number, measure.name), _named(place, PLACE)).from_(
            _table(zero.table, zero.table)
        )
        rows = rows.join(counted, on=on, join_type="left").where(*self._own(query, zero))
        kept = [_named(column("ranked", term.name), term.name) for term in query.outputs]
        select = exp.select(*kept).from_(rows.subquery("ranked"))
        if query.shared_first:
            return select.where(exp.EQ(this=column("ranked", PLACE), expression=exp.Literal.number(1)))
        return select.order_by(exp.Ordered(this=column("ranked", PLACE), desc=False)).limit(query.limit or 1_000)

    def _own(self, query: Query, zero: RowKey) -> list[exp.Expr]:
        """The conditions on the counted-for table itself."""
        scope = Scope(self.schema, zero.table)
        own = [c for c in query.conditions if c.ref.path == zero.path]
        return [self.condition(Condition(Ref((), c.ref.column), c.operator, c.values), scope) for c in own]

    def key(self, table: str, alias: str) -> exp.Column:
        """The column that tells rows apart."""
        return column(alias, self.schema.table(table).key)

    def expression(self, expression: Expression, scope: Scope) -> exp.Expr:
        """A value without its function."""
        match expression:
            case Ref(path, found):
                return column(scope.alias(path), found.name)
            case RowKey(path, table):
                return self.key(table, scope.alias(path))
            case Product(path, units, price):
                alias = scope.alias(path)
                return exp.Mul(this=column(alias, units.name), expression=column(alias, price.name))
            case Part(ref, part):
                return date_part(column(scope.alias(ref.path), ref.column.name), part, ref.column.kind)

    def term(self, term: Term, scope: Scope, query: Query) -> exp.Expr:
        """A value with its function."""
        if not term.function:
            return self.expression(term.expression, scope)
        if term.function == "count" and isinstance(term.expression, RowKey):
            repeated = term.distinct or bool(term.expression.path) or any(fans_out(path) for path in _direct(query))
            counted = exp.Distinct(expressions=[self.expression(term.expression, scope)]) if repeated else exp.Star()
            return exp.Count(this=counted)
        node = self.expression(term.expression, scope)
        return _function(term.function, exp.Distinct(expressions=[node]) if term.distinct else node)

    def condition(self, condition: Condition, scope: Scope) -> exp.Expr:
        """A comparison."""
        node = column(scope.alias(condition.ref.path), condition.ref.column.name)
        match condition.operator:
            case "null":
                return exp.Is(this=node, expression=exp.Null())
            case "known":
                return exp.Not(this=exp.Is(this=node, expression=exp.Null()))
            case "in":
                return exp.In(this=node, expressions=[literal(value) for value in condition.values])
            case "not in":
                return exp.Not(this=exp.In(this=node, expressions=[literal(value) for value in condition.values]))
            case "month":
                return exp.EQ(this=date_part(node, "month of year", "date"), expression=literal(condition.values[0]))
            case "like" | "not like":
                like = exp.Escape(
                    this=exp.Like(this=node, expression=literal(condition.values[0])), expression=literal("\\")
                )
                return exp.Not(this=like) if condition.operator == "not like" else like
            case operator if operator.startswith("average "):
                return COMPARISONS[operator.split()[1]](this=node, expression=self._average(condition))
            case operator:
                return COMPARISONS[operator](this=node, expression=literal(condition.values[0]))

    def _average(self, condition: Condition) -> exp.Expr:
        found = condition.ref.column
        average = exp.Avg(this=column(found.table, found.name))
        return exp.select(average).from_(_table(found.table, found.table)).subquery()

    def some(self, some: Some, root: str) -> exp.Expr:
        """`key IN (SELECT key ...)` for related rows."""
        scope = Scope(self.schema, root)
        for path in some.paths:
            scope.alias(path)
        select = exp.select(self.key(root, root)).from_(_table(root, root))
        wheres = [self.condition(condition, scope) for condition in some.conditions]
        select = select.where(*wheres) if wheres else select
        negated = some.negated
        if some.counted is not None:
            select, negated = self._counted(some, select, scope, root)
        node = exp.In(this=self.key(root, root), query=self._joined(select, scope).subquery())
        return exp.Not(this=node) if negated else node

    def _counted(self, some: Some, select: exp.Select, scope: Scope, root: str) -> tuple[exp.Select, bool]:
        """GROUP BY and HAVING; rows without any are found by the opposite, negated."""
        assert some.counted is not None
        with_none = _holds(0, some.operator, some.number)
        operator = OPPOSITE[some.operator] if with_none else some.operator
        key = self.key(some.counted[-1].target, scope.alias(some.counted))
        count = exp.Count(this=exp.Distinct(expressions=[key]))
        having = COMPARISONS[operator](this=count, expression=literal(some.number))
        return select.group_by(self.key(root, root)).having(having), with_none


def _holds(value: float, operator: str, number: float) -> bool:
    return {"<": value < number, "<=": value <= number, "=": value == number}.get(operator, False)


def _path(expression: Expression) -> Path:
    return expression.ref.path if isinstance(expression, Part) else expression.path


def _ref(term: Term) -> Ref:
    assert isinstance(term.expression, Ref)
    return term.expression


def _direct(query: Query) -> Sequence[Path]:
    """The paths that are joined straight into the query."""
    outputs = [_path(term.expression) for term in query.outputs]
    return [
        *outputs,
        *query.required,
        *(_path(group) for group in query.groups),
        *(c.ref.path for c in query.conditions),
    ]


def _outer(term: Term) -> exp.Expr:
    return _named(_value(term), term.name)


def _value(term: Term) -> exp.Expr:
    """A term over rows that stand in a subquery already."""
    node = column("rows", term.name)
    return _function(term.function, node) if term.function else node


def _function(name: str, node: exp.Expr) -> exp.Expr:
    functions: dict[str, type[exp.Func]] = {
        "count": exp.Count,
        "sum": exp.Sum,
        "avg": exp.Avg,
        "min": exp.Min,
        "max": exp.Max,
    }
    return functions[name](this=node)


def date_part(node: exp.Expr, part: str, kind: str) -> exp.Expr:
    """A part of an ISO date; a year that is a number is itself."""
    if kind == "year":
        return node
    formats = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d", "weekday": "%w", "month of year": "%m"}
    if part == "quarter":
        month = exp.Cast(this=_strftime("%m", node), to=exp.DataType.build("int"))
        quarter = exp.Div(
            this=exp.paren(exp.Add(this=month, expression=exp.Literal.number(2))),
            expression=exp.Literal.number(3),
            typed=True,
        )
        return exp.DPipe(
            this=exp.DPipe(this=_strftime("%Y", node.copy()), expression=exp.Literal.string("-Q")), expression=quarter
        )
    formatted = _strftime(formats[part], node)
    return exp.Cast(this=formatted, to=exp.DataType.build("int")) if part == "month of year" else formatted


def _strftime(form: str, node: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="STRFTIME", expressions=[exp.Literal.string(form), node])
