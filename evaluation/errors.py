"""The errors of evaluation.

EvaluationError
├── VocabularyError     a vocabulary cannot be read, or no example has a text of it
├── EmptyCorpusError    no clip of the data set could be embedded
├── ScoresError         scores, labels and classes do not fit together
├── PublishedError      the file of published metrics has another form than tables know
├── ProtocolError       there is no protocol of that name, or its file has another form
└── RunFolderError      a folder holds no evaluation, or a damaged one

Every message says what is wrong and where.
"""


class EvaluationError(Exception):
    """A model cannot be evaluated as requested."""


class VocabularyError(EvaluationError):
    """A vocabulary cannot be read, or no example has a text of it."""


class EmptyCorpusError(EvaluationError):
    """No clip of the data set could be embedded."""


class ScoresError(EvaluationError):
    """Scores, labels and classes do not fit together."""


class PublishedError(EvaluationError):
    """The file of published metrics has another form than tables know."""


class ProtocolError(EvaluationError):
    """There is no protocol of that name, or its file has another form."""


class RunFolderError(EvaluationError):
    """A folder holds no evaluation, or a damaged one."""
