"""Completion of what is typed in bash, zsh and fish: the shell's own words, and where they go."""

from __future__ import annotations

import os
from pathlib import Path

import click

from meanfield.errors import DomainError

VARIABLE = "_MEANFIELD_COMPLETE"  # what shells set when they ask
SHELLS = ("bash", "zsh", "fish")


def show(command: click.Command, shell: str) -> str:
    """What the shell reads.

    Examples
    --------
    >>> "complete -F" in show(click.Command("add"), "zsh"), "compdef" in show(click.Command("add"), "zsh")
    (False, True)
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(_named(shell))
    assert kind is not None
    return kind(command, {}, "meanfield", VARIABLE).source().strip()


def install(command: click.Command, shell: str) -> str:
    """Write it where the shell finds it, and say where that is."""
    shell, home = _named(shell), Path.home()
    place, reader, lines = {
        "bash": (home / ".bash_completions/meanfield.sh", home / ".bashrc", "source ~/.bash_completions/meanfield.sh"),
        "zsh": (home / ".zfunc/_meanfield", home / ".zshrc", "fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit"),
        "fish": (home / ".config/fish/completions/meanfield.fish", None, ""),
    }[shell]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(show(command, shell) + "\n", encoding="utf-8")
    if reader is not None:
        written = reader.read_text(encoding="utf-8") if reader.exists() else ""
        if lines not in written.splitlines():  # once, however often it is asked
            with open(reader, "a", encoding="utf-8") as stream:
                stream.write("\n" * bool(written and not written.endswith("\n")) + lines + "\n")
    return f"wrote {place}" + (f", which {reader} reads" if reader else "") + f"; a new {shell} completes meanfield"


def _named(shell: str) -> str:
    """The shell that is named, or else the user's."""
    found = shell or os.path.basename(os.environ.get("SHELL", ""))
    if found not in SHELLS:
        what = f"the shell {found!r} is unknown" if found else "no shell is named and the variable SHELL is not set"
        raise DomainError(f"completion: {what}; give one of {', '.join(SHELLS)}")
    return found
