"""Puts the facts of a question together into one logical query.

Two forms: rows of a subject (which may be sorted, cut, filtered), and numbers over the rows of one table (which may be
grouped). A condition on rows that can be many for one row of the root asks whether *some* such row exists, so that no
join ever repeats what is counted or added up; only a way that the groups take anyway is joined.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import facts as f
from .doubts import Option, Unknown, Unsure
from .figures import Figures
from .items import Item
from .logic import Query
from .resolving import Resolver
from .rows import Rows
from .terms import has_number
from .thesaurus import UNITS_SOLD


def assemble(said: Sequence[f.Fact], resolver: Resolver) -> Query:
    """The query that the facts ask for. Raises Unknown or Unsure."""
    unknown = [fact.what for fact in said if isinstance(fact, f.Leftover)]
    if unknown:
        raise _not_understood(unknown)
    return Assembly(list(said), resolver).query()


def _not_understood(unknown: list[Item]) -> Exception:
    """A question back when it is clear what to ask, else what was not understood."""
    strange = [item for item in unknown if item.kind == "UNKNOWN"]
    if strange:
        return _strange(strange)
    item = unknown[0]
    if len(unknown) == 1 and item.kind == "RELATIVE":
        return Unsure(f"Which dates do you mean by '{item.text}'? Please name a year, a month or days.")
    if len(unknown) == 1 and item.kind == "BARE":
        return Unsure(f"What counts as '{item.text}'? Please give a number, such as 'over 100'.")
    return Unknown(f"I do not understand {_quoted(unknown)} in this question")


def _strange(strange: list[Item]) -> Exception:
    """Words that are no name here: slips of the pen, or things that the database does not know."""
    if all(item.says for item in strange):
        return Unsure(f"I do not know '{strange[0].text}'. Do you mean '{strange[0].says}'?")
    return Unknown(f"nothing in this database matches {_quoted(strange)}")


def _quoted(found: list[Item]) -> str:
    return ", ".join(f"'{item.text}'" for item in found)


class Assembly(Rows, Figures):
    """The assembling of one question."""

    def query(self) -> Query:
        """Figures when a number is asked for, else rows."""
        averaged = self.all(f.Averaged)
        if averaged:
            return self._averaged(averaged[0])
        rank, key = self._rank()
        measures = [fact.key for fact in self.all(f.Measured)]
        if not measures and not rank:
            measures = self._implied_measure()
        if rank and key and self._is_extreme(rank, key, measures):
            measures, rank = [f.Key(key.what, "max" if rank.descending else "min", of=key.of)], None
        if measures or (key and (key.function or key.what.incomes)):
            return self._numbers(measures, rank, key)
        return self._rows(rank, key)

    def _implied_measure(self) -> list[f.Key]:
        """`visits per month` counts, `units per order` adds up; another number per something is asked about."""
        numbers = [
            m.what for m in self.all(f.Mentioned) if has_number(m.what) and not m.what.tables and not m.what.verbal
        ]
        totals = [item for item in numbers if item.text.lower().startswith("total")]
        if totals and (self.subject is None or totals[0].at < self.subject.at) and not self.all(f.Numbered):
            self.said = [fact for fact in self.said if not (isinstance(fact, f.Mentioned) and fact.what is totals[0])]
            return [f.Key(totals[0], "sum")]
        if not [g for g in self.all(f.Grouped) if g.firm]:
            return []
        if numbers:
            options = [Option(f"the total {numbers[0].text}", "sum"), Option(f"the average {numbers[0].text}", "avg")]
            units = {word for link in numbers[0].columns for word in link.column.words} & UNITS_SOLD
            function = "sum" if units else str(self.resolver.replies.settle("Is that", options))
            self.said = [fact for fact in self.said if not (isinstance(fact, f.Mentioned) and fact.what is numbers[0])]
            return [f.Key(numbers[0], function)]
        return [f.Key(self.subject, "count")] if self.subject is not None and self.subject.tables else []
