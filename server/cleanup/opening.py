"""The choice of a store by its URL."""

from pathlib import Path

from server.cleanup.stores import FolderStore, Store
from server.settings.topics import StorageSettings


def open_store(settings: StorageSettings) -> Store:
    """The store that the settings name. Raises `StoreError`."""
    if not settings.store.startswith("s3://"):
        return FolderStore(Path(settings.store))
    from server.cleanup.s3 import S3Store  # its extra may be missing

    bucket, _, prefix = settings.store.removeprefix("s3://").partition("/")
    return S3Store(bucket, prefix, settings.s3_endpoint, settings.s3_encryption)
