"""A manifest for your own data: one row a signed item, as CSV, JSON lines or parquet.

Required columns: path (a pose, an array, or a video with its .pose file beside it, relative to the manifest's folder)
and text. Optional columns: id, start_s, end_s, spoken_language, sign_language (tag, name or alias), label (what the
statistics count as one sign; by default the text), split (train, val or test) and signer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corpora.errors import FileMissingError, RowError, SplitMissingError
from corpora.examples import (
    SPLITS,
    Corpus,
    Example,
    Skipped,
    Split,
)
from corpora.readers.faults import skip_faults
from corpora.readers.folders import describe_folder, resolve_path
from corpora.readers.media import find_pose_beside, is_video
from corpora.readers.tables import (
    Row,
    find_file,
    read_csv,
    read_jsonl,
    read_parquet,
)
from models.catalog import TAGGED_PROMPT
from models.errors import UnknownLanguageError
from models.languages import read_languages

NAMES = ("manifest.csv", "manifest.jsonl", "manifest.parquet")
COLUMNS = ("path", "text")
_KNOWN = (*COLUMNS, "id", "start_s", "end_s", "spoken_language", "sign_language", "label", "split", "signer")


def read(root: Path, split: Split) -> Corpus:
    """Read a manifest.

    Args:
        root: the file, or a folder with a `manifest.csv`, `manifest.jsonl` or `manifest.parquet`.
        split: which part; a row without a split belongs to "all" only.
    Raises:
        CorpusError: a table is missing or wrong; see corpora.examples.Reader.
    """
    path = root if root.is_file() else find_file(root, NAMES)
    folder = path.parent
    examples: list[Example] = []
    skipped: list[Skipped] = []
    seen: dict[str, int] = {}
    for row in _read_rows(path, skipped):
        with skip_faults(skipped), _translate_faults(row):
            example = _make_example(row, folder)
            if example.id in seen:
                raise RowError(path, row.line, f"line {seen[example.id]} has the same id, {example.id!r}")
            seen[example.id] = row.line
            if split not in ("all", example.split):
                continue
            if example.path.is_file():
                examples.append(example)
            else:
                skipped.append(Skipped(example.id, f"no file {row['path']}{_describe_place(example.path)}"))
    if not examples and not skipped and split != "all":
        raise SplitMissingError(f"{path} has no rows of split {split!r}")
    return Corpus(
        name="manifest",
        root=folder,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT,
        features="signclip",
        licence="its owner's",
        source=path.name,
        skipped=tuple(skipped),
    )


@contextmanager
def _translate_faults(row: Row) -> Iterator[None]:
    """Report a path that cannot even be looked up, such as one that is too long, as a fault of its row."""
    try:
        yield
    except OSError as error:
        raise RowError(row.path, row.line, f"the file cannot be looked up: {error.strerror}") from None


def _read_rows(path: Path, skipped: list[Skipped]) -> Iterator[Row]:
    if path.suffix == ".csv":
        return read_csv(path, COLUMNS, skipped=skipped)
    if path.suffix in (".jsonl", ".ndjson"):
        return read_jsonl(path, COLUMNS, plain=_KNOWN, skipped=skipped)
    if path.suffix == ".parquet":
        return read_parquet(path, COLUMNS, plain=_KNOWN)
    raise FileMissingError(f"{path} is not a manifest: its name must end in .csv, .jsonl or .parquet")


def _make_example(row: Row, folder: Path) -> Example:
    start_s, end_s = parse_span(row)
    part = row.get("split") or "all"
    if part not in SPLITS:
        raise RowError(row.path, row.line, f"split is {part!r}, not one of {', '.join(SPLITS)}")
    path, text = row.require("path"), row.require("text")
    return Example(
        id=row.get("id") or f"{path}{name_span(start_s, end_s)}",
        path=_find_pose(resolve_path(folder, path)),
        text=text,
        label=row.get("label") or text,
        split=part,
        spoken_language=row.get("spoken_language"),
        sign_language=_resolve_sign_language(row),
        start_s=start_s,
        end_s=end_s,
        signer=row.get("signer"),
    )


def parse_span(row: Row) -> tuple[float | None, float | None]:
    """Return where a row's item starts and ends in its file, in seconds; None where the row does not say.

    Raises:
        RowError: the start or the end is no number, or the span is empty.
    """
    start_s, end_s = row.parse_number("start_s"), row.parse_number("end_s")
    if (start_s is not None and start_s < 0) or (end_s is not None and end_s <= (start_s or 0)):
        raise RowError(row.path, row.line, f"the span from {start_s} to {end_s} seconds is empty")
    return start_s, end_s


def name_span(start_s: float | None, end_s: float | None) -> str:
    """Name a span within its file, so that items of one file have different ids; "" where the item is all of it.

    Args:
        start_s, end_s: in seconds; None: at the file's start, at its end.
    """
    if start_s is None and end_s is None:
        return ""
    return f"@{_write_seconds(start_s or 0.0)}-{'' if end_s is None else _write_seconds(end_s)}"


def _write_seconds(seconds: float) -> str:
    """Write a number with as many digits as it takes to read the same number again."""
    short = f"{seconds:g}"
    return short if float(short) == seconds else repr(seconds)


def _describe_place(path: Path) -> str:
    """Say what lies where a missing file's folder should be; "" where the folder is there."""
    if path.parent.is_dir():
        return ""
    nearest = next((parent for parent in path.parents if parent.is_dir()), path.parent)
    return f"; {describe_folder(nearest)}"


def _find_pose(path: Path) -> Path:
    """Find the pose that lies beside a video; without one, return the file itself."""
    return (find_pose_beside(path) or path) if is_video(path) else path


def _resolve_sign_language(row: Row) -> str | None:
    word = row.get("sign_language")
    if word is None:
        return None
    try:
        return read_languages().resolve(word).tag
    except UnknownLanguageError:
        return word  # Users may have a sign language, and a tag, that our table does not have.
