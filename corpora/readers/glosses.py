"""Glosses as words: a gloss names a sign, and carries marks that tell its variants apart."""

from __future__ import annotations

import re
import string

_VARIANT = re.compile(r"_\d+$")


def clean_asl_citizen(gloss: str) -> str:
    """`REMEMBER2` becomes `remember`; a gloss of digits alone stays.

    Source: SignCLIPMetaProcessor, ``preprocess_gloss``, J22Melody/fairseq, dsprocessor_sign.py.
    """
    lowered = gloss.strip().lower()
    return lowered.rstrip(string.digits) or lowered


def clean_sem_lex(gloss: str) -> str:
    """`think_chin_2` becomes `think chin`; a gloss that is nothing but a variant's mark stays.

    Source: as clean_asl_citizen. Spaces at the ends are the table's: both `30_minute ` and `30_minute` are in it.
    """
    stripped = gloss.strip()
    return _VARIANT.sub("", stripped).replace("_", " ").strip() or stripped


def clean_wlasl(gloss: str) -> str:
    """WLASL's glosses are lower-case words already, with variants numbered beside them; only underscores go."""
    return clean_sem_lex(gloss.lower())
