"""Opens a store; which kind of store it is, the setting says."""

from processes.packages import explain_missing
from search.errors import StoreError
from search.interface import Store
from search.settings import SearchSettings


def open_store(settings: SearchSettings) -> Store:
    """Open the store that the settings name. Call it after a fork, and only when something is searched.

    Raises:
        StoreError: the place cannot be opened.
    """
    if settings.dir.startswith("postgresql://"):
        return _open_postgres(settings)
    # Late, because LanceDB takes more than a second to import, and 126 MB of memory.
    from search.store import LanceStore

    store = LanceStore(settings)
    store.start_upkeep()
    return store


def _open_postgres(settings: SearchSettings) -> Store:
    with explain_missing("a store in PostgreSQL", "requirements-postgres.txt", error=StoreError):
        from search.postgres_store import PostgresStore
    store = PostgresStore(settings)
    store.start_upkeep()
    return store
