"""The grid of σ's that a person types: a number, a list, or start:stop:step."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from meanfield.errors import DomainError

LARGEST_GRID = 100_001


def sigma_grid(text: str, option: str) -> list[float]:
    """The numbers that ``text`` stands for.

    Counted in decimals, so that 0:1:0.1 holds 0.3 and not 0.30000000000000004, and the stop is included.

    Parameters
    ----------
    text : str
        ``0.2``, ``0,0.1,0.5`` or ``start:stop:step``.
    option : str
        The option's name, for error messages.

    Returns
    -------
    list of float

    Raises
    ------
    DomainError
        Where the text can't be read, a number is negative or infinite, or there are more than 100,001 of them.

    Examples
    --------
    >>> sigma_grid("0:0.5:0.1", "--sigma-b")
    [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    >>> sigma_grid("0.2,1", "--sigma-b")
    [0.2, 1.0]
    """
    if text.count(":") == 2:
        start, stop, step = (_number(word, text, option) for word in text.split(":"))
        return _range(start, stop, step, text, option)
    if ":" in text:
        raise DomainError(f"{option} = {_short(text)} can't be read; a range is start:stop:step, such as 0:1:0.1")
    words = text.split(",", LARGEST_GRID)
    if len(words) > LARGEST_GRID:
        raise DomainError(f"{option} holds more than {LARGEST_GRID:,} numbers; give at most {LARGEST_GRID:,}")
    return [float(_number(word, text, option)) for word in words]


def _range(start: Decimal, stop: Decimal, step: Decimal, text: str, option: str) -> list[float]:
    if step <= 0:
        raise DomainError(f"{option} = {_short(text)} has the step {step}; the step must be above 0")
    if stop < start:
        raise DomainError(f"{option} = {_short(text)} stops before it starts; give start ≤ stop")
    if (stop - start) / step > LARGEST_GRID - 1:
        raise DomainError(f"{option} = {_short(text)} asks for more than {LARGEST_GRID:,} points; give at most {LARGEST_GRID:,}")
    return [float(start + step * index) for index in range(int((stop - start) / step) + 1)]


def _number(word: str, text: str, option: str) -> Decimal:
    try:
        number = Decimal(word.strip())
    except InvalidOperation:
        raise DomainError(f"{option} = {_short(text)}: {_short(word)} is no number; give 0.2, 0,0.1,0.5 or start:stop:step") from None
    # A double could not hold a number outside this range in full.
    if not number.is_finite() or not (number == 0 or Decimal("1e-300") <= number <= Decimal("1e300")):
        raise DomainError(f"{option} = {_short(text)}: {_short(word)} is out of range; σ is a standard deviation, 0 or in [1e-300, 1e300]")
    return number


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
