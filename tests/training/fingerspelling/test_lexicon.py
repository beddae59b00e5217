"""Reading the lexicon: what is there, and that it is read as the service reads a posted clip."""

import shutil

import numpy as np
import pytest
import torch

from corpora.errors import FileMissingError
from corpora.readers.fingerspelling_lexicon import DUPLICATE, find_installed_folder
from models.hand_geometry import split_hands
from poses import FeatureOptions, extract, read
from training.fingerspelling.lexicon import (
    FEATURE_KIND,
    find_depth_corrections,
    read_lexicon,
)


@pytest.fixture(scope="module")
def clips():
    return read_lexicon()


def test_counts_are_the_protocols(clips):
    assert len(clips) == 600
    assert len({clip.sign for clip in clips}) == 19
    assert DUPLICATE not in {clip.sign for clip in clips}
    assert sum(clip.is_basic for clip in clips) == 410


def test_features_are_as_served(clips):
    pose = read(clips[0].path.read_bytes())
    np.testing.assert_array_equal(clips[0].features, extract(pose, FEATURE_KIND))


def test_mirrored_pictures_show_the_other_hand():
    italian = frozenset({"ise"})
    left_handed = read_lexicon(languages=italian)
    mirrored = read_lexicon(languages=italian, options=FeatureOptions(flip="always"))
    for clips, shown in ((left_handed, 0), (mirrored, 1)):
        features = np.concatenate([clip.features for clip in clips])[None]
        seen = split_hands(torch.from_numpy(features))[1][0]
        assert seen[:, shown].float().mean() > 0.9
        assert not seen[:, 1 - shown].any()


def test_depth_lacks_the_width_of_the_picture(clips):
    lacking = find_depth_corrections(clips)
    assert {round(float(value), 2) for value in lacking} == {1.4, 3.84}
    assert {clip.sign for clip, value in zip(clips, lacking, strict=True) if value > 2} == {"sgg"}


def test_an_incomplete_lexicon_is_refused(tmp_path):
    shutil.copytree(find_installed_folder(), tmp_path / "lexicon")
    next((tmp_path / "lexicon" / "ase").glob("*.pose")).unlink()
    with pytest.raises(FileMissingError, match="1 clips are missing, such as ase/"):
        read_lexicon(tmp_path / "lexicon", languages=frozenset({"ise"}))
