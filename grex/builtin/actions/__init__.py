"""The actions that ship with grex; the registry loads each by its entry point, hence no re-exports."""

__all__: list[str] = []
