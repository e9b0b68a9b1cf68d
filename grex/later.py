"""What a package leaves for later: names that it has, and whose modules are imported when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["imported_later"]


def imported_later(package: str, later: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a package (PEP 562) that imports these names from its modules; each is looked up once.

    Args:
        package: the name of the package.
        later: the names, and the module of the package that each is from.
    """

    def get(name: str) -> object:
        if name not in later:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{later[name]}"), name)
        setattr(import_module(package), name, value)
        return value

    return get
