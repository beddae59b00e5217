"""Sign languages: the tags that SignCLIP was trained with, their names and aliases, and what other words may mean.

Source: configs/languages.csv; Spreadthesign's tags with the clips each had in pretraining.
"""

import csv
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from models.errors import UnknownLanguageError

TABLE = Path(__file__).resolve().parent.parent / "configs" / "languages.csv"
# Words of at most this many letters are abbreviations, such as ISL. Several languages share their letters, so a similar
# spelling means nothing.
_ABBREVIATION_CHARS = 5
# Users write a spoken language for the sign languages of its countries, although none of these is named after it.
_COUNTRIES_OF = {
    "english": ("ase", "bfi", "asf", "nzs"),
    "arabic": ("jos",),
    "hindi": ("ins",),
    "urdu": ("pks",),
}
# Sign languages that no model here was trained on, by the words that users write for them. Source: ISO 639-3.
_ABSENT = {
    "isl": "Irish (isg) or Israeli (isr) Sign Language",
    "ksl": "Korean (kvk) or Kenyan (xki) Sign Language",
    "irish": "Irish Sign Language (isg)",
    "israeli": "Israeli Sign Language (isr)",
    "korean": "Korean Sign Language (kvk)",
    "kenyan": "Kenyan Sign Language (xki)",
    "dutch": "Sign Language of the Netherlands (dse)",
    "ngt": "Sign Language of the Netherlands (dse)",
    "vgt": "Flemish Sign Language (vgt)",
    "flemish": "Flemish Sign Language (vgt)",
}


@dataclass(frozen=True)
class SignLanguage:
    """A sign language and the number of its clips in SignCLIP's pretraining."""

    tag: str
    name: str
    aliases: tuple[str, ...]
    pretraining_clips: int


class LanguageTable(Mapping[str, SignLanguage]):
    """Sign languages by tag; `resolve` also takes names and aliases, in any case."""

    def __init__(self, languages: list[SignLanguage]) -> None:
        self._languages = {language.tag: language for language in languages}
        self._tags: dict[str, str] = {}
        for language in languages:
            for word in (language.tag, language.name, *language.aliases):
                self._tags.setdefault(word.casefold(), language.tag)

    def __getitem__(self, tag: str) -> SignLanguage:
        return self._languages[tag]

    def __iter__(self) -> Iterator[str]:
        return iter(self._languages)

    def __len__(self) -> int:
        return len(self._languages)

    def resolve(self, word: str) -> SignLanguage:
        """Find a sign language by tag ("ase"), alias ("asl") or name ("American Sign Language").

        Raises:
            UnknownLanguageError: no sign language is called that; the message names the most similar one.
        """
        language = self.find(word)
        if language is None:
            raise UnknownLanguageError(
                f"there is no sign language {word!r}{self._suggest(word.strip())}. GET /api/languages lists them"
            )
        return language

    def find_fault(self, word: str | None) -> str | None:
        """Say why a word names no sign language; None where it does, or where there is no word."""
        try:
            if word is not None:
                self.resolve(word)
        except UnknownLanguageError as error:
            return str(error)
        return None

    def find(self, word: str) -> SignLanguage | None:
        """Find a sign language as `resolve` does; None if no sign language is called that."""
        tag = self._tags.get(word.strip().casefold())
        return None if tag is None else self._languages[tag]

    def _suggest(self, word: str) -> str:
        """Say what a word may mean: a language with this word or initials in its name, or one of similar spelling."""
        wanted = word.casefold()
        meant = [language for language in self.values() if wanted in _split_name(language.name)]
        if not meant and wanted in _COUNTRIES_OF:
            meant = [self._languages[tag] for tag in _COUNTRIES_OF[wanted]]
        if not meant and len(word) <= _ABBREVIATION_CHARS:
            meant = [language for language in self.values() if wanted == _take_initials(language.name)]
        named = [f"{language.tag!r} ({language.name})" for language in meant]
        if wanted in _ABSENT:
            named.append(f"{_ABSENT[wanted]}, which no model here knows")
        if named:
            spoken = f"; {word} is a spoken language" if wanted in _COUNTRIES_OF else ""
            return f"{spoken}; it may mean {', '.join(named)}"
        if len(word) <= _ABBREVIATION_CHARS:
            return ""
        near = get_close_matches(wanted, self._tags, n=1, cutoff=0.8)
        return f"; did you mean {self._languages[self._tags[near[0]]].name!r} ({self._tags[near[0]]})" if near else ""


@lru_cache(maxsize=1)
def read_languages() -> LanguageTable:
    """Read the table of sign languages, once for each process."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return LanguageTable(
            [
                SignLanguage(
                    tag=row["tag"],
                    name=row["name"],
                    aliases=tuple(row["aliases"].split()),
                    pretraining_clips=int(row["pretraining_clips"]),
                )
                for row in csv.DictReader(file)
            ]
        )


def _split_name(name: str) -> list[str]:
    words = re.split(r"[^a-z]+", name.casefold())
    return [word for word in words if word not in ("sign", "language", "international")]


def _take_initials(name: str) -> str:
    return "".join(word[0] for word in name.casefold().split())


def warn_of_language(word: str | None) -> None:
    """Print a warning to standard error where the option of a command names no sign language that models know.

    Entries and rows may keep any word, but texts get no prompt of it, and filters find no other name for it.
    """
    fault = read_languages().find_fault(word)
    if fault is not None:
        print(f"warning: --sign-language: {fault}", file=sys.stderr)
