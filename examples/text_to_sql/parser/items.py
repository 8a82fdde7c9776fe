"""A question as a row of items: phrases of asking, mentions of the schema, numbers, dates, quoted texts.

Words that carry no meaning of their own are kept with the next item (`before`), because some of them still help:
`from` and `to` tell two keys apart, `a` makes a property a condition, `their` makes it an output.
"""

from __future__ import annotations

import calendar
import difflib
import re
from datetime import date, timedelta
from functools import lru_cache

import msgspec

from .linking import ColumnLink, IncomeLink, Link, RoleLink, TableLink, ValueLink, Vocabulary
from .thesaurus import (
    ADJECTIVES,
    ASKING,
    BARE,
    COMPARING,
    IRREGULAR,
    LIGHT,
    MOMENTS,
    MONTHS,
    NUMBERS,
    STOP,
    TIMES,
    UNITS,
    VAGUE,
    Phrase,
)
from .words import Token, plain, tokens

LONGEST = 7
YEARS = range(1000, 2201)
IN_TIME = frozenset(["in", "during", "from", "to", "of", "for", "year", "since", "until", "by", "on", "and"])
TIMELY = frozenset(["after", "before", "since", "until", "later", "earlier", "prior"])
SHARED_NOUN = re.compile(r"\bfirst and (?=last names?\b)", re.IGNORECASE)
QUARTER = re.compile(r"q([1-4])")
DECADE = re.compile(r"(\d{3}0)s")
SAME_MEANING = 0.15
BARE_FORMS = {"new": "recent", "pricey": "expensive", "wealthy": "rich", "distant": "far"}


class Period(msgspec.Struct, frozen=True):
    """Days from `start` up to, but not including, `end`; or a month of any year when `month` is set."""

    start: str = ""
    end: str = ""
    month: int = 0


class Item(msgspec.Struct, frozen=True):
    """A piece of the question. `kind` is a phrase's kind, or MENTION, NUMBER, DATE, QUOTED, UNKNOWN."""

    kind: str
    text: str
    says: str = ""
    links: tuple[Link, ...] = ()
    before: tuple[str, ...] = ()
    number: float | None = None
    period: Period | None = None
    dated: bool = False
    at: int = 0

    @property
    def likely(self) -> tuple[Link, ...]:
        """The links whose score is near the best one's."""
        return tuple(link for link in self.links if link.score >= self.links[0].score - SAME_MEANING)

    @property
    def tables(self) -> tuple[TableLink, ...]:
        """The tables that it may mean."""
        return tuple(link for link in self.likely if isinstance(link, TableLink))

    @property
    def roles(self) -> tuple[RoleLink, ...]:
        """The keys whose part it may name."""
        return tuple(link for link in self.likely if isinstance(link, RoleLink))

    @property
    def columns(self) -> tuple[ColumnLink, ...]:
        """The columns that it may mean."""
        return tuple(link for link in self.likely if isinstance(link, ColumnLink))

    @property
    def incomes(self) -> tuple[IncomeLink, ...]:
        """The products of units and price that it may mean."""
        return tuple(link for link in self.likely if isinstance(link, IncomeLink))

    @property
    def values(self) -> tuple[ValueLink, ...]:
        """The texts of columns that it may mean."""
        return tuple(link for link in self.likely if isinstance(link, ValueLink))

    @property
    def verbal(self) -> bool:
        """A form of a verb, said of something instead of naming it."""
        formed = self.text.lower().endswith(("ed", "ing")) or self.text.lower() in IRREGULAR
        return formed and bool(self.links) and self.links[0].score < 0.99


@lru_cache(maxsize=1)
def _phrases() -> dict[tuple[str, ...], Phrase]:
    every = {tuple(phrase.split()): Phrase("VAGUE", phrase) for phrase in VAGUE}
    every |= {(word,): Phrase("BARE", BARE_FORMS.get(word, word)) for word in BARE}
    every |= ASKING | COMPARING | MOMENTS
    for adjective, (most, more) in ADJECTIVES.items():
        every |= {tuple(said.split()): Phrase("SUPER", adjective) for said in most.split("|")}
        every |= {tuple(said.split()): Phrase("COMPARE_ADJ", adjective) for said in more.split("|")}
    return every


def items(question: str, words: Vocabulary) -> tuple[Item, ...]:
    """The items of a question, in their order."""
    return Reading(tokens(SHARED_NOUN.sub("first name and ", question)), words).read()


class Reading:
    """One pass over the tokens, always taking the longest piece that is understood."""

    def __init__(self, said: tuple[Token, ...], words: Vocabulary) -> None:
        self.said = said
        self.words = words
        self.found: list[Item] = []
        self.skipped: list[str] = []

    def read(self) -> tuple[Item, ...]:
        """All items."""
        at = 0
        while at < len(self.said):
            at += self._take(at)
        return tuple(self._dated(n) for n in range(len(self.found)))

    def _take(self, at: int) -> int:
        """Read the piece at `at`; how many tokens it has."""
        readers = (self._date, self._number, self._quoted, self._phrase, self._dropped, self._part_of_name)
        for reader in readers:
            size = reader(at)
            if size:
                return size
        return self._unknown(at)

    def _add(self, kind: str, at: int, size: int, **fields: object) -> int:
        text = " ".join(token.text for token in self.said[at : at + size])
        item = Item(kind, text, before=tuple(self.skipped), at=len(self.found), **fields)  # type: ignore[arg-type]
        self.found.append(item)
        self.skipped = []
        return size

    def _date(self, at: int) -> int:
        size, period = period_at(self.said, at)
        return self._add("DATE", at, size, period=period, dated=True) if period else 0

    def _number(self, at: int) -> int:
        token = self.said[at]
        value = float(token.word) if token.kind == "number" else NUMBERS.get(token.word)
        if value is None:
            return 0
        times = TIMES.get(self.said[at + 1].word, 1) if at + 1 < len(self.said) else 1
        year = token.kind == "number" and token.text.isdigit() and int(token.text) in YEARS and times == 1
        period = _year(int(token.text)) if year else None
        return self._add("NUMBER", at, 1 if times == 1 else 2, number=value * times, period=period)

    def _quoted(self, at: int) -> int:
        token = self.said[at]
        if token.kind != "quoted":
            return 0
        links = tuple(
            link for link in self.words.links(tuple(t.word for t in tokens(token.text))) if isinstance(link, ValueLink)
        )
        return self._add("QUOTED", at, 1, links=links, says=token.text)

    def _phrase(self, at: int) -> int:
        """The longest phrase of asking or mention; both together when they are the same words."""
        for size in range(min(LONGEST, len(self.said) - at), 0, -1):
            piece = self.said[at : at + size]
            if any(token.kind in ("quoted", "date") for token in piece) or (piece[-1].kind == "mark" and size > 1):
                continue
            asked = _phrases().get(tuple(plain(token.text).replace("’", "'") for token in piece))
            links = self._links(piece)
            if size == 1 and self._is_unit(piece[0]) and (not links or self._measured_already()):
                return 0
            if asked or links:
                kind, says = asked or ("MENTION", "")
                return self._add(kind, at, size, says=says, links=links)
        return 0

    def _links(self, piece: tuple[Token, ...]) -> tuple[Link, ...]:
        if len(piece) == 1 and piece[0].kind != "word":
            return ()
        return self.words.links(tuple(token.word for token in piece if token.word != "-"), piece[0])

    def _is_unit(self, token: Token) -> bool:
        return bool(self.found) and self.found[-1].kind == "NUMBER" and not self.skipped and token.text.lower() in UNITS

    def _measured_already(self) -> bool:
        """Whether it was said before the number what the number is of."""
        near = self.found[-4:-1]
        return any(i.kind == "COMPARE_ADJ" or any(link.column.kind == "number" for link in i.columns) for i in near)

    def _dropped(self, at: int) -> int:
        """A word without meaning of its own, or a unit after its number."""
        token = self.said[at]
        if token.word in STOP or token.text.lower() in STOP | LIGHT or self._is_unit(token):
            self.skipped.append(token.word)
            return 1
        return 0

    def _part_of_name(self, at: int) -> int:
        """Words with capital letters, or after `named`, that are part of a value."""
        named = bool(self.found) and self.found[-1].kind in ("NAMED", "LIKE")
        size = 0
        while at + size < len(self.said) and (self._in_name(at + size) or (named and size == 0)):
            size += 1
        while size and self.said[at + size - 1].kind == "mark":
            size -= 1
        words = tuple(token.word for token in self.said[at : at + size] if token.kind != "mark")
        links = self.words.parts(words) if words else ()
        return self._add("MENTION", at, size, links=links) if links else 0

    def _in_name(self, at: int) -> bool:
        """A word with a capital letter, or the point of an abbreviation between two of them."""
        token = self.said[at]
        after = self.said[at + 1] if at + 1 < len(self.said) else token
        return token.capital or (token.text in (".", "-") and after.capital)

    def _unknown(self, at: int) -> int:
        token = self.said[at]
        if self._negated_flag(at):
            return 1
        near = (
            difflib.get_close_matches(token.word, sorted(self.words.spellings()), 1, 0.8) if len(token.word) > 3 else []
        )
        return self._add("UNKNOWN", at, 1, says=near[0] if near else "")

    def _negated_flag(self, at: int) -> bool:
        """`inactive`, where there is a column `active`."""
        word = self.said[at].word
        for head in ("in", "un", "non", "dis", "im"):
            links = self.words.links((word.removeprefix(head),)) if word.startswith(head) else ()
            if any(isinstance(link, ColumnLink) and link.column.kind == "flag" for link in links):
                self._add("NOT", at, 1)
                self._add("MENTION", at, 1, links=links)
                return True
        return False

    def _dated(self, n: int) -> Item:
        """The item, with a number marked as a year when it is said like one."""
        item = self.found[n]
        if item.period is None or item.dated:
            return item
        previous = self.found[n - 1] if n else None
        timely = bool(IN_TIME & set(item.before)) or (previous is not None and _timely(previous))
        return msgspec.structs.replace(item, dated=timely)


def _timely(item: Item) -> bool:
    words = set(plain(item.text).split())
    dates = any(link.column.kind in ("date", "year") for link in item.columns)
    return bool(words & TIMELY) or dates or item.kind in ("PART", "BETWEEN") or item.period is not None


def period_at(said: tuple[Token, ...], at: int) -> tuple[int, Period | None]:
    """The dates that begin at a token: how many tokens, and which days."""
    token = said[at]
    rest = [other.word for other in said[at + 1 : at + 4]]
    if token.kind == "date":
        return 1, _iso(token.text)
    if DECADE.fullmatch(token.text.lower()):
        first = int(token.text[:4])
        return 1, Period(f"{first}-01-01", f"{first + 10}-01-01")
    if QUARTER.fullmatch(token.word) and rest and _is_year(rest[0]):
        return 2, _quarter(int(rest[0]), int(token.word[1]))
    if token.word in MONTHS:
        return _month_at(token, rest)
    if token.kind == "number" and rest and rest[0] in MONTHS:
        month = MONTHS.index(rest[0]) + 1
        return (3, _day(int(rest[1]), month, token.word)) if rest[1:] and _is_year(rest[1]) else (1, None)
    return 1, None


def _month_at(token: Token, rest: list[str]) -> tuple[int, Period | None]:
    month = MONTHS.index(token.word) + 1
    if rest and _is_year(rest[0]):
        return 2, _month(int(rest[0]), month)
    if len(rest) > 1 and rest[0] == "of" and _is_year(rest[1]):
        return 3, _month(int(rest[1]), month)
    if len(rest) > 2 and rest[1] == "," and _is_year(rest[2]):
        return 4, _day(int(rest[2]), month, rest[0])
    if len(rest) > 1 and rest[0].isdigit() and _is_year(rest[1]):
        return 3, _day(int(rest[1]), month, rest[0])
    return 1, Period(month=month) if token.capital and not (rest and rest[0].isdigit()) else None


def _is_year(word: str) -> bool:
    return word.isdigit() and int(word) in YEARS


def _year(year: int) -> Period:
    return Period(f"{year:04}-01-01", f"{year + 1:04}-01-01")


def _month(year: int, month: int) -> Period:
    return Period(f"{year:04}-{month:02}-01", f"{year + month // 12:04}-{month % 12 + 1:02}-01")


def _quarter(year: int, quarter: int) -> Period:
    return Period(_month(year, quarter * 3 - 2).start, _month(year, quarter * 3).end)


def _day(year: int, month: int, day: str) -> Period | None:
    if not day.isdigit() or not 1 <= int(day) <= calendar.monthrange(year, month)[1]:
        return None
    first = date(year, month, int(day))
    return Period(first.isoformat(), (first + timedelta(days=1)).isoformat())


def _iso(text: str) -> Period | None:
    year, month, *day = (int(part) for part in text.split("-"))
    if not 1 <= year <= 9000 or not 1 <= month <= 12:
        return None
    return _day(year, month, str(day[0])) if day else _month(year, month)
