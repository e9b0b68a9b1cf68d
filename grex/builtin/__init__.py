"""The pack types and actions that ship with grex, written like anyone's.

They use the plugin API, the file system and process rooms, and nothing that a third party's plugin could not use: no
lock, no log, no workspace. They are found by the entry points of grex's own distribution, each in a module of its own,
so a run imports only those that its packs name. That is why nothing is re-exported here.
"""

__all__: list[str] = []
