"""RWTH German Fingerspelling Database: 35 gestures, 20 signers, two cameras; 1,400 clips.

Form: clips `<signer>_<gesture>_<sequence>_<camera>`, with camera `cam1` or `cam2`; lists of them in `train.txt`,
`val.txt` and `test.txt`; `gesture_ids.txt` with lines `1 = A`. The lists are the paper's, at 8:1:1, and
`python -m corpora fetch rwth_fingerspelling` brings them.
Source: www-i6.informatik.rwth-aachen.de/aslr/fingerspelling.php; RWTHFSMetaProcessor, J22Melody/fairseq,
dsprocessor_sign.py, and its data/rwthfs.
"""

from __future__ import annotations

from pathlib import Path

from corpora.errors import RowError
from corpora.examples import (
    Corpus,
    Example,
    Skipped,
    Split,
)
from corpora.readers.faults import note_fault
from corpora.readers.media import POSE_SUFFIXES, Media
from corpora.readers.tables import expand_split, find_file, read_lines, read_list

PROMPT = "Fingerspell the letter {text} in {language}."
# Camera 1 shows the dominant hand alone, in which a pose estimator finds no person. The paper leaves it out for poses.
HANDS_ONLY = "cam1"
# Share of the clips in each of validation and test. Source: data/rwthfs/split.py.
HELD_OUT = 0.1


def read(
    root: Path,
    split: Split,
    *,
    name: str = "rwth_fingerspelling",
    folders: tuple[str, ...] = ("poses", "pose", "videos"),
    features: str = "fingerclip",
) -> Corpus:
    """Read the data set below a folder.

    Args:
        root: holds the lists and a folder of clips.
        split: which part.
        name: of the data set; each kind of features has its own.
        folders: possible names of the folder of clips.
        features: the kind that the clips' files contain.
    Raises:
        CorpusError: a table is missing or wrong; see corpora.examples.Reader.
    """
    from_poses = features == "fingerclip"
    letters = read_letters(find_file(root, ("gesture_ids.txt",)))
    media = Media.list_files(root, folders, POSE_SUFFIXES if from_poses else (".npy",))
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for part in expand_split(split):
        path = root / f"{part}.txt"
        for line, clip in read_lines(path):
            pieces = clip.split("_")
            if len(pieces) != 4 or pieces[1] not in letters:
                problem = f"{clip!r} is not a name signer_gesture_sequence_camera of a known gesture"
                skipped.append(note_fault(RowError(path, line, problem)))
                continue
            file = media.find(clip)
            if from_poses and pieces[3] == HANDS_ONLY:
                skipped.append(Skipped(clip, "camera 1 shows the hand alone"))
            elif file is None:
                skipped.append(media.note_missing(clip, clip))
            else:
                signer, gesture = pieces[:2]
                examples.append(Example(clip, file, letters[gesture], gesture, part, "de", "gsg", signer=signer))
    return Corpus(
        name=name,
        root=root,
        examples=tuple(examples),
        prompt_pattern=PROMPT,
        features=features,
        licence="free to use with citation (Dreuw et al., 2006)",
        source="www-i6.informatik.rwth-aachen.de/aslr/fingerspelling.php",
        skipped=tuple(skipped),
    )


def read_letters(path: Path) -> dict[str, str]:
    """Read the letter of each gesture number: A to Z, SCH, Ä, Ö, Ü and 1 to 5.

    Raises:
        RowError: a line is not `number = letter`, or its number is not the number of the line.
    """
    letters: dict[str, str] = {}
    for line, text in enumerate(read_list(path), start=1):
        number, equals, letter = (piece.strip() for piece in text.partition("="))
        # The authors number gestures by line, so a file in another order would give every clip a wrong letter.
        if not equals or not letter or number != str(line):
            raise RowError(path, line, f"{text!r} is not '{line} = letter'")
        letters[number] = letter
    return letters
