"""Looking an entry up by any of its spellings."""

from __future__ import annotations

import difflib
import functools
import re

from meanfield.activations.catalogue import elementary, gated, rectified, saturating
from meanfield.activations.catalogue.entry import Entry

_PREFIX = re.compile(r"^(torch\.nn\.functional|torch\.nn|torch|jax\.nn|jax\.numpy|keras\.activations|nn|F|jnp)\.")


@functools.cache
def entries() -> dict[str, Entry]:
    """Every entry by name, in alphabetical order."""
    every = (*saturating.ENTRIES, *rectified.ENTRIES, *gated.ENTRIES, *elementary.ENTRIES)
    return {entry.name: entry for entry in sorted(every, key=lambda entry: entry.name)}


@functools.cache
def spellings() -> dict[str, Entry]:
    """Every entry by each of its spellings, bare."""
    return {bare(word): entry for entry in entries().values() for word in (entry.name, *entry.aliases)}


def bare(word: str) -> str:
    """A spelling without its framework prefix, capitals, underscores, hyphens and spaces."""
    return re.sub(r"[\s_\-]", "", _PREFIX.sub("", word.strip()).lower())


def find(word: str) -> Entry | None:
    """The entry of that name, or None."""
    return spellings().get(bare(word))


def suggestions(word: str) -> list[str]:
    """The catalogue names nearest to a misspelt one."""
    near = difflib.get_close_matches(bare(word)[:100], spellings(), n=5, cutoff=0.6)
    return list(dict.fromkeys(spellings()[match].name for match in near))[:3]
