"""Finds in a recording, as the files that annotation tools read: WebVTT, ELAN's EAF and CSV."""

import csv
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

Form = Literal["json", "vtt", "eaf", "csv"]
FORMS: tuple[Form, ...] = get_args(Form)
_TIER = "signs"
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


def write_eaf(finds: Sequence[Find], *, media: str | None = None, written: datetime | None = None) -> str:
    """Write finds as ELAN's EAF 3.0, with one tier.

    Args:
        media: name of the video beside the file, which ELAN then opens; None: there is none.
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
        kind = {"MEDIA_URL": media, "MIME_TYPE": "video/*"}
        ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", kind)
    order = ElementTree.SubElement(root, "TIME_ORDER")
    tier = ElementTree.Element("TIER", {"LINGUISTIC_TYPE_REF": "default-lt", "TIER_ID": _TIER})
    for number, find in enumerate(finds):
        slots = [f"ts{2 * number + 1}", f"ts{2 * number + 2}"]
        for slot, seconds in zip(slots, (find.start_s, find.end_s), strict=True):
            value = {"TIME_SLOT_ID": slot, "TIME_VALUE": str(round(1000 * seconds))}
            ElementTree.SubElement(order, "TIME_SLOT", value)
        annotation = ElementTree.SubElement(
            ElementTree.SubElement(tier, "ANNOTATION"),
            "ALIGNABLE_ANNOTATION",
            {"ANNOTATION_ID": f"a{number + 1}", "TIME_SLOT_REF1": slots[0], "TIME_SLOT_REF2": slots[1]},
        )
        ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = _remove_controls(find.label)
    root.append(tier)
    ElementTree.SubElement(
        root,
        "LINGUISTIC_TYPE",
        {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"},
    )
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _format_time(seconds: float) -> str:
    milliseconds = round(1000 * seconds)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"


def _remove_controls(text: str) -> str:
    """Remove what XML 1.0 cannot hold at all."""
    return "".join(letter for letter in text if letter in "\t\n\r" or (letter >= " " and letter not in "\ufffe\uffff"))
