from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from poses import headers, read


@pytest.fixture(autouse=True)
def no_layouts(monkeypatch):
    monkeypatch.setattr(headers, "_layouts", ())


def test_a_layout_is_parsed_once_whatever_the_image_size(make_pose, to_bytes):
    first, second = make_pose(), make_pose()
    second.header.dimensions.width = 33
    layouts = [read(to_bytes(pose)).header.components for pose in (first, second)]
    assert all(one is other for one, other in zip(*layouts, strict=True))
    assert len(headers._layouts) == 1


def test_remembered_layouts_are_few_and_small(make_pose, to_bytes):
    for number in range(40):
        read(to_bytes(make_pose(1, components={f"HAND_{number}": ["WRIST"]})))
    assert len(headers._layouts) == 16
    before = headers._layouts
    read(to_bytes(make_pose(1, components={"FACE": [f"a point with a long name, number {n}" for n in range(1000)]})))
    assert headers._layouts == before


def test_a_layout_that_begins_like_another_is_not_taken_for_it(make_pose, to_bytes):
    short, longer = {"HAND": ["WRIST"]}, {"HAND": ["WRIST"], "OTHER_HAND": ["WRIST"]}
    for components in (short, longer, short):
        pose = read(to_bytes(make_pose(2, components=components)))
        assert [component.name for component in pose.header.components] == list(components)


def test_many_threads_read_many_layouts(make_pose, to_bytes):
    poses_written = [
        make_pose(2, components={f"HAND_{number}": ["WRIST", "THUMB"]}, seed=number) for number in range(25)
    ]
    files = [to_bytes(pose) for pose in poses_written] * 8
    with ThreadPoolExecutor(8) as threads:
        for number, pose in enumerate(threads.map(read, files)):
            assert pose.header.components[0].name == f"HAND_{number % 25}"
            np.testing.assert_array_equal(pose.body.data.data, poses_written[number % 25].body.data.data)
    assert len(headers._layouts) == 16
