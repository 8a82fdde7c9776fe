"""Words of questions and of names: tokens, singulars and roots."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

import msgspec

TokenKind = Literal["word", "number", "date", "quoted", "mark"]

TOKEN = re.compile(
    r"""(?P<quoted>"[^"]*"|“[^”]*”|(?<!\w)'[^']*'(?!\w)|‘[^’]*’(?!\w))
      | (?P<date>\d{4}-\d{2}(?:-\d{2})?(?![\w-]))
      | (?P<number>[$€£]?\d+(?:,\d{3})*(?:\.\d+)?(?!\w))(?:%|€)?
      | (?P<word>[^\W\d_]{1,2}[+\#-]+(?!\w)|[^\W_]+(?:['’.&][^\W_]+)*)
      | (?P<mark>[^\s\w]|_)""",
    re.VERBOSE,
)
CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")

SINGULARS = {
    "people": "person", "children": "child", "men": "man", "women": "woman", "feet": "foot", "mice": "mouse",
    "teeth": "tooth", "geese": "goose", "movies": "movie", "cookies": "cookie", "series": "series",
        "species": "species",
    "analyses": "analysis", "diagnoses": "diagnosis", "crises": "crisis", "theses": "thesis", "bases": "base",
    "wives": "wife", "lives": "life", "knives": "knife", "shelves": "shelf", "leaves": "leaf", "has": "has", "is": "is",
    "was": "was", "does": "does", "this": "this", "news": "news", "gas": "gas", "bus": "bus", "yes": "yes",
        "its": "its",
    "matrices": "matrix", "indices": "index", "criteria": "criterion", "data": "data", "less": "less", "ties": "tie",
    "caches": "cache", "axes": "axis", "shoes": "shoe", "canvas": "canvas", "christmas": "christmas", "sales": "sale",
    "heroes": "hero", "potatoes": "potato", "tomatoes": "tomato", "vs": "vs", "houses": "house", "horses": "horse",
    "courses": "course", "nurses": "nurse", "purchases": "purchase", "warehouses": "warehouse", "causes": "cause",
    "expenses": "expense", "licenses": "license", "responses": "response", "cases": "case", "phrases": "phrase",
    "databases": "database", "releases": "release", "leases": "lease", "purposes": "purpose", "diseases": "disease",
    "doses": "dose", "uses": "use", "increases": "increase", "universes": "universe", "verses": "verse",
    "exercises": "exercise", "premises": "premise", "franchises": "franchise", "prizes": "prize", "sizes": "size",
}  # fmt: skip
ROOTS = {
    "sold": "sell", "sale": "sell", "bought": "buy", "paid": "pay", "spent": "spend", "taught": "teach",
        "wrote": "write",
    "written": "write", "flew": "fly", "flown": "fly", "flight": "fly", "born": "birth", "died": "death",
        "dead": "death",
    "deceased": "death", "admitted": "admit", "admission": "admit", "admissions": "admit", "made": "make",
    "taken": "take", "took": "take", "given": "give", "gave": "give", "lent": "lend", "sent": "send", "built": "build",
    "grew": "grow", "drove": "drive", "driven": "drive", "sang": "sing", "sung": "sing", "song": "song", "led": "lead",
    "leader": "lead", "won": "win", "winner": "win", "lost": "lose", "founded": "found", "station": "station",
    "department": "department", "apartment": "apartment", "payment": "pay", "employee": "employ",
        "publication": "publish", "subscription": "subscribe", "prescription": "prescribe",
    "composition": "compose", "description": "describe", "begun": "begin", "began": "begin", "chosen": "choose",
    "held": "hold", "met": "meet", "ran": "run", "shown": "show", "state": "state",
    "statement": "statement", "element": "element", "moment": "moment", "comment": "comment", "document": "document",
    "instrument": "instrument", "experiment": "experiment", "actor": "actor", "master": "master", "number": "number",
    "order": "order", "member": "member", "chapter": "chapter", "quarter": "quarter", "letter": "letter",
    "user": "user", "weather": "weather", "matter": "matter", "center": "center", "meter": "meter", "water": "water",
    "paper": "paper", "power": "power", "computer": "computer", "character": "character",
    "color": "color", "doctor": "doctor", "author": "author", "section": "section", "session": "session",
    "region": "region", "location": "location", "located": "located", "position": "position",
    "nation": "nation", "version": "version", "question": "question", "mission": "mission", "division": "division",
    "university": "university", "universal": "universal", "general": "general", "generation": "generation",
    "capital": "capital", "hospital": "hospital", "animal": "animal", "journal": "journal", "festival": "festival",
    "material": "material", "medal": "medal", "signal": "signal", "meal": "meal", "metal": "metal",
    "rating": "rate", "rated": "rate", "rate": "rate", "building": "building", "string": "string", "spring": "spring",
}  # fmt: skip
ENDINGS = ("ization", "ations", "ation", "ments", "ment", "ings", "ing", "ions", "ion", "ance", "ence", "ures", "ure")
ENDINGS_2 = ("als", "al", "ors", "or", "ers", "er", "ied", "ed", "ies", "es", "e", "s")


class Token(msgspec.Struct, frozen=True):
    """A piece of a question; `word` is lower case, without accents, in the singular."""

    text: str
    word: str
    kind: TokenKind = "word"

    @property
    def capital(self) -> bool:
        """Written with a capital, as names are."""
        return self.text[:1].isupper()


def tokens(text: str) -> tuple[Token, ...]:
    """The words, numbers, dates and quoted texts of `text`, in their order; possessive endings are dropped."""
    return tuple(_token(found) for found in TOKEN.finditer(text))


def _token(found: re.Match[str]) -> Token:
    kind = found.lastgroup
    text = found[str(kind)]
    match kind:
        case "quoted":
            return Token(text[1:-1].strip(), plain(text[1:-1].strip()), "quoted")
        case "date":
            return Token(text, text, "date")
        case "number":
            return Token(text, text.lstrip("$€£").replace(",", ""), "number")
        case "mark":
            return Token(text, text, "mark")
    bare = re.sub(r"['’]s$", "", text)
    return Token(bare, singular(plain(bare)))


def plain(text: str) -> str:
    """Lower case without accents."""
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in spread if not unicodedata.combining(letter))


def singular(word: str) -> str:
    """The singular of a lower-case word; a word that is none stays as it is."""
    if word in SINGULARS:
        return SINGULARS[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zzes", "uses")):
        return word[:-2]
    return word[:-1]


def root(word: str) -> str:
    """What a word shares with its relatives: enrolled and enrollment, hired and hire, departing and departure."""
    if word in ROOTS:
        return ROOTS[word]
    return _trimmed(_without_ending(_without_ending(word, ENDINGS), ENDINGS_2))


def _without_ending(word: str, endings: tuple[str, ...]) -> str:
    for ending in endings:
        if word.endswith(ending) and len(word) - len(ending) >= 4 - (ending in ("ed", "e", "ing")):
            return word[: -len(ending)]
    return word


def _trimmed(word: str) -> str:
    """`shipp` as `ship`, and a last `i` dropped."""
    if len(word) > 3 and word[-1] == word[-2]:
        return word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] == "i" else word


def name_words(name: str) -> tuple[str, ...]:
    """The words of a table's or column's name, in the singular: `OrderItems` and `order_items` alike."""
    return tuple(singular(plain(part)) for part in CAMEL.findall(name)) or (plain(name),)


def text_words(text: str) -> tuple[str, ...]:
    """The words of any text, in the singular, for comparing."""
    return tuple(token.word for token in tokens(text) if token.kind != "mark")
