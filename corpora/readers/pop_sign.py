"""PopSign ASL v1.0: clips of 250 isolated American signs, recorded with the selfie cameras of smartphones.

Form: poses or videos in folders named by part and sign, `train/<sign>/<clip>.pose`, `val/…` and `test/…`. The name of
the sign's folder is the text.
Source: signdata.cc.gatech.edu; sign-language-processing/datasets@d71f97f5, pop_sign.py.
"""

from __future__ import annotations

from pathlib import Path

from corpora.examples import Corpus, Example, Split
from corpora.readers.media import Media
from corpora.readers.tables import expand_split
from models.catalog import TAGGED_PROMPT


def read(root: Path, split: Split) -> Corpus:
    """Read the data set below a folder, its clips in the order of their signs and names.

    Args:
        root: holds the folders `train`, `val` and `test`.
        split: which part.
    Raises:
        FileMissingError: the part has no folder.
    """
    examples = [
        Example(
            id=f"{part}/{name}",
            path=file,
            text=sign,
            label=sign,
            split=part,
            spoken_language="en",
            sign_language="ase",
        )
        for part in expand_split(split)
        for name, file in sorted(Media.list_files(root, (part,)).names[0].items())
        # A file that lies outside the folders of signs has no text.
        if (sign := name.partition("/")[0]) != name
    ]
    return Corpus(
        name="pop_sign",
        root=root,
        examples=tuple(examples),
        prompt_pattern=TAGGED_PROMPT,
        features="signclip",
        licence="by the terms of signdata.cc.gatech.edu",
        source="signdata.cc.gatech.edu",
    )
