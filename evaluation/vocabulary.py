"""The vocabulary of a model: the texts that it learned, to which an evaluation may be limited."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from corpora.examples import Example
from corpora.readers.faults import find_encoding_fault
from evaluation.errors import VocabularyError

# Concepts with at most this many clips in pretraining are not in the vocabulary. The limit is the authors'.
RARE_COUNT = 20


def read_vocabulary(path: Path, *, over: int = RARE_COUNT) -> frozenset[str]:
    """Read the texts of a vocabulary from a file.

    Args:
        path: CSV with the columns text and count, as the authors' data_stat_sp_concept_dis.csv, or one text a line;
            UTF-8, with or without a byte order mark.
        over: texts of a CSV file with at most this count are left out. A plain list has no counts and is kept whole.
    Raises:
        VocabularyError: the file does not exist or is not UTF-8, a CSV file lacks these columns, or a count is not a
            whole number.
        OSError: the file cannot be read.
    """
    if not path.is_file():
        raise VocabularyError(
            f"there is no vocabulary {path}; the authors' table is brought by `python -m corpora fetch vocabulary`, or "
            "give another file, or DATASET:ROOT to count the texts of a data set's training part"
        )
    try:
        # Excel and other programs of Windows write a byte order mark, which is no part of the first text.
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise VocabularyError(str(find_encoding_fault(path))) from None
    with io.StringIO(content, newline="") as file:
        if path.suffix != ".csv":
            return frozenset(line.strip() for line in file if line.strip())
        rows = csv.DictReader(file)
        if not {"text", "count"} <= set(rows.fieldnames or ()):
            raise VocabularyError(f"{path} has the columns {rows.fieldnames}; it needs text and count")
        try:
            return frozenset(row["text"] for row in rows if int(row["count"]) > over)
        except (TypeError, ValueError) as error:
            raise VocabularyError(f"{path}, line {rows.line_num}: the count is not a whole number: {error}") from None


def find_common_texts(examples: Iterable[Example], *, over: int = RARE_COUNT) -> frozenset[str]:
    """Find the texts that more than `over` examples have, in any language."""
    counts = Counter(example.text for example in examples)
    return frozenset(text for text, count in counts.items() if count > over)


def keep_vocabulary(examples: Sequence[Example], vocabulary: frozenset[str]) -> list[Example]:
    """Keep the examples whose text is in the vocabulary.

    Raises:
        VocabularyError: no example has such a text.
    """
    kept = [example for example in examples if example.text in vocabulary]
    if not kept:
        raise VocabularyError(
            f"none of {len(examples)} examples has a text of the vocabulary ({len(vocabulary)} texts)"
        )
    return kept
