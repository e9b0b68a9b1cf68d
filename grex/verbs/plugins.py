"""`grex plugins`: every plugin of this environment, loaded to see whether it can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from grex.errors import GrexError
from grex.plugin import API_VERSION, Listed, Registry
from grex.verbs.report import exit_code_of, failure_json

if TYPE_CHECKING:
    from grex.verbs.documents import PluginsDocument

__all__ = ["PluginsReport", "PluginsRequest", "plugins"]


class PluginsRequest(Struct, frozen=True):
    """Nothing to choose: plugins are those of the environment, not of a workspace."""


class PluginsReport(Struct, frozen=True):
    """The plugins, sorted by group and name."""

    plugins: tuple[Listed, ...]

    @property
    def exit_code(self) -> int:
        """0, or 8 if one is broken; one that grex's own stands before does no harm."""
        errors: list[GrexError] = [one.error for one in self.plugins if one.error is not None]
        return exit_code_of(errors)

    def to_json(self) -> PluginsDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.plugins/1",
            "api_version": API_VERSION,
            "exit_code": self.exit_code,
            "plugins": [
                {
                    "group": one.group,
                    "name": one.name,
                    "status": one.status,
                    "distribution": one.distribution,
                    "version": one.version,
                    "object": one.object,
                    "api_version": one.api_version,
                    "error": failure_json(one.error),
                }
                for one in self.plugins
            ],
        }


def plugins(request: PluginsRequest) -> PluginsReport:
    """List the plugins. Takes no lock and needs no workspace; what a plugin does as it is imported, it does here."""
    del request
    return PluginsReport(Registry().listed())
