"""What is worked out about an activation and kept for the next question, in one slot of the activation itself.

A `weakref.WeakKeyDictionary` would never let go: its values, tables of φ, hold the activation that is their key. In the
activation's own slot they are a circle that the garbage collector takes away with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from meanfield.activations.activation import Activation

T = TypeVar("T")


class Kept(Generic[T]):
    """One value for each activation, which lives as long as the activation does.

    Examples
    --------
    >>> from meanfield import activation
    >>> colours = Kept[str]("colour")
    >>> colours[activation("tanh")] = "red"
    >>> activation("tanh") in colours, activation("relu") in colours
    (True, False)
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __contains__(self, activation: Activation) -> bool:
        return self._name in activation.kept

    def __getitem__(self, activation: Activation) -> T:
        value: T = activation.kept[self._name]
        return value

    def __setitem__(self, activation: Activation, value: T) -> None:
        activation.kept[self._name] = value

    def get(self, activation: Activation, default: T) -> T:
        """The value kept, or the default."""
        value: T = activation.kept.get(self._name, default)
        return value

    def setdefault(self, activation: Activation, default: T) -> T:
        """The value kept; the default is kept where there was none."""
        value: T = activation.kept.setdefault(self._name, default)
        return value
