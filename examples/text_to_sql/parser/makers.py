"""What to make of a pattern that was found: one small function per kind of fact."""

from __future__ import annotations

from . import facts as f
from .items import Item
from .patterns import SLOTS, Found, Maker

NEGATED = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "=": "!=", "!=": "="}


def compare(found: Found) -> f.Compared:
    operator = found["compare"].says
    says = NEGATED[operator] if "not" in found else operator
    return f.Compared(found["what"], says, (number_of(found["number"]),), found.get("of"))


def number_of(item: Item) -> float:
    return item.number if item.number is not None else 0.0


def between(found: Found) -> f.Compared:
    return f.Compared(found["what"], "between", (number_of(found["low"]), number_of(found["high"])), found.get("of"))


def ormore(found: Found) -> f.Compared:
    return f.Compared(found["what"], found["ormore"].says, (number_of(found["number"]),), found.get("of"))


def average(found: Found) -> f.Compared:
    return f.Compared(found["what"], "average " + found["compare"].says, (), found.get("of"))


def dated(found: Found) -> f.Dated | None:
    compare = found.get("compare")
    period = found["date"].period
    if period is None or (compare is not None and compare.says == "!="):
        return None
    return f.Dated(found.get("what"), compare.says if compare else "=", (period,), found["date"].at)


def dates(found: Found) -> f.Dated | None:
    first, last = found["low"].period, found["high"].period
    return f.Dated(found.get("what"), "=", (first, last), found["low"].at) if first and last else None


def counted(found: Found) -> f.Counted:
    says = found["compare"].says if "compare" in found else found["ormore"].says if "ormore" in found else "="
    return f.Counted(found["what"], says, number_of(found["number"]))


def not_values(found: Found) -> f.Valued:
    return f.Valued((found["value"],), found.get("hint"), negated=True)


def numbered(found: Found) -> f.Fact | None:
    what, number = found["what"], found["number"]
    if number.before and not {"number", "is", "are", "of", "equal", "#", "id", "was"} >= set(number.before):
        return None
    if SLOTS["numcol"](what):
        return f.Compared(what, "=", (number_of(number),))
    return f.Numbered(what, number_of(number)) if what.tables and not what.text.lower().endswith("s") else None


def _key(found: Found) -> f.Key:
    function = found["agg"].says if "agg" in found else ""
    if "count" in found and not function:
        function = "count"
    if function == "sum" and ("count" in found or not SLOTS["column"](found["what"])):
        function = "count"
    return f.Key(found["what"], function, "distinct" in found, found.get("of"))


def limit(found: Found) -> int | None:
    return int(number_of(found["number"])) if "number" in found else None


def ranked(found: Found) -> f.Ranked | None:
    if "agg" in found and "count" in found and found["agg"].says not in ("sum",):
        return None
    return f.Ranked(_key(found), found["most"].says == "desc", limit(found))


def ranked_entity(found: Found) -> f.Ranked:
    return f.Ranked(f.Key(found["what"], "count"), found["most"].says == "desc", limit(found))


def superlative(found: Found) -> f.Ranked:
    return f.Ranked(f.Key(found["super"]), True, limit(found))


def top(found: Found) -> f.Ranked:
    return f.Ranked(None, found["top"].says == "desc", limit(found), found["top"].at)


def measured(found: Found) -> f.Fact | None:
    if "count" in found and "agg" in found and found["agg"].says != "sum":
        countable = SLOTS["numcol"](found["what"]) and not found["what"].tables
        return (
            f.Measured(f.Key(found["what"], found["agg"].says))
            if countable
            else f.Averaged(found["agg"].says, found["what"])
        )
    if "agg" in found and found["agg"].says != "sum" and not SLOTS["column"](found["what"]):
        return None
    return f.Measured(_key(found))


def two_measures(found: Found) -> tuple[f.Fact, ...]:
    names = ("first", "second", "third")
    return tuple(
        f.Measured(f.Key(found["what"], found[name].says, of=found.get("of"))) for name in names if name in found
    )


def grouped(found: Found) -> tuple[f.Fact, ...]:
    firm = found["per"].kind == "PER"
    parts = ((found["what"], found.get("of")), (found.get("more"), found.get("of_more")))
    return tuple(f.Grouped(what, _part(what), of, firm) for what, of in parts if what is not None)


def _part(item: Item) -> str:
    return item.says if item.kind == "PART" else ""


def by_key(found: Found) -> f.Sorted:
    direction = found.get("direction")
    return f.Sorted(_key(found), direction.says == "desc" if direction else None)


def ordered(found: Found) -> f.Sorted:
    return f.Sorted(_key(found), found["direction"].says == "desc" if "direction" in found else None)


def known(known: bool) -> Maker:
    return lambda found: f.Known(found["what"], known)


def not_flag_or_thing(found: Found) -> f.Fact:
    what = found["what"]
    if SLOTS["flag"](what) and not what.tables:
        return f.Known(what, known=False, truth=True)
    return f.Absent(what) if what.tables or what.roles else f.Known(what, known=False)


def narrowing(found: Found) -> f.Mentioned | None:
    of, what = found["of"], found["what"]
    tables = {link.table for link in of.tables} | {link.key.to_table for link in of.roles}
    near = any(link.column.table in tables for link in what.columns) and not of.columns
    return f.Mentioned(what, "their" in found, of) if near and not of.verbal and not what.verbal else None


def verb_most(found: Found) -> f.Ranked | None:
    """`earns the most`, `was lent most`."""
    what = found["what"]
    if what.tables and not what.verbal and not what.incomes:
        return None
    function = "" if what.columns else "sum" if what.incomes else "count"
    return f.Ranked(f.Key(what, function), found["most"].says == "desc")


def most_done(found: Found) -> tuple[f.Fact, ...] | None:
    """`the most visited towns`."""
    if not found["what"].tables:
        return None
    return f.Mentioned(found["of"]), ranked_entity(without(found, "of"))


def done_by(found: Found) -> tuple[f.Fact, ...] | None:
    """`written by women`, unless the verb is about an order."""
    if found["verb"].kind == "ORDER" and (found["what"].columns or not found["verb"].tables):
        return None
    return f.Mentioned(found["verb"]), f.Mentioned(found["what"])


def without(found: Found, name: str) -> Found:
    return {key: item for key, item in found.items() if key != name}


ADJECTIVAL = frozenset(("largest", "biggest", "smallest", "greatest"))


def vague_limit(found: Found) -> f.Ranked:
    return f.Ranked(None, True, limit(found), found["vague"].at)


def narrowed(maker: Maker) -> Maker:
    """The maker, for a thing and a property of it only."""
    return lambda found: maker(found) if narrowing(found) else None


def no_table(maker: Maker) -> Maker:
    """The maker, for what cannot be a table only."""
    return lambda found: None if found["what"].tables else maker(found)


def no_verb(maker: Maker) -> Maker:
    """The maker, for nouns only."""
    return lambda found: None if found["what"].verbal else maker(found)


def has(found: Found) -> f.Known:
    return f.Known(found["what"])


def true(found: Found) -> f.Known:
    return f.Known(found["what"], truth=True)


def adjective(found: Found) -> f.Compared:
    return f.Compared(found["what"], ">", (number_of(found["number"]),))


def adjective_average(found: Found) -> f.Compared:
    return f.Compared(found["what"], "average >")


def bare_of(found: Found) -> tuple[f.Fact, ...]:
    return f.Mentioned(found["of"]), compare(without(found, "of"))


def compared_itself(found: Found) -> f.Compared | None:
    """Not for `average price over 5`, which is about groups."""
    return None if "agg" in found else compare(found)


def equal(found: Found) -> f.Compared:
    return f.Compared(found["what"], "=", (number_of(found["number"]),))


def date_alone(found: Found) -> f.Dated | None:
    """A date without a word for it; a bare number may be something else."""
    return None if found["date"].kind == "NUMBER" and not found["date"].before else dated(found)


def most_of(found: Found) -> f.Ranked | None:
    """`the most visits`; the largest of things is not a number of them."""
    return None if found["most"].text.lower() in ADJECTIVAL else ranked_entity(found)


def first(found: Found) -> f.Ranked:
    return f.Ranked(None, found["first"].says == "desc", limit(found) or 1, found["first"].at)


def ordered_by(found: Found) -> f.Sorted | None:
    return ordered(found) if {"by", "of"} & set(found["order"].text.lower().split()) else None


def by_not_per(found: Found) -> f.Sorted | None:
    return by_key(found) if found["per"].kind == "BY" else None


def vague(found: Found) -> tuple[f.Fact, ...]:
    return vague_limit(found), f.Vague(found["vague"])


def income(found: Found) -> f.Measured:
    return f.Measured(f.Key(found["what"], "sum"))


def distinct(found: Found) -> f.Distinct:
    return f.Distinct(found["distinct"].at)


def also(found: Found) -> f.Mentioned:
    return f.Mentioned(found["what"], also=True)


def alphabetical(_: Found) -> f.Sorted:
    return f.Sorted(None, descending=False)
