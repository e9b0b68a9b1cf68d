"""grex keeps many git repositories as one workspace that people, CI and agents can change at the same time."""

__version__ = "0.1.0"

__all__ = ["__version__"]
