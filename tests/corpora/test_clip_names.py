"""What a clip's place below a folder says about it."""

from pathlib import PurePath

import pytest

from corpora.clip_names import name_clip


@pytest.mark.parametrize(
    ("place", "clip_id", "gloss"),
    [
        ("HOUSE/one.pose", "HOUSE-one", "HOUSE"),
        ("train/HOUSE/one.pose.zst", "train-HOUSE-one", "HOUSE"),
        ("house_02.mp4", "house_02", "house"),
        ("12.pose", "12", "12"),
    ],
)
def test_the_folder_that_a_clip_lies_in_is_its_gloss(place, clip_id, gloss):
    assert name_clip(PurePath(place)) == (clip_id, gloss)
