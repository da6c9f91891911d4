"""The description of a network, from a file or from stdin."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError, MeanFieldError

if TYPE_CHECKING:
    from meanfield.theory.network import Network

LARGEST = 1_000_000  # bytes
_SUFFIXES = (".toml", ".json")
_JSON = re.compile(r"\s*(\{|\[\s*[{\"\]])")  # a table's name in TOML has no brace or quotation mark behind its bracket
# tomllib takes a time that grows with the square of a dotted key's length: no name in a description has this many parts.
_LONG_KEY = re.compile(r"(?<![\w\-.])(?:(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+\.[ \t]*+){16}")


def described_network(text: str) -> Network:
    """The network that a file describes; "-" is stdin."""
    from meanfield.layers import from_description
    from meanfield.theory.network import Network

    name = "stdin" if text == "-" else text
    content, suffix = _content(text)
    try:
        return Network(from_description(parsed(content, suffix)))
    except MeanFieldError as error:
        raise DomainError(f"{name}: {error}") from error


def parsed(text: str, suffix: str) -> Any:
    """Tables, lists, words and numbers of a TOML or JSON text.

    Examples
    --------
    >>> parsed('layers = [{type = "dense", sigma_w = 1.5}, "tanh"]', ".toml")
    {'layers': [{'type': 'dense', 'sigma_w': 1.5}, 'tanh']}
    """
    language = "JSON" if suffix == ".json" else "TOML"
    try:
        if suffix == ".json":
            return json.loads(text, object_pairs_hook=_table, parse_constant=_no_constant)
        if _LONG_KEY.search(text):
            raise DomainError("a dotted key with 16 parts or more")
        return tomllib.loads(text)
    except RecursionError:
        raise DomainError(f"too many brackets inside one another to be read as {language}") from None
    except DomainError as error:
        raise DomainError(f"no {language} that describes a network: {error}") from None
    except ValueError as error:  # of the parsers, and of numbers with too many digits
        raise DomainError(f"no {language}: {error}") from None


def _content(text: str) -> tuple[str, str]:
    """What is written, and in which language, by the suffix that stands for it."""
    if text == "-":
        stream = getattr(sys.stdin, "buffer", None)
        if stream is None:
            raise DomainError("FILE '-' is stdin, which is closed")
        written = _decoded(stream.read(LARGEST + 1), "stdin")
        return written, ".json" if _JSON.match(written) else ".toml"
    path = Path(text)
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise DomainError(f"FILE {text!r} has the suffix {path.suffix!r}; a description's file ends in {' or '.join(_SUFFIXES)}")
    try:
        with open(path, "rb") as file:
            return _decoded(file.read(LARGEST + 1), repr(text)), suffix
    except (OSError, ValueError) as error:  # ValueError: a name with a null character in it
        if isinstance(error, DomainError):
            raise
        raise DomainError(f"FILE {text!r} can't be read: {getattr(error, 'strerror', None) or error}") from error


def _decoded(content: bytes, name: str) -> str:
    if len(content) > LARGEST:
        raise DomainError(f"{name} has more than {LARGEST:,} bytes; a description has at most that many")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DomainError(f"{name} is no text in UTF-8: {error.reason} at byte {error.start}") from None


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a key that comes twice would silently lose its first value."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise DomainError(f"the key {name[:60]!r} is given twice")
        found[name] = value
    return found


def _no_constant(word: str) -> Any:
    raise DomainError(f"{word} is no number of JSON")
