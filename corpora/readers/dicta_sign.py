"""The Dicta-Sign lexicon: about 1,000 concepts in British, German, Greek and French Sign Language.

Form: the pages of the concepts as the portal shows them, `cs/cs_<number>.html`, each with four entries: a title in the
language of the country, the sign language's abbreviation, a video `<language>/<number>.webm`, a gloss and HamNoSys. The
first entry is the British one, so its title is the English name of the concept. Poses are `poses/<number>_<LANGUAGE>`,
such as `12_GSL.pose`, or lie beside the videos.
Source: sign-lang.uni-hamburg.de/dicta-sign/portal; sign-language-processing/datasets@d71f97f5, dicta_sign.py. Texts are
English and tags are those of SignCLIPMetaProcessor, J22Melody/fairseq@25cdb172, dsprocessor.py, for identification.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from corpora.errors import FileMissingError, RowError
from corpora.examples import Corpus, Example, Skipped, Split
from corpora.readers.faults import find_encoding_fault, skip_faults
from corpora.readers.folders import describe_folder
from corpora.readers.media import Media
from corpora.readers.tables import require_undivided
from models.catalog import TAGGED_PROMPT

SIGN_LANGUAGES = {"BSL": "bfi", "DGS": "gsg", "GSL": "gss", "LSF": "fsl"}
_PAGE = re.compile(r"cs_(\d+)\.html")
# The parts of an entry on a page, in the portal's own class names.
_TITLE = re.compile(r'title-c">\s*(.*?)\s*<', re.DOTALL)
_LANGUAGE = re.compile(r'title-l1">\s*([A-Z]+)')
_VIDEO = re.compile(r'<source[^>]*\bsrc="[./]*([^"]+\.webm)"')
_GLOSS = re.compile(r'gloss">\s*(.*?)\s*</div', re.DOTALL)
# What the portal names where a concept has no video.
_NO_VIDEO = "na"


@dataclass(frozen=True)
class _Entry:
    title: str
    language: str
    video: str
    gloss: str | None


def read(root: Path, split: Split) -> Corpus:
    """Read the entries of all concepts, in the order of the concepts' numbers.

    Args:
        root: holds `cs` with the pages, and the folder of poses, or the portal's folders of videos.
        split: must be "all"; the lexicon is not divided.
    Raises:
        CorpusError: a page is missing or wrong; see corpora.examples.Reader.
    """
    require_undivided("Dicta-Sign", split)
    media = Media.list_files(root, ("poses", "pose", "dicta_sign", "."))
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for number, page in _list_pages(root / "cs"):
        with skip_faults(skipped):
            entries = list(_read_entries(page))
            for entry in entries:
                stem = Path(entry.video).stem
                name = f"{stem}_{entry.language}"
                if stem == _NO_VIDEO:
                    skipped.append(Skipped(f"{number}_{entry.language}", "the portal has no video"))
                    continue
                file = media.find(name) or media.find(entry.video)
                if file is None:
                    skipped.append(Skipped(name, f"no pose of that name and no {entry.video}"))
                    continue
                examples.append(
                    Example(
                        id=name,
                        path=file,
                        text=entries[0].title,
                        label=number,
                        split="all",
                        spoken_language="en",
                        sign_language=SIGN_LANGUAGES[entry.language],
                        gloss=entry.gloss,
                    )
                )
    return Corpus(
        name="dicta_sign",
        root=root,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT,
        features="signclip",
        licence="research, by the portal's terms",
        source="sign-lang.uni-hamburg.de/dicta-sign/portal",
        skipped=tuple(skipped),
    )


def _list_pages(folder: Path) -> list[tuple[str, Path]]:
    found = [(match[1], path) for path in folder.glob("*.html") if (match := _PAGE.fullmatch(path.name))]
    if not found:
        raise FileMissingError(f"{folder} has no pages cs_<number>.html; {describe_folder(folder.parent)}")
    return sorted(found, key=lambda page: int(page[0]))


def _read_entries(page: Path) -> Iterator[_Entry]:
    try:
        text = page.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise find_encoding_fault(page) from None
    starts = [match.start() for match in _TITLE.finditer(text)]
    if not starts:
        raise RowError(page, 1, "the page has no entry of a concept")
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        part, line = text[start:end], text.count("\n", 0, start) + 1
        title, video = _require(_TITLE, part, page, line, "title"), _require(_VIDEO, part, page, line, "video")
        language = _require(_LANGUAGE, part, page, line, "sign language")
        if language not in SIGN_LANGUAGES:
            raise RowError(page, line, f"the language is {language!r}, not one of {', '.join(SIGN_LANGUAGES)}")
        gloss = _GLOSS.search(part)
        yield _Entry(title, language, video, unescape(gloss[1]) if gloss else None)


def _require(pattern: re.Pattern[str], part: str, page: Path, line: int, what: str) -> str:
    match = pattern.search(part)
    if match is None or not match[1]:
        raise RowError(page, line, f"the entry has no {what}")
    return unescape(match[1])
