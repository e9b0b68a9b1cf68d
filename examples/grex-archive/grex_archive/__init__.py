"""A grex plugin: the action `archive`, and the fetcher `https` that brings what it unpacks."""

__all__: list[str] = []
