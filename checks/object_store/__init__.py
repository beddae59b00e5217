"""Two processes share a collection in an object store."""
