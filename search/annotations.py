"""Finds in a recording, as the files that annotation tools read: WebVTT, ELAN's EAF and CSV."""

import csv
import io
import mimetypes
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

Form = Literal["json", "vtt", "eaf", "csv"]
FORMS: tuple[Form, ...] = get_args(Form)
_TIER = "signs"
# XML 1.0, production 2; a carriage return is legal, but parsers turn it into a line feed.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
_ELAN = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


@dataclass(frozen=True)
class Find:
    """What was found, and where.

    Attributes:
        start_s, end_s: seconds from the recording's start.
        label: what is signed there.
        score: how well it fits; higher is better.
        id: the nearest example, or None.
    """

    start_s: float
    end_s: float
    label: str
    score: float
    id: str | None = None


def write_vtt(finds: Sequence[Find]) -> str:
    """Write finds as WebVTT, which players show as subtitles."""
    lines = ["WEBVTT", ""]
    for find in finds:
        # An arrow or an empty line would end the cue's text early; & and < begin WebVTT's own marks.
        text = " ".join(find.label.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        lines += [f"{_format_time(find.start_s)} --> {_format_time(find.end_s)}", text, ""]
    return "\n".join(lines)


def write_csv(finds: Sequence[Find]) -> str:
    """Write finds as CSV with a header."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["start_s", "end_s", "label", "score"])
    for find in finds:
        writer.writerow([f"{find.start_s:.3f}", f"{find.end_s:.3f}", find.label, f"{find.score:.4f}"])
    return file.getvalue()


def write_eaf(
    finds: Sequence[Find], *, media: Path | None = None, folder: Path | None = None, written: datetime | None = None
) -> str:
    """Write finds as ELAN's EAF 3.0.

    Annotations of one tier may not overlap, so a find goes to the first tier that is free where it begins. All are on
    the tier `signs` unless finds overlap; the others are `signs-2`, `signs-3`, ….

    Args:
        media: the recording's video, which ELAN then opens; None: there is none.
        folder: where the file will be, so that ELAN finds the video when both are moved; None: not known.
        written: time of writing; None: now.
    """
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "SignCLIP",
            "DATE": (written or datetime.now(UTC)).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": _ELAN,
        },
    )
    header = ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    if media is not None:
        ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", _describe_media(media, folder))
    order = ElementTree.SubElement(root, "TIME_ORDER")
    spans = [_round_span(find) for find in finds]
    slots = _add_slots(order, spans)
    for tier_number, rows in enumerate(_arrange_in_tiers(spans), start=1):
        name = _TIER if tier_number == 1 else f"{_TIER}-{tier_number}"
        tier = ElementTree.SubElement(root, "TIER", {"LINGUISTIC_TYPE_REF": "default-lt", "TIER_ID": name})
        for row in rows:
            annotation = ElementTree.SubElement(
                ElementTree.SubElement(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                {"ANNOTATION_ID": f"a{row + 1}", "TIME_SLOT_REF1": slots[row][0], "TIME_SLOT_REF2": slots[row][1]},
            )
            ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = _remove_controls(finds[row].label)
    ElementTree.SubElement(
        root,
        "LINGUISTIC_TYPE",
        {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"},
    )
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _describe_media(media: Path, folder: Path | None) -> dict[str, str]:
    """Describe a video as ELAN does, which escapes nothing in its addresses of files."""
    kind, _ = mimetypes.guess_type(media.name)
    place = os.path.abspath(media)
    facts = {
        "MEDIA_URL": _remove_controls(f"file://{place}"),
        "MIME_TYPE": kind if kind is not None and kind.startswith("video/") else "video/*",
    }
    if folder is not None:
        way = os.path.relpath(place, os.path.abspath(folder))
        facts["RELATIVE_MEDIA_URL"] = _remove_controls(way if way.startswith("../") else f"./{way}")
    return facts


def _round_span(find: Find) -> tuple[int, int]:
    """Round a find to milliseconds; ELAN lets no annotation be empty."""
    start_ms = round(1000 * find.start_s)
    return start_ms, max(round(1000 * find.end_s), start_ms + 1)


def _add_slots(order: ElementTree.Element, spans: Sequence[tuple[int, int]]) -> list[list[str]]:
    """Add a slot for each end of each span, in the order of time; return the ids of the two of each span.

    Where one span ends as another begins, the end comes first: to ELAN, what stands earlier is earlier.
    """
    ends = sorted((time_ms, -end, row) for row, span in enumerate(spans) for end, time_ms in enumerate(span))
    slots = [["", ""] for _ in spans]
    for number, (time_ms, end, row) in enumerate(ends, start=1):
        slots[row][-end] = f"ts{number}"
        ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": f"ts{number}", "TIME_VALUE": str(time_ms)})
    return slots


def _arrange_in_tiers(spans: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Divide spans among as few tiers as they need, so that those of one tier do not overlap; one tier at least.

    Args:
        spans: start and end, in milliseconds.
    Returns:
        The rows of each tier, in the order of their starts.
    """
    tiers: list[list[int]] = [[]]
    for row in sorted(range(len(spans)), key=spans.__getitem__):
        free = next((tier for tier in tiers if not tier or spans[tier[-1]][1] <= spans[row][0]), None)
        if free is None:
            tiers.append([row])
        else:
            free.append(row)
    return tiers


def _format_time(seconds: float) -> str:
    milliseconds = round(1000 * seconds)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"


def _remove_controls(text: str) -> str:
    """Remove what XML 1.0 cannot hold at all."""
    return _NOT_IN_XML.sub("", text)
