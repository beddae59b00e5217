"""From glosses to words. A gloss names a sign and has marks that distinguish the sign's variants."""

from __future__ import annotations

import re
import string

_VARIANT = re.compile(r"_\d+$")


def clean_asl_citizen(gloss: str) -> str:
    """Turn `REMEMBER2` into `remember`. A gloss of digits alone is kept.

    Source: SignCLIPMetaProcessor, ``preprocess_gloss``, J22Melody/fairseq, dsprocessor_sign.py.
    """
    lowered = gloss.strip().lower()
    return lowered.rstrip(string.digits) or lowered


def clean_sem_lex(gloss: str) -> str:
    """Turn `think_chin_2` into `think chin`. A gloss that is only the mark of a variant is kept.

    Source: as clean_asl_citizen. Spaces at the ends are removed: the table has both `30_minute ` and `30_minute`.
    """
    stripped = gloss.strip()
    return _VARIANT.sub("", stripped).replace("_", " ").strip() or stripped


def clean_wlasl(gloss: str) -> str:
    """Replace underscores by spaces. WLASL's glosses are lower-case words; its variants are in another column."""
    return clean_sem_lex(gloss.lower())
