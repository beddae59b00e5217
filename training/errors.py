"""The errors of training.

TrainingError
├── ExperimentError      a run's file or its command line asks for something that does not exist or is not possible
├── DataError            batches cannot be made of the data that there is
├── InitializationError  the weights that a run starts from are missing, or do not fit its model
├── DivergedError        the model in training gives vectors that are no numbers
├── StateError           a run's folder holds the state of another run or of other data, or a damaged one
└── KeptFileError        what an earlier command measured or trained and kept for later is damaged

Every message says what is wrong, the value and what to change. They are ValueErrors, because pydantic reports a
ValueError of a validator with the place of the setting.
"""


class TrainingError(ValueError):
    """A run cannot be trained as requested."""


class ExperimentError(TrainingError):
    """A run's file or its command line asks for something that does not exist or is not possible."""


class DataError(TrainingError):
    """Batches cannot be made of the data that there is."""


class InitializationError(TrainingError):
    """The weights that a run starts from are missing, or do not fit its model."""


class DivergedError(TrainingError):
    """The model in training gives vectors that are no numbers, so no step can mend it."""


class StateError(TrainingError):
    """A run's folder holds the state of another run or of other data, or a damaged one."""


class KeptFileError(TrainingError):
    """What an earlier command measured or trained, and kept for later ones, is damaged."""
