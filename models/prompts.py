"""Prompts: texts in the form that a model saw in training, and what is wrong with the tags in a text."""

import re
from dataclasses import dataclass

from models.catalog import ModelConfig
from models.errors import UnknownLanguageError
from models.languages import read_languages

DEFAULT_SPOKEN = "en"
# Letters, digits and hyphens only (BCP 47's alphabet), so that a tag cannot close its bracket or bring another one.
_TAG = re.compile(r"^[A-Za-z0-9]{2,8}(-[A-Za-z0-9]{1,8})*$")
# The tag of a spoken language begins with two or three letters (BCP 47); names of languages have more.
_SPOKEN_TAG = re.compile(r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")
# A tag in a prompt stands in angle brackets.
_WRITTEN_TAG = re.compile(r"<([A-Za-z0-9]{2,8}(?:-[A-Za-z0-9]{1,8})*)>")
# Tags of the names that users write for spoken languages.
# Source: ISO 639-1.
_SPOKEN_NAMES = {
    "english": "en", "german": "de", "deutsch": "de", "french": "fr", "italian": "it", "spanish": "es",
    "portuguese": "pt", "dutch": "nl", "swedish": "sv", "danish": "da", "finnish": "fi", "polish": "pl",
    "czech": "cs", "russian": "ru", "ukrainian": "uk", "greek": "el", "turkish": "tr", "chinese": "zh",
    "japanese": "ja", "arabic": "ar", "hindi": "hi",
}  # fmt: skip


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
    """Find tags in a text, such as <asl>, that the model never saw in training.

    Returns:
        A sentence for each tag; no sentence if the model does not record its languages.
    """
    if "<" not in text or config.sign_languages is None or config.spoken_languages is None:
        return []
    known = {*config.sign_languages, *config.spoken_languages}
    faults = []
    for tag in dict.fromkeys(_WRITTEN_TAG.findall(text)):
        if tag not in known:
            meant = read_languages().find(tag)
            hint = f"; {meant.name} is <{meant.tag}>" if meant is not None and meant.tag != tag else ""
            faults.append(f"<{tag}> is not a tag of model {config.name!r}{hint}")
    return faults


def find_doubled_tags(config: ModelConfig, prompt: str) -> list[str]:
    """Find the kinds of tags that a prompt has more than once; returns a sentence for each kind."""
    tags = _WRITTEN_TAG.findall(prompt)
    faults: list[str] = []
    if len(tags) < 2:
        return faults
    for kind, known in (("sign language", config.sign_languages), ("spoken language", config.spoken_languages)):
        written = [f"<{tag}>" for tag in tags if tag in (known or ())]
        if len(written) > 1:
            faults.append(f"{len(written)} {kind} tags ({', '.join(written)}); in training every prompt had one")
    return faults


def fill_prompt(pattern: str, text: str, *, sign_language: str, spoken_language: str | None = None) -> str:
    """Write a text and its languages into a prompt pattern, without checking them.

    A data set may have tags of its own. They are written as they are, because to a model they are further words.

    Args:
        pattern: may name {spoken}, {sign}, {language} and {text}; see ModelConfig.prompt.
        text: the text without tags.
        sign_language: tag, alias or name, or a tag of the data set's own.
        spoken_language: tag of the text's own language; None or empty: "en".
    """
    language = read_languages().find(sign_language)
    sign, name = (sign_language, sign_language) if language is None else (language.tag, language.name)
    spoken = spoken_language or DEFAULT_SPOKEN
    normalized = spoken.strip().lower()
    spoken = normalized if _TAG.match(normalized) else spoken
    return pattern.format(spoken=spoken, sign=sign, language=name, text=text)
