"""Who wants to be told of changes of which resource, and the look that finds them.

The look happens once a second, and only while somebody wants to know. It is cheap: the times of a few files, and for
the locks what the kernel says of them. A file system watch would not see locks, and would see every build.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import anyio

from grex.errors import GrexError
from grex.mcp.place import Place
from grex.mcp.resources import Resource

__all__ = ["Watcher"]

_PAUSE_S = 1.0
_MOST = 1000
"""As many resources as a look has to manage in a fraction of its pause."""


class Watcher:
    """Looks at what is watched, and tells of what has changed.

    Args:
        place: the workspace.
        tell: is given the address of a resource that has changed.
        pause_s: how long it waits between two looks.
    """

    def __init__(self, place: Place, tell: Callable[[str], Awaitable[None]], *, pause_s: float = _PAUSE_S) -> None:
        self._place = place
        self._tell = tell
        self._pause_s = pause_s
        self._counts: dict[Resource, int] = {}
        self._marks: dict[Resource, object] = {}
        self._wanted = anyio.Event()

    @property
    def watched(self) -> int:
        """How many resources are watched."""
        return len(self._counts)

    def has_room_for(self, resources: Iterable[Resource]) -> bool:
        """Whether these can be watched as well."""
        return len(self._counts.keys() | set(resources)) <= _MOST

    async def add(self, resource: Resource) -> None:
        """Watch a resource from now on; as often as it is added, it has to be removed."""
        mark = await self._mark(resource)
        self._marks.setdefault(resource, mark)
        self._counts[resource] = self._counts.get(resource, 0) + 1
        self._wanted.set()

    def remove(self, resource: Resource) -> None:
        """Watch it no longer."""
        left = self._counts.get(resource, 0) - 1
        if left > 0:
            self._counts[resource] = left
        else:
            self._counts.pop(resource, None)
            self._marks.pop(resource, None)

    @asynccontextmanager
    async def watching(self, resources: Iterable[Resource]) -> AsyncGenerator[None]:
        """Watch these for the block."""
        added: list[Resource] = []
        try:
            for resource in resources:
                await self.add(resource)
                added.append(resource)
            yield
        finally:
            for resource in added:
                self.remove(resource)

    async def run(self) -> None:
        """Look for ever. Cancellation: at any time."""
        while True:
            while not self._counts:
                self._wanted = anyio.Event()
                await self._wanted.wait()
            await anyio.sleep(self._pause_s)
            for resource in list(self._counts):
                mark = await self._mark(resource)
                if resource in self._marks and mark != self._marks[resource]:
                    self._marks[resource] = mark
                    await self._tell(resource.uri)

    async def _mark(self, resource: Resource) -> object:
        try:
            return await resource.mark(self._place)
        except GrexError as error:  # as good as any other state; that it can be read again is a change
            return error.message
