"""The settings of the store: where it lies, and when it is compacted and indexed."""

import os
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from processes.settings import CONFIG, ProcessSettings

_ROOT = Path(__file__).resolve().parent.parent
# Object stores that LanceDB knows by the name alone, and a database of one's own.
SCHEMES = ("s3", "gs", "az", "postgresql")
# A hundred years. Threads and dates of Python take no infinite time.
_LONGEST_S = 3.2e9


def _check_scheme(place: str) -> str:
    scheme, separator, _ = place.partition("://")
    if separator and scheme not in SCHEMES:
        raise ValueError(f"{scheme}:// is no place for collections; name a folder, or {', '.join(SCHEMES)}://…")
    return place


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class SearchSettings(ProcessSettings):
    """How the store is kept.

    Attributes:
        dir: a folder, the address of a place in an object store (s3://, gs://, az://), or of a PostgreSQL database with
            pgvector (postgresql://).
        flat_rows: entries up to which a collection is searched without an index. LanceDB's index takes 98 s a 100,000
            vectors of 768 numbers to build; a product with 20,000 vectors takes some milliseconds.
        maintain_s: seconds between two looks for what can be compacted; 0: none, because another process does it.
        keep_s: seconds for which earlier versions of a collection are kept.
    """

    dir: Annotated[str, Field(min_length=1), AfterValidator(_check_scheme)] = str(_ROOT / "data" / "search")
    flat_rows: Annotated[int, Field(ge=256)] = 20_000
    maintain_s: Annotated[float, Field(ge=0, le=_LONGEST_S)] = 60.0
    keep_s: Annotated[float, Field(ge=60, le=_LONGEST_S)] = 86_400.0

    @classmethod
    def from_environment(cls, **values: object) -> Self:
        """Read the variables SIGNCLIP_SEARCH_DIR, _KEEP_S and so on, as the service does.

        Args:
            values: by name of the field; they count before variables.
        Raises:
            SettingsError: a value is not allowed.
        """
        names = {field.name: f"SIGNCLIP_SEARCH_{field.name.upper()}" for field in fields(cls)}
        return cls.from_values({name: os.environ[key] for name, key in names.items() if os.environ.get(key)} | values)
