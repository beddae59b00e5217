"""What can go wrong in these commands, beside what their rooms below report.

DictionaryError
├── SourceError      the clips cannot be found as they were named
└── ServiceError     the service refused a request, or did not answer
"""


class DictionaryError(Exception):
    """Root of this tree."""

    code = "dictionary_invalid"


class SourceError(DictionaryError):
    """The clips cannot be found as they were named."""

    code = "source_invalid"


class ServiceError(DictionaryError):
    """The service refused a request, or did not answer."""

    code = "service_failed"
