"""Entry point: `grex` and `python -m grex`. The version is answered before anything heavy is imported."""

from __future__ import annotations

import gc
import sys


def _see_to_names() -> None:
    """Begin again with names of files as UTF-8, where this user's locale has Python take them for something else.

    pack.yaml, git and the log have names as UTF-8. Under `PYTHONUTF8=0 LC_ALL=C` Python could name no pack `ü`, and
    under a Latin-1 locale it would make a directory of other bytes than git. What is printed keeps the user's encoding
    (`streams.prepare_streams`). Not by PYTHONUTF8, which every hook would inherit.
    """
    if sys.getfilesystemencoding() == "utf-8" or sys.flags.utf8_mode or not sys.executable:
        return
    import os  # noqa: PLC0415 - as above: this is rare

    os.execv(sys.executable, [sys.executable, "-X", "utf8", "-X", "grex_locale", *sys.orig_argv[1:]])  # noqa: S606 - this very program


def main() -> None:
    """Run grex with the arguments of this process."""
    _see_to_names()
    if sys.argv[1:] in (["--version"], ["-V"]):
        from grex import __version__  # noqa: PLC0415 - nothing else is needed

        try:
            print(f"grex {__version__}", flush=True)  # noqa: T201 - this is the command line
        except OSError as error:
            from grex.cli.streams import give_up  # noqa: PLC0415 - as below

            give_up(error)
        return
    if sys.argv[1:2] == ["__complete"]:
        from grex.cli.completing import complete  # noqa: PLC0415 - a shell waits for it at each press of a key

        sys.exit(complete(sys.argv[2:]))
    # A call lives for a moment and makes next to no cycles: looking for them while the modules load costs a tenth of
    # the start. Still on, and rare, for a run over very many packs.
    gc.set_threshold(100_000, 50, 50)
    from grex.cli.streams import prepare_streams  # noqa: PLC0415 - the answer above needs none

    prepare_streams()
    try:
        from grex.cli.app import run  # noqa: PLC0415 - the command line framework costs more than the answer above

        code = run()
    except KeyboardInterrupt:  # before the event loop took over, or after it: nothing has begun, or all is done
        code = 130
    # Python looks for cycles once more on its way out, twice over everything that was imported: a fifth of a short
    # call, for memory that the system takes back anyway.
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
