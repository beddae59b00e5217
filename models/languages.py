"""Sign languages: the tags that SignCLIP was trained with, their names and aliases, and the prompts made of them.

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
# Letters, digits and hyphens only (BCP 47's alphabet), so that a tag cannot close its bracket or bring another one.
_TAG = re.compile(r"^[A-Za-z0-9]{2,8}(-[A-Za-z0-9]{1,8})*$")


# A language has two or three letters (BCP 47); names of languages have more.
_SPOKEN_TAG = re.compile(r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")
# Source: ISO 639-1.
_SPOKEN_NAMES = {
    "english": "en", "german": "de", "deutsch": "de", "french": "fr", "italian": "it", "spanish": "es",
    "portuguese": "pt", "dutch": "nl", "swedish": "sv", "danish": "da", "finnish": "fi", "polish": "pl",
    "czech": "cs", "russian": "ru", "ukrainian": "uk", "greek": "el", "turkish": "tr", "chinese": "zh",
    "japanese": "ja", "arabic": "ar", "hindi": "hi",
}  # fmt: skip
# A tag as prompts write it, in angle brackets.
_WRITTEN_TAG = re.compile(r"<([A-Za-z0-9]{2,8}(?:-[A-Za-z0-9]{1,8})*)>")
# Short words are abbreviations, as ISL: several languages share their letters, so spelling says nothing.
_ABBREVIATION_CHARS = 5
# Sign languages of countries where a language is spoken that names none of them; users write the spoken one.
_COUNTRIES_OF = {
    "english": ("ase", "bfi", "asf", "nzs"),
    "arabic": ("jos",),
    "hindi": ("ins",),
    "urdu": ("pks",),
}

# Languages that no model here was trained on, by words that users write for them. Source: ISO 639-3.
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


def _name_words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z]+", name.casefold()) if word not in ("sign", "language", "international")]


def _initials(name: str) -> str:
    return "".join(word[0] for word in name.casefold().split())


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
                f"there is no sign language {word!r}{self._suggest(word.strip())}; GET /api/languages lists them"
            )
        return language

    def find(self, word: str) -> SignLanguage | None:
        """Find a sign language as `resolve` does; None: there is none."""
        tag = self._tags.get(word.strip().casefold())
        return None if tag is None else self._languages[tag]

    def _suggest(self, word: str) -> str:
        """Say what a word may mean: languages by a word of their name or by initials, else by spelling."""
        wanted = word.casefold()
        meant = [language for language in self.values() if wanted in _name_words(language.name)]
        if not meant and wanted in _COUNTRIES_OF:
            meant = [self._languages[tag] for tag in _COUNTRIES_OF[wanted]]
        if not meant and len(word) <= _ABBREVIATION_CHARS:
            meant = [language for language in self.values() if wanted == _initials(language.name)]
        named = [f"{language.tag!r} ({language.name})" for language in meant]
        if wanted in _ABSENT:
            named.append(f"{_ABSENT[wanted]}, which no model here knows")
        if named:
            spoken = f"; {word} is a spoken language" if wanted in _COUNTRIES_OF else ""
            return f"{spoken}; it may mean {', '.join(named)}"
        if len(word) <= _ABBREVIATION_CHARS:
            return ""
        near = get_close_matches(wanted, self._tags, n=1, cutoff=0.8)
        return f"; did you mean {self._languages[self._tags[near[0]]].name!r} ({self._tags[near[0]]})?" if near else ""


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


@dataclass(frozen=True)
class Prompt:
    """A text as a model takes it, and what its user should know about it."""

    text: str
    warnings: tuple[str, ...] = ()


def build_prompt(
    config: ModelConfig, text: str, *, sign_language: str | None = None, spoken_language: str | None = None
) -> Prompt:
    """Write a text in the form that the model saw in training, such as `<en> <ase> house`.

    Args:
        config: of the model. `prompt` is the pattern; `sign_languages` and `spoken_languages` were seen in training.
        text: the text without tags.
        sign_language: tag, alias or name. If neither language is given, the prompt is the text as it is.
        spoken_language: tag of the text's own language; "en" if only sign_language is given.
    Returns:
        The prompt, with a warning for each tag that the model has not seen.
    Raises:
        UnknownLanguageError: the table does not have sign_language, spoken_language is no language tag, or
            spoken_language is given alone.
    """
    if sign_language is None and spoken_language is None:
        return Prompt(text)
    if sign_language is None:
        raise UnknownLanguageError("spoken_language needs a sign_language beside it, because prompts name both")
    language = read_languages().resolve(sign_language)
    spoken = DEFAULT_SPOKEN if spoken_language is None else spoken_language.strip().lower()
    if not _SPOKEN_TAG.match(spoken):
        near = _SPOKEN_NAMES.get(spoken)
        hint = f"; did you mean {near!r}?" if near else " such as 'en'"
        raise UnknownLanguageError(f"spoken_language {spoken_language!r} is not a language tag{hint}")
    warnings = []
    for kind, tag, known in (
        ("sign language", language.tag, config.sign_languages),
        ("spoken language", spoken, config.spoken_languages),
    ):
        if known is not None and tag not in known:
            warnings.append(f"model {config.name!r} has not seen the {kind} tag <{tag}> in training")
    prompt = fill_prompt(config.prompt, text, sign_language=language.tag, spoken_language=spoken)
    return Prompt(prompt, tuple(warnings))


def find_unknown_tags(config: ModelConfig, text: str) -> list[str]:
    """Find tags in a text, such as <asl>, that the model never saw in training: a sentence for each."""
    if config.sign_languages is None or config.spoken_languages is None:
        return []
    known = {*config.sign_languages, *config.spoken_languages}
    faults = []
    for tag in dict.fromkeys(_WRITTEN_TAG.findall(text)):
        if tag not in known:
            meant = read_languages().find(tag)
            hint = f"; {meant.name} is <{meant.tag}>" if meant is not None and meant.tag != tag else ""
            faults.append(f"<{tag}> is no tag of model {config.name!r}{hint}")
    return faults


def find_doubled_tags(config: ModelConfig, prompt: str) -> list[str]:
    """Find tags of one kind that a prompt has more than once: a sentence for each kind."""
    tags = _WRITTEN_TAG.findall(prompt)
    faults = []
    for kind, known in (("sign language", config.sign_languages), ("spoken language", config.spoken_languages)):
        written = [f"<{tag}>" for tag in tags if tag in (known or ())]
        if len(written) > 1:
            faults.append(f"{len(written)} {kind} tags ({', '.join(written)}); in training every prompt had one")
    return faults


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
