"""Finds as files of annotation tools, where finds overlap."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from search.annotations import Find, write_eaf

LOCATION = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
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
    # To ELAN, a slot that stands earlier in the list is earlier, also where times are equal.
    place = {slot.attrib["TIME_SLOT_ID"]: number for number, slot in enumerate(root.iter("TIME_SLOT"))}
    for tier in root.iter("TIER"):
        ends = [place[one.attrib[f"TIME_SLOT_REF{end}"]] for one in tier.iter("ALIGNABLE_ANNOTATION") for end in (1, 2)]
        assert ends == sorted(set(ends))
    ids = [one.attrib["ANNOTATION_ID"] for one in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(set(ids)) == len(ids)
    assert {kind.attrib["LINGUISTIC_TYPE_ID"] for kind in root.iter("LINGUISTIC_TYPE")} == {"default-lt"}


# Of EAFv3.0.xsd, for each element that is written: attributes that it must have, that it may have, and its children.
SCHEMA = {
    "ANNOTATION_DOCUMENT": ("DATE AUTHOR VERSION", f"FORMAT {LOCATION}", "HEADER TIME_ORDER TIER LINGUISTIC_TYPE"),
    "HEADER": ("", "MEDIA_FILE TIME_UNITS", "MEDIA_DESCRIPTOR"),
    "MEDIA_DESCRIPTOR": ("MEDIA_URL MIME_TYPE", "RELATIVE_MEDIA_URL", ""),
    "TIME_ORDER": ("", "", "TIME_SLOT"),
    "TIME_SLOT": ("TIME_SLOT_ID", "TIME_VALUE", ""),
    "TIER": ("TIER_ID LINGUISTIC_TYPE_REF", "", "ANNOTATION"),
    "ANNOTATION": ("", "", "ALIGNABLE_ANNOTATION"),
    "ALIGNABLE_ANNOTATION": ("ANNOTATION_ID TIME_SLOT_REF1 TIME_SLOT_REF2", "", "ANNOTATION_VALUE"),
    "ANNOTATION_VALUE": ("", "", ""),
    "LINGUISTIC_TYPE": ("LINGUISTIC_TYPE_ID", "TIME_ALIGNABLE GRAPHIC_REFERENCES", ""),
}


def test_the_file_keeps_to_the_schema():
    finds = [Find(0, 1, "a", 0.5), Find(0.5, 2, "b", 0.5), Find(2, 2, "c", 0.5)]
    root = ElementTree.fromstring(write_eaf(finds, media=Path("film.mp4"), folder=Path()))
    for element in root.iter():
        required, optional, children = map(str.split, SCHEMA[element.tag])
        assert {*required} <= element.attrib.keys() <= {*required, *optional}
        order = [*dict.fromkeys(child.tag for child in element)]
        assert order == [name for name in children if name in order]
    ids = [
        value for one in root.iter() for name, value in one.attrib.items() if name in ("TIME_SLOT_ID", "ANNOTATION_ID")
    ]
    assert len(ids) == len(set(ids)) == 9
    tiers = [tier.attrib["TIER_ID"] for tier in root.iter("TIER")]
    assert len(tiers) == len(set(tiers)) == 2
    (kind,) = root.iter("LINGUISTIC_TYPE")
    assert {tier.attrib["LINGUISTIC_TYPE_REF"] for tier in root.iter("TIER")} == {kind.attrib["LINGUISTIC_TYPE_ID"]}
    assert datetime.fromisoformat(root.attrib["DATE"]).tzinfo is not None
    # No annotation is empty.
    assert (2000, 2001, "c") in read_tiers(root)["signs"]


def test_what_xml_cannot_hold_is_left_out():
    label = "a\0b\x1bc\ud83dd\ufffe & <é\U0001f91f>"
    text = write_eaf([Find(0, 1, label, 0.5)], media=Path("/a\udce4\x01.mp4"))
    root = ElementTree.fromstring(text.encode())
    assert [one.text for one in root.iter("ANNOTATION_VALUE")] == ["abcd & <é\U0001f91f>"]
    assert [one.attrib["MEDIA_URL"] for one in root.iter("MEDIA_DESCRIPTOR")] == ["file:///a.mp4"]
