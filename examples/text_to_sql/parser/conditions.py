"""Which rows a question means.

A condition on rows that can be many for one row of the root asks whether *some* such row exists, so that no join ever
repeats what is counted or added up; only a way that the groups take anyway is joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from ..schema import FALSE_WORDS, TRUE_WORDS, Column, Kind
from . import facts as f
from .about import About
from .doubts import Option, Unknown, Unsure
from .items import Item, Period
from .linking import ColumnLink
from .logic import Condition, Edge, Path, Query, Ref, Some, fans_out
from .resolving import NUMERIC, TEMPORAL, column_said
from .terms import item_of, surely_column
from .thesaurus import BY_AGE, LESS


class Conditions(About):
    """Turns facts into conditions, seen from the root."""

    def _filtered(self, query: Query, joined: tuple[Path, ...] = ()) -> Query:
        """The query with all conditions: straight ones, and those on related rows."""
        straight: list[Condition] = []
        related: list[tuple[int, Condition]] = []
        somes: list[Some] = []
        for at, fact in enumerate(self.said):
            for condition in self._conditions(fact):
                if self._is_straight(condition.ref.path, joined):
                    straight.append(condition)
                elif isinstance(fact, f.Valued) and fact.negated:
                    somes.append(self._none_of(condition))
                else:
                    related.append((at, condition))
            if isinstance(fact, f.Valued) and fact.all_of:
                straight, related, extra = self._all_of(fact, straight, related)
                somes += extra
        somes += self._related(related, joined)
        required = tuple(path for path in self._required() if self._is_straight(path, joined) and path)
        return msgspec.structs.replace(query, conditions=tuple(straight), somes=tuple(somes), required=required)

    def _is_straight(self, path: Path, joined: tuple[Path, ...]) -> bool:
        """Whether joining the path repeats no row, or none that the groups do not repeat."""
        reached = max((n for n in range(len(path) + 1) if any(path[:n] == other[:n] for other in joined)), default=0)
        return not fans_out(path[reached:])

    def _none_of(self, condition: Condition) -> Some:
        positive = msgspec.structs.replace(
            condition, operator={"!=": "=", "not in": "in"}.get(condition.operator, condition.operator)
        )
        return Some((condition.ref.path,), (positive,), negated=True)

    def _all_of(
        self, fact: f.Valued, straight: list[Condition], related: list[tuple[int, Condition]]
    ) -> tuple[list[Condition], list[tuple[int, Condition]], list[Some]]:
        """`who bought A and B`: one related row for each of them."""
        mine = [pair for pair in related if pair[1].operator == "in" and len(pair[1].values) == len(fact.items)]
        if not mine:
            return straight, related, []
        condition = mine[-1][1]
        each = [msgspec.structs.replace(condition, operator="=", values=(value,)) for value in condition.values]
        rest = [pair for pair in related if pair[1] is not condition]
        if rest or any(not isinstance(o, f.Mentioned | f.Measured | f.Valued) for o in self.said):
            raise Unsure(
                "Should all of "
                + ", ".join(str(v) for v in condition.values)
                + " be true of the same one, or any of them?"
            )
        return straight, rest, [Some((one.ref.path,), (one,)) for one in each]

    def _related(self, related: list[tuple[int, Condition]], joined: tuple[Path, ...]) -> list[Some]:
        """Conditions on related rows: those after a negation belong to it, the others hold for the same row."""
        absent = [(at, fact) for at, fact in enumerate(self.said) if isinstance(fact, f.Absent)]
        first = absent[0][0] if absent else len(self.said)
        before = tuple(c for at, c in related if at < first)
        after = tuple(c for at, c in related if at > first)
        found = [self._absent(fact, after) for _, fact in absent]
        counted = self.all(f.Counted)
        found += [self._counted(fact, before) for fact in counted]
        paths = tuple(path for path in self._required() if not self._is_straight(path, joined))
        if not counted and (before or (paths and not (absent and not before))):
            found.append(Some(_unique((*paths, *(c.ref.path for c in before))), before))
        return found

    def _absent(self, fact: f.Absent, conditions: tuple[Condition, ...]) -> Some:
        path = self.resolver.entity(fact.what, self.root)
        if not path:
            raise Unsure(f"What should not be true of the {fact.what.text}?")
        if not fans_out(path) and not conditions:
            own = Condition(Ref((), self._key_column(path[0])), "null")
            return Some((), (own,))
        return Some(_unique((path, *(c.ref.path for c in conditions))), conditions, negated=True)

    def _key_column(self, edge: Edge) -> Column:
        found = self.schema.table(edge.key.table).column(edge.key.column)
        if found is None:
            raise Unknown(f"the key {edge.key.column} is gone")
        return found

    def _counted(self, fact: f.Counted, conditions: tuple[Condition, ...]) -> Some:
        path = self.resolver.entity(fact.what, self.root)
        if not fans_out(path):
            raise Unsure(f"Each of {self.root} has one of {fact.what.text} at most: what should be counted?")
        return Some(
            _unique((path, *(c.ref.path for c in conditions))),
            conditions,
            counted=path,
            operator=fact.operator,
            number=fact.number,
        )

    def _required(self) -> tuple[Path, ...]:
        """Ways to things that are named without a condition of their own."""
        mentioned = [m for m in self.all(f.Mentioned) if m.what is not self.subject and not m.what.values]
        items = [
            m.what for m in mentioned if (m.what.tables or m.what.roles) and not surely_column(m.what) and m.of is None
        ]
        paths = [self.resolver.entity(item, self.root) for item in items if not self._measured_itself(item)]
        if self.subject is not None and self.resolver.table(self.subject) != self.root and not self.subject.roles:
            paths.append(self.resolver.entity(self.subject, self.root))
        return tuple(path for path in dict.fromkeys(paths) if path)

    def _measured_itself(self, item: Item) -> bool:
        return bool(item.tables) and self.resolver.table(item) == self.root

    def _conditions(self, fact: f.Fact) -> Iterator[Condition]:
        match fact:
            case f.Compared():
                yield from self._compared(fact)
            case f.Dated():
                yield from self._dated(fact)
            case f.Valued():
                yield self._valued(fact)
            case f.Written():
                yield self._written(fact)
            case f.Known():
                yield self._known(fact)
            case f.Numbered():
                yield self._numbered(fact)
            case f.Mentioned(what) if what.values and not what.tables and not what.columns and not what.roles:
                yield self._valued(f.Valued((what,)))
            case f.Mentioned(what) if what.verbal and what.columns and not what.tables and not self.all(f.Dated):
                yield from self._happened(what)
            case _:
                return

    def _happened(self, verb: Item) -> Iterator[Condition]:
        """`sent letters`, with a column `sent_at` that may be empty."""
        ref = self.resolver.column(verb, self.root)
        if ref.column.nulls:
            yield Condition(ref, "known")

    def _compared(self, fact: f.Compared) -> Iterator[Condition]:
        kinds: tuple[Kind, ...] = NUMERIC
        ref = self.resolver.column(fact.what, self.root, kinds, fact.of)
        operator = _turned(fact, ref.column)
        if operator == "between":
            low, high = sorted(fact.numbers)
            yield Condition(ref, ">=", (low,))
            yield Condition(ref, "<=", (high,))
            return
        yield Condition(ref, operator, fact.numbers)

    def _dated(self, fact: f.Dated) -> Iterator[Condition]:
        if fact.what is not None:
            ref = self.resolver.column(fact.what, self.root, TEMPORAL)
        else:
            ref = self.resolver.date_column(self.root, [*self._done_before(fact), *self._verbs()])
        if any(period.month for period in fact.periods):
            yield self._month(ref, fact)
            return
        span = Period(fact.periods[0].start, fact.periods[-1].end)
        bounds = {"=": ((">=", span.start), ("<", span.end)), ">": ((">=", span.end),), ">=": ((">=", span.start),),
                  "<": (("<", span.start),), "<=": (("<", span.end),)}  # fmt: skip
        for operator, bound in bounds[fact.operator]:
            yield Condition(ref, operator, (_bound(bound, ref.column),))

    def _done_before(self, fact: f.Dated) -> list[Item]:
        """What is said right before a date to (not) have happened: `without visits in May`, `with 3 visits in May`."""
        done = [a.what for a in self.all(f.Absent)] + [c.what for c in self.all(f.Counted)]
        question = self.resolver.question
        done += [
            m.what
            for m in self.all(f.Mentioned)
            if m.what.at and question[m.what.at - 1].kind == "HAVING" and m.what.tables
        ]
        nearest = sorted((item for item in done if item.at < fact.at), key=lambda item: -item.at)
        return [self._dates_of(item) for item in nearest[:1]]

    def _dates_of(self, item: Item) -> Item:
        """An item that means the date columns of the table that an item names."""
        if not item.tables:
            return item
        columns = self.resolver.dates(self.resolver.table(item))
        return item_of(item.text, *(ColumnLink(column, 1.0) for column in columns)) if columns else item

    def _month(self, ref: Ref, fact: f.Dated) -> Condition:
        if fact.operator != "=" or len(fact.periods) > 1 or ref.column.kind == "year":
            raise Unsure("Which year is meant?")
        return Condition(ref, "month", (float(fact.periods[0].month),))

    def _valued(self, fact: f.Valued) -> Condition:
        first = fact.items[0]
        columns = self._value_columns(fact)
        ref = self._value_ref(first, fact.hint, columns)
        texts = tuple(dict.fromkeys(text for item in fact.items for text in self._texts_in(item, ref.column)))
        if len(texts) > 1:
            return Condition(ref, "not in" if fact.negated else "in", texts)
        return Condition(ref, "!=" if fact.negated else "=", texts)

    def _texts_in(self, item: Item, column: Column) -> tuple[str, ...]:
        """The texts of the column that an item means; when it is a part of several, somebody is asked which."""
        link = next(link for link in item.values if link.column == column)
        texts = (link.value, *link.others)
        if link.whole or len(texts) == 1:
            return texts
        options = [Option("all of them", texts), *(Option(text, (text,)) for text in texts)]
        return tuple(
            self.resolver.replies.settle(f"There are {len(texts)} that '{item.text}' may mean; which one:", options)
        )

    def _value_columns(self, fact: f.Valued) -> list[Column]:
        columns = [link.column for link in fact.items[0].values]
        for item in fact.items[1:]:
            columns = [c for c in columns if any(link.column == c for link in item.values)]
        if fact.hint is not None:
            hinted = {(link.column.table, link.column.name) for link in fact.hint.columns}
            tables = {link.table for link in fact.hint.tables}
            columns = [c for c in columns if (c.table, c.name) in hinted or c.table in tables] or columns
        return list(dict.fromkeys(columns))

    def _value_ref(self, item: Item, hint: Item | None, columns: list[Column]) -> Ref:
        stand_in = msgspec.structs.replace(item, kind="MENTION", links=tuple(ColumnLink(c, 1.0) for c in columns))
        return self.resolver.column(stand_in, self.root)

    def _written(self, fact: f.Written) -> Condition:
        column = self._text_column(fact)
        if fact.how == "is":
            return Condition(column, "!=" if fact.negated else "=", (fact.text,))
        text = _escaped(fact.text)
        pattern = {"starts": f"{text}%", "ends": f"%{text}"}.get(fact.how, f"%{text}%")
        return Condition(column, "not like" if fact.negated else "like", (pattern,))

    def _text_column(self, fact: f.Written) -> Ref:
        if fact.what is not None and fact.what.columns:
            return self.resolver.column(fact.what, self.root, ("text", "other"))
        near = [m.what for m in self.all(f.Mentioned) if m.what.tables and m.what.at < fact.at]
        path = self.resolver.entity(near[-1], self.root) if near else ()
        labels = self.resolver.labels(path[-1].target if path else self.root)
        texts = [c for c in labels if c.kind in ("text", "other")]
        if not texts:
            raise Unknown(f"{labels[0].table} have no name that '{fact.text}' could be in")
        return Ref(path, self.resolver.one_of("Which text is meant:", texts))

    def _known(self, fact: f.Known) -> Condition:
        if not fact.truth:
            return Condition(self.resolver.column(fact.what, self.root), "known" if fact.known else "null")
        ref = self.resolver.column(fact.what, self.root, ("flag",))
        return Condition(ref, "=", (_truth(ref.column, fact.known),))

    def _numbered(self, fact: f.Numbered) -> Condition:
        table = self.resolver.table(fact.what)
        path = self.resolver.entity(fact.what, self.root) if table != self.root else ()
        column = self.schema.table(table).column(self.schema.table(table).key)
        if column is None:
            raise Unknown(f"{table} are not numbered")
        return Condition(Ref(path, column), "=", (fact.number,))


def _turned(fact: f.Compared, column: Column) -> str:
    """The operator that an adjective's comparison means for a column."""
    if fact.what.kind != "COMPARE_ADJ":
        return fact.operator
    if fact.what.says in BY_AGE and "age" not in column.words:
        raise Unsure(
            f"Which {' '.join(column.words)} is meant by '{fact.what.text}'? Please say before or after which one."
        )
    head, _, tail = fact.operator.rpartition(" ")
    return f"{head} {_less(tail, fact)}".strip()


def _less(operator: str, fact: f.Compared) -> str:
    return {">": "<", ">=": "<="}.get(operator, operator) if fact.what.says in LESS else operator


def _bound(day: str, column: Column) -> str | float:
    """A day, or its year for a column of years."""
    if column.kind != "year":
        return day
    if not day.endswith("-01-01"):
        raise Unsure(f"Only years are known for {column_said(column)}: which year is meant?")
    return float(day[:4])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _truth(column: Column, truth: bool) -> str | float:
    words = TRUE_WORDS if truth else FALSE_WORDS
    return next((value for value in column.values if value.lower() in words), float(truth))


def _unique(paths: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(path for path in paths if path))
