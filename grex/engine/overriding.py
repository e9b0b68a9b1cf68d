"""Overrides: what the root, or this machine alone, says over the declaration of a pack, wherever that stands.

Those of the root's pack.yaml are shared, those of `.grex/local.yaml` are this machine's and win. Both files are edited
as a person would; the one of this machine is made when it is first needed. Texts go in and out here, and each new one
is parsed again before anybody writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from grex.engine.session import Session
from grex.errors import ConfigError, ManifestError, UsageError
from grex.fs import replace_file
from grex.manifest import ManifestWriteHold, Value, change_child, edit_root, insert_child, remove_child
from grex.manifest.yaml_text import render_value
from grex.names import PACK_YAML
from grex.pack import OverrideSpec, parse_local, parse_pack_spec

__all__ = ["LOCAL_YAML", "OverrideEdit"]

LOCAL_YAML = ".grex/local.yaml"
_BEGINNING = 'schema_version: "1"\n'
_SECTION = "overrides"


class OverrideEdit(Struct, frozen=True):
    """One edit of one file.

    Attributes:
        path: the pack.
        changes: what its override says from now on; what is not named stays.
        remove: whether it is taken away instead.
        is_local: whether this machine's file is meant, not the root's pack.yaml.
    """

    path: str
    changes: Mapping[str, str]
    remove: bool
    is_local: bool

    @property
    def file(self) -> str:
        """The file, as messages name it."""
        return LOCAL_YAML if self.is_local else PACK_YAML

    def place(self, session: Session) -> Path:
        """Where it lies."""
        return session.layout.local_yaml if self.is_local else session.layout.pack_yaml

    def read(self, session: Session) -> str:
        """The text as it is; of a file that is not there, nothing.

        Raises:
            ManifestError: it cannot be read.
        """
        try:
            return self.place(session).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise ManifestError(f"{self.file}: the file cannot be read: {error}", hint="Check the file.") from error

    def parse(self, text: str) -> Sequence[OverrideSpec]:
        """The overrides that a text has, in their order."""
        if not self.is_local:
            return parse_pack_spec(text.encode(), file=PACK_YAML, is_root=True).overrides
        return parse_local(text.encode()).overrides if text else ()

    def apply(self, text: str) -> str:
        """The text after the edit.

        Raises:
            UsageError: there is no such override to take away.
            ManifestError: the text has no shape that can be edited, or would not say what is meant.
        """
        before = {one.path: one for one in self.parse(text)}
        places = list(before)
        if self.remove:
            if self.path not in before:
                other = "this machine's (--local)" if not self.is_local else "the root's"
                raise UsageError(
                    f"{self.file} has no override for {self.path}",
                    hint=f"`grex override` lists them; {other} would be taken away by another call.",
                )
            new = remove_child(text, places.index(self.path), file=self.file, section=_SECTION)
        elif self.path in before:
            new = change_child(text, places.index(self.path), dict(self.changes), file=self.file, section=_SECTION)
        else:
            new = self._inserted(text)
        self._prove(new, before)
        return new

    def _inserted(self, text: str) -> str:
        entry: dict[str, Value] = {"path": self.path, **self.changes}
        if not _says_nothing(text):
            return insert_child(text, entry, file=self.file, section=_SECTION)
        lines = [
            f"{'- ' if not number else '  '}{key}: {render_value(value)}"
            for number, (key, value) in enumerate(entry.items())
        ]
        separator = "" if not text or text.endswith("\n") else "\n"
        head = _BEGINNING if "schema_version" not in text else ""
        return f"{text}{separator}{head}{_SECTION}:\n" + "".join(f"  {line}\n" for line in lines)

    def _prove(self, new: str, before: Mapping[str, OverrideSpec]) -> None:
        wanted = {path: (one.url, one.ref) for path, one in before.items()}
        if self.remove:
            del wanted[self.path]
        else:
            url, ref = wanted.get(self.path, (None, None))
            wanted[self.path] = (self.changes.get("url", url), self.changes.get("ref", ref))
        try:
            found = {one.path: (one.url, one.ref) for one in self.parse(new)}
        except ConfigError as error:
            raise ManifestError(error.message, hint=error.hint, details=error.details) from error
        if found != wanted:
            raise ManifestError(
                f"{self.file} would not say what was meant", hint="Edit the file by hand; nothing was written."
            )

    def write(self, session: Session, hold: ManifestWriteHold) -> bool:
        """Write it; gives whether the file had to be changed. MANIFEST is held.

        Raises:
            ManifestError: it cannot be written; it is as it was.
        """
        place = self.place(session)
        if place.exists():
            return edit_root(place, self.apply, hold=hold, check=lambda data: _parsed(self, data))
        data = self.apply("").encode()
        try:
            replace_file(place, data)
        except OSError as error:
            raise ManifestError(
                f"{place}: the file cannot be written: {error.strerror or error}",
                hint="Check the directory and the disk, then run the command again.",
            ) from error
        return True


def _parsed(edit: OverrideEdit, data: bytes) -> None:
    edit.parse(data.decode())


def _says_nothing(text: str) -> bool:
    """Whether there are only comments and blank lines, which YAML does not take for a mapping."""
    return all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines())
