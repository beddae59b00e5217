"""The store as the threads of requests use it: while it reads or writes, other requests have their turn."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, cast

from processes.turns import pause
from search.interface import Store


def let_others_go_on(store: Store) -> Store:
    """Wrap a store so that a thread calls it without its turn: a disk, an object store or a database answers."""
    return cast(Store, _PausingStore(store))


class _PausingStore:
    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return _call_in_pause(found) if callable(found) else found

    def iterate(self, *names: Any, **options: Any) -> Iterator[Any]:
        """See Store.iterate. Between two batches the thread has its turn."""
        batches = self._store.iterate(*names, **options)
        while True:
            with pause():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch


def _call_in_pause(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(*given: Any, **options: Any) -> Any:
        with pause():
            return method(*given, **options)

    return call
