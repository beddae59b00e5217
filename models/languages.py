"""Sign languages: the tags SignCLIP was trained with, their names and aliases, and the prompts built from them.

Source: configs/languages.csv; Spreadthesign's tags with the clips each had in pretraining.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from models.catalog import ModelConfig
from models.errors import UnknownLanguageError

TABLE = Path(__file__).resolve().parent.parent / "configs" / "languages.csv"
DEFAULT_SPOKEN = "en"
# A tag may never close its own bracket or smuggle another: letters, digits and hyphens only (BCP 47's alphabet).
_TAG = re.compile(r"^[A-Za-z0-9]{2,8}(-[A-Za-z0-9]{1,8})*$")


@dataclass(frozen=True)
class SignLanguage:
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
            UnknownLanguageError: none is called that; the message names the nearest.
        """
        tag = self._tags.get(word.strip().casefold())
        if tag is None:
            near = get_close_matches(word.strip().casefold(), self._tags, n=1)
            hint = f"; the nearest is {near[0]!r} ({self._tags[near[0]]})" if near else ""
            raise UnknownLanguageError(f"there is no sign language {word!r}{hint}; GET /api/languages lists them")
        return self._languages[tag]


@lru_cache(maxsize=1)
def read_languages() -> LanguageTable:
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


@dataclass(frozen=True)
class Prompt:
    text: str
    warnings: tuple[str, ...] = ()


def build_prompt(
    config: ModelConfig, text: str, *, sign_language: str | None = None, spoken_language: str | None = None
) -> Prompt:
    """Write a text the way the model saw it in training, `<en> <ase> house`.

    Args:
        config: the model; its `prompt` is the pattern, its `sign_languages` what it was trained on.
        sign_language: tag, alias or name; None and no spoken_language: the text as it is.
        spoken_language: tag of the text's own language, "en" if only sign_language is given.
    Returns:
        The prompt, with a warning for each tag the model has not seen.
    Raises:
        UnknownLanguageError: sign_language is in no table, or spoken_language is no language tag.
    """
    if sign_language is None and spoken_language is None:
        return Prompt(text)
    if sign_language is None:
        raise UnknownLanguageError("spoken_language needs a sign_language beside it: prompts name both")
    language = read_languages().resolve(sign_language)
    spoken = DEFAULT_SPOKEN if spoken_language is None else spoken_language.strip().lower()
    if not _TAG.match(spoken):
        raise UnknownLanguageError(f"spoken_language {spoken_language!r} is no language tag such as 'en'")
    warnings = []
    for kind, tag, known in (
        ("sign language", language.tag, config.sign_languages),
        ("spoken language", spoken, config.spoken_languages),
    ):
        if known is not None and tag not in known:
            warnings.append(f"model {config.name!r} has not seen the {kind} tag <{tag}> in training")
    prompt = fill_prompt(config.prompt, text, sign_language=language.tag, spoken_language=spoken)
    return Prompt(prompt, tuple(warnings))


def fill_prompt(pattern: str, text: str, *, sign_language: str, spoken_language: str | None = None) -> str:
    """Write a text and its languages into a prompt pattern, without judging them.

    A data set may have tags of its own. They are written as they are: to a model they are one more word.

    Args:
        pattern: may name {spoken}, {sign}, {language} and {text}; see ModelConfig.prompt.
        sign_language: tag, alias or name, or a tag that no table has.
        spoken_language: tag of the text's own language; None or empty: "en".
    """
    try:
        language = read_languages().resolve(sign_language)
        sign, name = language.tag, language.name
    except UnknownLanguageError:
        sign = name = sign_language
    spoken = spoken_language or DEFAULT_SPOKEN
    normalized = spoken.strip().lower()
    spoken = normalized if _TAG.match(normalized) else spoken
    return pattern.format(spoken=spoken, sign=sign, language=name, text=text)
