"""Client of a SignCLIP service: sign language and text in one vector space."""

from signclip_client.async_client import AsyncClient
from signclip_client.chunks import Clip
from signclip_client.client import Client
from signclip_client.configuration import Configuration, Limits
from signclip_client.errors import (
    AccessError,
    AnswerError,
    BusyError,
    ConflictError,
    DeadlineError,
    FileError,
    InputError,
    MixedModelsError,
    NoAnswerError,
    NoAnswerInTimeError,
    NotFoundError,
    Place,
    PoseError,
    RequestError,
    ServiceFaultError,
    SignClipError,
    TextError,
    UnavailableError,
    VideoError,
)
from signclip_client.exchange import Progress
from signclip_client.results import (
    Embeddings,
    EstimatedPose,
    Estimation,
    Health,
    Inspection,
    Language,
    Model,
    Models,
    Quality,
    Readiness,
    Similarity,
    SkippedItem,
    VideoFacts,
)
from signclip_client.version import VERSION

__all__ = [
    "VERSION",
    "AccessError",
    "AnswerError",
    "AsyncClient",
    "BusyError",
    "Client",
    "Clip",
    "Configuration",
    "ConflictError",
    "DeadlineError",
    "Embeddings",
    "EstimatedPose",
    "Estimation",
    "FileError",
    "Health",
    "InputError",
    "Inspection",
    "Language",
    "Limits",
    "MixedModelsError",
    "Model",
    "Models",
    "NoAnswerError",
    "NoAnswerInTimeError",
    "NotFoundError",
    "Place",
    "PoseError",
    "Progress",
    "Quality",
    "Readiness",
    "RequestError",
    "ServiceFaultError",
    "SignClipError",
    "Similarity",
    "SkippedItem",
    "TextError",
    "UnavailableError",
    "VideoError",
    "VideoFacts",
]

__version__ = VERSION
