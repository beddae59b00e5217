"""Finds as files of annotation tools, where finds overlap."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from search.annotations import Find, write_eaf

Span = tuple[int, int]
SPANS = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 200)).map(lambda span: (span[0], sum(span))))


def write(spans: list[Span]) -> ElementTree.Element:
    finds = [Find(start / 1000, end / 1000, f"sign {row}", 0.5) for row, (start, end) in enumerate(spans)]
    return ElementTree.fromstring(write_eaf(finds))


def read_tiers(root: ElementTree.Element) -> dict[str, list[tuple[int, int, str]]]:
    """Read start and end in milliseconds and the label of the annotations of each tier."""
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in root.iter("TIME_SLOT")}
    return {
        tier.attrib["TIER_ID"]: [
            (slots[one.attrib["TIME_SLOT_REF1"]], slots[one.attrib["TIME_SLOT_REF2"]], one[0].text or "")
            for one in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        for tier in root.iter("TIER")
    }


def test_finds_that_overlap_are_on_tiers_of_their_own():
    tiers = read_tiers(write([(0, 1000), (800, 1500), (900, 1200), (1000, 1700)]))
    assert tiers == {
        "signs": [(0, 1000, "sign 0"), (1000, 1700, "sign 3")],
        "signs-2": [(800, 1500, "sign 1")],
        "signs-3": [(900, 1200, "sign 2")],
    }


def test_a_recording_without_finds_has_an_empty_tier():
    assert read_tiers(write([])) == {"signs": []}


@given(SPANS)
def test_annotations_of_a_tier_never_overlap_and_none_is_lost(spans: list[Span]):
    root = write(spans)
    tiers = read_tiers(root)
    for placed in tiers.values():
        for (_, end, _), (start, _, _) in pairwise(placed):
            assert end <= start
    found = [one for placed in tiers.values() for one in placed]
    assert Counter(found) == Counter((start, end, f"sign {row}") for row, (start, end) in enumerate(spans))
    deepest = max((sum(start <= at < end for start, end in spans) for at, _ in spans), default=1)
    assert len(tiers) == deepest
    times = [int(slot.attrib["TIME_VALUE"]) for slot in root.iter("TIME_SLOT")]
    assert times == sorted(times)
    ids = [one.attrib["ANNOTATION_ID"] for one in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(set(ids)) == len(ids)
    assert {kind.attrib["LINGUISTIC_TYPE_ID"] for kind in root.iter("LINGUISTIC_TYPE")} == {"default-lt"}
