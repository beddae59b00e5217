"""Says how to install what an extra of this project needs, when it is used and not installed."""

from collections.abc import Iterator
from contextlib import contextmanager

DEVELOPMENT = "requirements-dev.txt"
"""The requirements of training, measuring and checks; the other extras have files of their own."""
IMAGE_EXTRAS = ("postgres", "tracing")
"""The extras of the service, which a build of its image takes as EXTRAS; the file of one is requirements-NAME.txt."""


@contextmanager
def explain_missing(task: str, requirements: str, *, error: type[BaseException]) -> Iterator[None]:
    """Import packages of an extra in this block; a missing package is an error that says how to install the extra.

    Args:
        task: what needs the packages, as the first words of the message.
        requirements: the extra's file.
        error: the class to raise, which takes a message.
    Raises:
        error: a package is not installed.
    """
    try:
        yield
    except ImportError as missing:
        extra = requirements.removeprefix("requirements-").removesuffix(".txt")
        image = f", and into an image: docker build --build-arg EXTRAS={extra}" if extra in IMAGE_EXTRAS else ""
        raise error(
            f"{task} needs a package that is not installed ({missing}); install it: "
            f"pip install --requirement {requirements} --constraint constraints.txt{image}"
        ) from missing
