"""The registry of data sets: each name and its reader."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from corpora.errors import CorpusUnknownError
from corpora.examples import Corpus, Reader, Split
from corpora.readers import (
    asl_citizen,
    asl_signs,
    autsl,
    bobsl,
    chicago_fs_wild,
    dicta_sign,
    fingerspelling_lexicon,
    how2sign,
    manifest,
    pop_sign,
    rwth_fingerspelling,
    sem_lex,
    signsuisse,
    spreadthesign,
    wlasl,
)

# The default folder of all data sets.
DATA = Path("data")

_RWTH_ARRAYS = {
    # The authors' folders are feat_rwthfs_s3d and i3d_feature. The 512 averages are computed while reading.
    "s3d": ("s3d_feature", "feat_rwthfs_s3d", "s3d"),
    "i3d": ("i3d_feature", "i3d"),
    "i3d_512": ("i3d_feature", "i3d"),
}

CORPORA: Mapping[str, Reader] = MappingProxyType(
    {
        "rwth_fingerspelling": rwth_fingerspelling.read,
        **{
            f"rwth_fingerspelling_{kind}": partial(
                rwth_fingerspelling.read, name=f"rwth_fingerspelling_{kind}", folders=folders, features=kind
            )
            for kind, folders in _RWTH_ARRAYS.items()
        },
        "asl_signs": asl_signs.read,
        **{
            f"asl_signs_{subset}": partial(asl_signs.read, name=f"asl_signs_{subset}", features=f"islr_{subset}")
            for subset in ("no_face", "full_face", "selected_face")
        },
        "pop_sign": pop_sign.read,
        "spreadthesign": spreadthesign.read,
        "spreadthesign_all_texts": partial(spreadthesign.read, name="spreadthesign_all_texts", texts_in=None),
        "asl_citizen": asl_citizen.read,
        "asl_citizen_glosses": partial(asl_citizen.read, name="asl_citizen_glosses", clean=False),
        "sem_lex": sem_lex.read,
        "sem_lex_glosses": partial(sem_lex.read, name="sem_lex_glosses", clean=False),
        "wlasl": wlasl.read,
        **{f"wlasl_{count}": partial(wlasl.read, name=f"wlasl_{count}", glosses=count) for count in (100, 300, 1000)},
        "autsl": autsl.read,
        "autsl_turkish": partial(autsl.read, name="autsl_turkish", spoken="tr"),
        "signsuisse": signsuisse.read,
        "how2sign": how2sign.read,
        "chicago_fs_wild": chicago_fs_wild.read,
        "bobsl": bobsl.read,
        "dicta_sign": dicta_sign.read,
        "fingerspelling_lexicon": fingerspelling_lexicon.read,
        "manifest": manifest.read,
    }
)
"""Readers by name. A longer name, such as asl_signs_full_face, is the same data with other features or texts."""


def read_corpus(name: str, root: Path, split: Split = "all") -> Corpus:
    """Read a data set, or one of its parts.

    Args:
        name: a key of CORPORA.
        root: the data set's folder. The reader of the data set says what the folder must contain.
        split: "train", "val", "test" or "all".
    Raises:
        CorpusUnknownError: there is no data set of that name.
        CorpusError: the data set's tables are missing or wrong.
    """
    if name not in CORPORA:
        raise CorpusUnknownError(f"there is no data set {name!r}; use one of {', '.join(CORPORA)}")
    return CORPORA[name](root, split)
