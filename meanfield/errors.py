"""The errors and warnings that a caller of meanfield can meet."""

from __future__ import annotations


class MeanFieldError(Exception):
    """Base class of every error that meanfield raises on purpose. Its message is one line, also where it quotes an array."""

    def __str__(self) -> str:
        return " ".join(part.strip() for part in super().__str__().splitlines())


class ActivationError(MeanFieldError):
    """An activation that can't be understood or evaluated; the message says which, and where."""


class DomainError(MeanFieldError, ValueError):
    """An argument out of its range; the message names the argument, its value and the range."""


class AccuracyWarning(UserWarning):
    """The tolerance could not be met; the message says what was reached."""
