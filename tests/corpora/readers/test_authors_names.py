"""Data sets whose files and folders have the names of the authors' own copies."""

import pytest

from corpora import read_corpus
from tests import miniatures

NAMES = {
    "spreadthesign": (miniatures.spreadthesign, {"spreadthesign.csv": "SperadTheSign.csv", "poses": "sign-mt-poses"}),
    "signsuisse": (
        miniatures.signsuisse,
        {
            **{f"{part}.csv": f"metadata_{name}.csv" for part, name in {"val": "train_val", "test": "test"}.items()},
            **{"train.csv": "metadata_train_train.csv", "poses": "mediapipe_new", "example_poses": "example_mediapipe"},
        },
    ),
    "rwth_fingerspelling": (miniatures.rwth, {"poses": "pose"}),
    "rwth_fingerspelling_s3d": (miniatures.rwth, {"s3d_feature": "feat_rwthfs_s3d"}),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_authors_names_are_taken(name, tmp_path):
    build, names = NAMES[name]
    root = build(tmp_path)
    ours = read_corpus(name, root)
    for own, theirs in names.items():
        (root / own).rename(root / theirs)
    corpus = read_corpus(name, root)
    assert len(corpus) > 2
    assert [(e.id, e.text, e.path.name) for e in corpus.examples] == [
        (e.id, e.text, e.path.name) for e in ours.examples
    ]
    assert len(corpus.skipped) == len(ours.skipped)
    assert all(example.path.is_file() for example in corpus.examples)
