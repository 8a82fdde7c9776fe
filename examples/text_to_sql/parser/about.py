"""What a question is about: its facts, the thing it names first, the persons that `who` means."""

from __future__ import annotations

from typing import TypeVar

from . import facts as f
from .doubts import Option, Unknown
from .items import Item
from .resolving import Resolver

Kind_ = TypeVar("Kind_", bound=f.Fact)
HEADS = frozenset(("which", "what"))


class About:
    """The facts of one question, and the table that it is about."""

    def __init__(self, said: list[f.Fact], resolver: Resolver) -> None:
        self.said = said
        self.resolver = resolver
        self.schema = resolver.schema
        self.subject = self._subject()
        self.root = ""
        self.root_is_measured = False

    def all(self, kind: type[Kind_]) -> list[Kind_]:
        """The facts of one kind, in their order."""
        return [fact for fact in self.said if isinstance(fact, kind)]

    def _subject(self) -> Item | None:
        """The first thing named, a noun before a verb."""
        named = [
            m.what for m in self.all(f.Mentioned) if (m.what.tables or m.what.roles) and not m.also and m.of is None
        ]
        nouns = [item for item in named if not item.verbal and not self._tells_key(item)]
        return next(iter(nouns if self._asks_who() else nouns or named), None)

    def _tells_key(self, item: Item) -> bool:
        """Whether a part's name stands before the thing that has the key: `home` in `home games`."""
        after = [other for other in self.resolver.question if other.at == item.at + 1]
        tables = {link.table for other in after for link in other.tables}
        return not item.tables and any(link.key.table in tables for link in item.roles)

    def _asks_who(self) -> bool:
        return any(item.kind == "WHO" for item in self.resolver.question)

    def _context(self) -> list[str]:
        """Tables that the question is about, the likeliest first."""
        items = [self.subject] if self.subject else []
        items += [item for m in self.all(f.Mentioned) for item in (m.of, m.what) if item is not None]
        items += [g.of or g.what for g in self.all(f.Grouped) if (g.of or g.what) is not None]  # type: ignore[misc]
        items += [n.what for n in self.all(f.Numbered)] + [c.what for c in self.all(f.Counted)]
        tables = [
            item.tables[0].table if item.tables else item.roles[0].key.table
            for item in items
            if item.tables or item.roles
        ]
        values = [
            link.column.table
            for v in self.all(f.Valued)
            if len(_tables_of(v.items[0])) == 1
            for link in v.items[0].values
        ]
        return list(dict.fromkeys(tables + values))

    def _verbs(self) -> list[Item]:
        return [
            m.what
            for m in self.all(f.Mentioned)
            if m.what.columns and (m.what.verbal or not m.what.columns[0].score >= 0.99)
        ]

    def _settle_root(self, key: f.Key | None) -> None:
        if self.subject is not None:
            role = bool(self.subject.roles) and not self.subject.tables
            self.root = self.subject.roles[0].key.table if role else self.resolver.table(self.subject)
            return
        if self._asks_who() and not any(m.what.columns and not m.what.verbal for m in self.all(f.Mentioned)):
            self.root = self._person()
            return
        self.root = self._root_of_columns(key)

    def _person(self) -> str:
        """The table of persons that the things named belong to."""
        people = self.resolver.people()
        doers = self._doers()
        if len(doers) == 1:
            return doers[0]
        verbs = [self.resolver.table(m.what) for m in self.all(f.Mentioned) if m.what.tables]
        near = [p for p in people if all(self.resolver.reaches(p, verb) for verb in verbs)] if verbs else people
        direct = [p for p in near if any(self.resolver.distance(p, verb) in (0.0, 1.0, 1.5) for verb in verbs)]
        options = [Option(table, table) for table in (direct or near)]
        if not options:
            raise Unknown("there are no persons in this database that 'who' could mean")
        return str(options[0].value if len(options) == 1 else self.resolver.replies.settle("Who is meant:", options))

    def _doers(self) -> list[str]:
        """What the thing done points at, apart from what is named anyway: who borrowed it, not what was borrowed."""
        done = [self.resolver.table(m.what) for m in self.all(f.Mentioned) if m.what.verbal and m.what.tables]
        named = {link.column.table for v in self.all(f.Valued) for link in v.items[0].values} | self.resolver.named
        return [key.to_table for key in self.schema.keys if key.table in done and key.to_table not in named]

    def _root_of_columns(self, key: f.Key | None) -> str:
        context = self._context()
        items = [m.what for m in self.all(f.Mentioned) if m.what.columns] + ([key.what] if key else [])
        if items:
            return self.resolver.home(items[0], context).table if not context or items[0].columns else context[0]
        compared = [c.what for c in self.all(f.Compared)] + [k.what for k in self.all(f.Known)]
        if context:
            return context[0]
        if compared:
            return self.resolver.home(compared[0], ()).table
        raise Unknown("the question names nothing in this database")

    def _plain_columns(self) -> list[Item]:
        return [m.what for m in self.all(f.Mentioned) if m.what.columns and not m.what.tables]


def _tables_of(item: Item) -> set[str]:
    return {link.column.table for link in item.values}
