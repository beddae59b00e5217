"""Errors as JSON objects, so that an error raised in one process can be raised again in another."""

from types import ModuleType
from typing import Any, Generic, TypeVar

from processes.errors import MessageError

Error = TypeVar("Error", bound=Exception)
# What JSON holds as it is. Other attributes, as the cause of an error, stay in the process they were made in.
_JSON_TYPES = (str, int, float, list)


class ErrorCodec(Generic[Error]):
    """Packs any error and rebuilds those whose classes it knows.

    Args:
        modules: modules of errors; every exception class defined in them is known by its name.
        fallback: class of the rebuilt error where the packed one is unknown; it must take a message alone.
    """

    def __init__(self, *modules: ModuleType, fallback: type[Error]) -> None:
        self._fallback = fallback
        self._classes: dict[str, type[Error]] = {}
        for module in modules:
            self._classes.update(_errors_of(module))

    def pack(self, error: Exception) -> dict[str, Any]:
        """Pack the class, the message and the plain attributes of an error for orjson."""
        attributes = {name: value for name, value in vars(error).items() if isinstance(value, _JSON_TYPES)}
        # A message may name a file by bytes that are not UTF-8, which JSON cannot hold.
        message = str(error).encode("utf-8", "backslashreplace").decode()
        return {"class": type(error).__name__, "message": message, "attributes": attributes}

    def unpack(self, packed: object) -> Error:
        """Rebuild an error without calling its constructor, whose parameters differ from class to class.

        Raises:
            MessageError: `packed` is not what `pack` makes.
        """
        match packed:
            case {"class": str(name), "message": str(message), "attributes": dict(attributes)}:
                kind = self._classes.get(name, self._fallback)
            case _:
                raise MessageError("an error in a message lacks its class, its message or its attributes")
        error = kind.__new__(kind, message)
        error.args = (message,)
        vars(error).update(attributes)
        return error


def _errors_of(module: ModuleType) -> dict[str, Any]:
    return {
        name: kind
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == module.__name__
    }
