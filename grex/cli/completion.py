"""Completion scripts for shells, written from the command line itself when they are printed.

Verbs, options and fixed values stand in the script. Packs and groups are asked for (`grex __complete`), in the
workspace of the line that is being typed. bash and zsh have one table in common, in words that both read alike: which
words stand behind a verb, what its arguments are, and what the value of an option is.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from grex.cli.described import Described, Parameter, describe, every_verb

__all__ = ["SHELLS", "completion_script"]

_ASKED = {"PACK": "packs", "GROUP": "groups", "EXPR": "", "NAME": ""}
_VERBS = "verbs"
_FILES = ("DIR", "FILE", "PATH", "RANGE", "BASE", "OURS", "THEIRS")


def completion_script(shell: str) -> str:
    """The script for `bash`, `zsh` or `fish`."""
    return SHELLS[shell](describe())


def _kind(one: Parameter) -> str:
    """What the values of an argument or option are: `packs`, `groups`, `files`, fixed words, or nothing to offer."""
    if one.choices:
        return " ".join(one.choices)
    name = one.metavar.strip("[]. ")
    if name == "VERB":
        return _VERBS
    if "--group" in one.names or "-g" in one.names:
        return "groups"
    if name in _FILES:
        return "files"
    return _ASKED.get(name, "")


def _table(root: Described) -> str:
    """The table of bash and zsh: sets `words`, `kind` for a verb, and `kind` for an option before the cursor."""
    tops = " ".join(verb.name for verb in root.verbs)
    lines = ["_grex_words() {", "    case $1 in"]
    for verb in (root, *every_verb(root)):
        words = [below.words[-1] for below in verb.verbs]
        options = [name for one in verb.options for name in one.names]
        # Of several arguments the last one is repeated, or is the one that can be helped with.
        kinds = [kind for kind in map(_kind, verb.arguments) if kind]
        kind = "packs" if "packs" in kinds else kinds[0] if kinds else "none"
        kind = tops if kind == _VERBS else kind
        lines.append(f"        {_quoted(verb.name)}) _verbs={_quoted(' '.join(words))}")
        lines.append(f"            _options={_quoted(' '.join(options))} _kind={_quoted(kind)} ;;")
    lines += ["        *) return 1 ;;", "    esac", "}", "_grex_value() {", "    case $1 in"]
    for verb in (root, *every_verb(root)):
        for one in verb.options:
            if one.metavar:
                patterns = "|".join(_quoted(f"{verb.name}:{name}") for name in one.names)
                lines.append(f"        {patterns}) _kind={_quoted(_kind(one) or 'nothing')} ;;")
    return "\n".join([*lines, "        *) return 1 ;;", "    esac", "}"])


def _quoted(text: str) -> str:
    return shlex.quote(text)


# What both shells do with the words that stand before the cursor, in `$@`: the verb with the verbs below it, and the
# workspace. Behind `--` stands a command that is not ours.
_SCAN = """\
_grex_scan() {
    _verb= _workspace=${GREX_WORKSPACE-} _dashes=
    local _word _takes=
    for _word in "$@"; do
        if [ -n "$_takes" ]; then
            [ "$_takes" = --workspace ] && _workspace=$_word
            _takes=
            continue
        fi
        case $_word in
            --) _dashes=1; return ;;
            -*) _grex_value "$_verb:$_word" && _takes=$_word ;;
            *) _grex_words "${_verb:+$_verb }$_word" && _verb="${_verb:+$_verb }$_word" ;;
        esac
    done
    if [ -n "$_takes" ]; then
        _grex_value "$_verb:$_takes"
        _options= _verbs=
    else
        _grex_words "$_verb"
    fi
}
"""

_BASH = """\
_grex() {
    local IFS=$'\\n' _verb _workspace _dashes _verbs _options _kind _found _name
    local _current=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    _grex_scan "${COMP_WORDS[@]:1:COMP_CWORD-1}"
    if [ -n "$_dashes" ]; then
        COMPREPLY=($(compgen -c -- "$_current") $(compgen -f -- "$_current"))
        return
    fi
    if [[ $_current == -* ]]; then
        IFS=' '
        COMPREPLY=($(compgen -W "$_options" -- "$_current"))
        return
    fi
    if [ -n "$_verbs" ]; then
        IFS=' '
        COMPREPLY=($(compgen -W "$_verbs" -- "$_current"))
        return
    fi
    case $_kind in
        packs|groups)
            while read -r _name; do
                printf -v _found %q "$_name"
                COMPREPLY+=("$_found")
            done < <(GREX_WORKSPACE=$_workspace "${COMP_WORDS[0]}" __complete "$_kind" "$_current" 2>/dev/null) ;;
        files) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$_current")) ;;
        none|nothing) ;;
        *) IFS=' '; COMPREPLY=($(compgen -W "$_kind" -- "$_current")) ;;
    esac
}
complete -F _grex grex
"""

_ZSH = """\
_grex() {
    local _verb _workspace _dashes _verbs _options _kind
    local -a _found
    _grex_scan "${(@)words[2,CURRENT-1]}"
    if [[ -n $_dashes ]]; then
        _files
        return
    fi
    if [[ $words[CURRENT] == -* ]]; then
        compadd -- ${=_options}
    elif [[ -n $_verbs ]]; then
        compadd -- ${=_verbs}
    else
        case $_kind in
            packs|groups)
                _found=("${(@f)$(GREX_WORKSPACE=$_workspace $words[1] __complete $_kind "$words[CURRENT]" \\
                    2>/dev/null)}")
                compadd -- ${_found:#} ;;
            files) _files ;;
            none|nothing) ;;
            *) compadd -- ${=_kind} ;;
        esac
    fi
}
if [ "$funcstack[1]" = _grex ]; then
    _grex "$@"
else
    compdef _grex grex
fi
"""


def _bash(root: Described) -> str:
    return f"# bash completion for grex\n{_table(root)}\n{_SCAN}{_BASH}"


def _zsh(root: Described) -> str:
    return f"#compdef grex\n# zsh completion for grex\n{_table(root)}\n{_SCAN}{_ZSH}"


def _fish(root: Described) -> str:
    """Fish has a language of its own: a line for each verb and option, with when it is offered."""
    lines = [
        "# fish completion for grex",
        "complete -c grex -f",
        "function __grex_asked; grex __complete $argv[1] (commandline -ct) 2>/dev/null; end",
    ]
    tops = " ".join(verb.words[0] for verb in root.verbs)
    for verb in root.verbs:
        lines.append(_fish_line(f"not __fish_seen_subcommand_from {tops}", ["-a", verb.name], verb.summary))
        lines += [_fish_line(_seen(verb), ["-a", below.words[-1]], below.summary) for below in verb.verbs]
        for one in verb.arguments:
            lines += _fish_values(_seen(verb), tops if _kind(one) == _VERBS else _kind(one))
        lines += _fish_options(_seen(verb), verb.options)
        for below in verb.verbs:
            lines += _fish_options(f"{_seen(verb)}; and {_seen(below)}", below.options)
    lines += _fish_options(f"not __fish_seen_subcommand_from {tops}", root.options)
    return "\n".join(lines) + "\n"


def _seen(verb: Described) -> str:
    return f"__fish_seen_subcommand_from {verb.words[-1]}"


def _fish_values(when: str, kind: str) -> list[str]:
    if not kind:
        return []
    if kind == "files":
        return [_fish_line(when, ["-F"], "")]
    if kind in ("packs", "groups"):
        return [_fish_line(when, ["-a", f"(__grex_asked {kind})"], "")]
    return [_fish_line(when, ["-a", kind], "")]


def _fish_options(when: str, options: Iterable[Parameter]) -> list[str]:
    lines: list[str] = []
    for one in options:
        words: list[str] = []
        for name in one.names:
            words += ["-l", name[2:]] if name.startswith("--") else ["-s", name[1:]]
        if one.metavar:
            words.append("-r")
            kind = _kind(one)
            if kind == "files":
                words.append("-F")
            elif kind in ("packs", "groups"):
                words += ["-a", f"(__grex_asked {kind})"]
            elif kind:
                words += ["-a", kind]
        lines.append(_fish_line(when, words, one.help))
    return lines


def _fish_line(when: str, words: list[str], about: str) -> str:
    told = [*words, *(["-d", about] if about else [])]
    return " ".join(["complete -c grex -n", _fish_quoted(when), *(_fish_word(word) for word in told)])


def _fish_word(word: str) -> str:
    return word if word.replace("-", "").isalnum() and word.isascii() else _fish_quoted(word)


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


SHELLS = {"bash": _bash, "fish": _fish, "zsh": _zsh}
"""The shells that there is a script for."""
