"""The activation as the rest of the package sees it: values, derivatives, breakpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np

from meanfield.activations.breakpoint import Breakpoint
from meanfield.activations.feature import Feature
from meanfield.errors import ActivationError, DomainError
from meanfield.result import same

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from meanfield.arrays import Mask

Array = np.ndarray[Any, np.dtype[np.float64]]

DOUBLE_NOISE = 2.0**-52
estimated: ContextVar[bool] = ContextVar("estimated", default=False)  # see with_estimate


class with_estimate:
    """Inside, lost digits are not announced: the caller's own error estimate tells of them, once.

    No generator, as that would cost as much as a short series does.
    """

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token: Token[bool] = estimated.set(True)

    def __exit__(self, *_: object) -> None:
        estimated.reset(self._token)


class Activation:
    """A function φ of one real number, with its first two derivatives and the points where it is not analytic.

    Objects come from `meanfield.activation`; this class is what they have in common. They never change after
    construction, are equal where they were made from the same things, and may be used from several threads. A copy is the
    same object; what does not pickle, a lambda for one, says so.

    Attributes
    ----------
    name : str
        The catalogue name, the text of the formula, or the name given for a callable.
    breakpoints : tuple of Breakpoint
        Every point where φ is not analytic, ascending.
    parameters : mapping
        The parameters and their values.
    relative_noise : float
        Relative size of the rounding noise in the values: 2.2e-16, or more for a callable that computes in single precision.
    narrowest : float
        For a callable: what departs from its surroundings over less than narrowest·√(1 + x²) may be missed. 0 for others.
    features : tuple of Feature
        Places where φ varies on a narrow scale, as far as they are known; other φ than callables find theirs by bisection.

    Examples
    --------
    >>> from meanfield import activation
    >>> act = activation("leaky_relu", negative_slope=0.25)
    >>> act(-2.0), act.derivative(-2.0), act.second_derivative(-2.0)
    (-0.5, 0.25, 0.0)
    """

    name: str
    breakpoints: tuple[Breakpoint, ...]
    parameters: Mapping[str, Any]
    relative_noise: float
    costly: bool = False  # whether derivatives are numerical, at many values of φ each
    narrowest: float = 0.0
    has_formula: ClassVar[bool] = False  # whether `formula` is one, known without SymPy
    _find: ClassVar[Callable[..., Activation]]  # `meanfield.activation`, which enters itself: the way back of what was pickled

    def __init__(
        self,
        name: str,
        breakpoints: tuple[Breakpoint, ...] = (),
        parameters: Mapping[str, Any] | None = None,
        relative_noise: float = DOUBLE_NOISE,
    ) -> None:
        self.name = name
        self.breakpoints = breakpoints
        self.parameters = MappingProxyType(dict(parameters or {}))
        self.relative_noise = relative_noise
        self.features: tuple[Feature, ...] = ()
        self.kept: dict[str, Any] = {}  # see kept.py

    @property
    def formula(self) -> Any:
        """The SymPy expression of φ in the symbol x, or None where there is none."""
        return None

    @overload
    def __call__(self, x: float) -> float: ...
    @overload
    def __call__(self, x: NDArray[Any]) -> Array: ...
    @overload
    def __call__(self, x: ArrayLike) -> Any: ...
    def __call__(self, x: Any) -> Any:
        """φ(x), of the shape of x; a float for a scalar."""
        return self._shaped(x, 0)

    @overload
    def derivative(self, x: float) -> float: ...
    @overload
    def derivative(self, x: NDArray[Any]) -> Array: ...
    @overload
    def derivative(self, x: ArrayLike) -> Any: ...
    def derivative(self, x: Any) -> Any:
        """φ'(x), almost everywhere: at a breakpoint one of the two one-sided values, or their mean."""
        return self._shaped(x, 1)

    @overload
    def second_derivative(self, x: float) -> float: ...
    @overload
    def second_derivative(self, x: NDArray[Any]) -> Array: ...
    @overload
    def second_derivative(self, x: ArrayLike) -> Any: ...
    def second_derivative(self, x: Any) -> Any:
        """φ''(x), almost everywhere: the deltas at the slope jumps are left out."""
        return self._shaped(x, 2)

    def values(self, x: Array, k: int) -> Array:
        """φ^(k) at a contiguous one-dimensional array of finite numbers: the raw, fast road.

        Parameters
        ----------
        x : ndarray of float64, one-dimensional
            Where to evaluate; taken to be finite.
        k : {0, 1, 2}
            Which derivative.

        Returns
        -------
        ndarray of float64
            May hold ±inf where φ^(k) overflows, never NaN.

        Raises
        ------
        ActivationError
            Where φ^(k) is not a number; the message names the first such x.

        Examples
        --------
        >>> import numpy as np
        >>> from meanfield import activation
        >>> activation("relu").values(np.array([-1.0, 2.0]), 1)
        array([0., 1.])
        """
        with np.errstate(all="ignore"):
            y = self._raw(x, k)
        undefined = np.isnan(y)
        if undefined.any():
            raise self._undefined(float(x[int(np.argmax(undefined))]), k)
        return y

    def several(self, x: Array, orders: tuple[int, ...]) -> tuple[Array, ...]:
        """`values` for several k at the same x, with what they share done once.

        Examples
        --------
        >>> import numpy as np
        >>> from meanfield import activation
        >>> activation("relu").several(np.array([-1.0, 2.0]), (0, 1))
        (array([0., 2.]), array([0., 1.]))
        """
        return tuple(self.values(x, k) for k in orders)

    def hides(self, points: Array) -> Mask:
        """For each row of ascending points, whether φ may do something between two of them that its values there do not tell.

        Only a formula knows. False for all where nothing is known but values.

        Examples
        --------
        >>> import numpy as np
        >>> from meanfield import activation
        >>> points = np.linspace([0.0], [1.0], 16, axis=1)
        >>> activation("exp(-x**2)").hides(points), activation("exp(-(x-0.51)**2/(2*0.0001**2))").hides(points)
        (array([False]), array([ True]))
        """
        return np.zeros(len(points), dtype=np.bool_)

    def noise(self, x: Array, k: int) -> Array:
        """How large the noise of φ^(k) at x is, absolute, where `values` differentiates numerically; else 0.

        Examples
        --------
        >>> import numpy as np
        >>> from meanfield import activation
        >>> activation("relu").noise(np.array([-1.0, 2.0]), 1)
        array([0., 0.])
        """
        return np.zeros(x.shape)

    def one_sided(self, x: float, side: int, k: int) -> float:
        """The limit of φ^(k) at x from the right (side = +1) or the left (side = −1).

        Examples
        --------
        >>> from meanfield import activation
        >>> activation("relu").one_sided(0.0, +1, 1), activation("relu").one_sided(0.0, -1, 1)
        (1.0, 0.0)
        """
        x = float(x)
        if side not in (-1, 1):
            raise DomainError(f"side must be +1 or -1, not {side!r}")
        if k not in (0, 1, 2):
            raise DomainError(f"k must be 0, 1 or 2, not {k!r}")
        if not np.isfinite(x):
            raise DomainError(f"x must be finite, not {x!r}")
        if any(point.location == x for point in self.breakpoints):
            return self._limit(x, side, k)
        return float(self.values(np.array([x]), k)[0])

    def limits(self, x: Array, side: int, k: int) -> Array:
        """`one_sided` at an array of breakpoints: a black box has thousands, and does them all at once.

        Examples
        --------
        >>> import numpy as np
        >>> from meanfield import activation
        >>> activation("sign").limits(np.array([0.0]), +1, 0)
        array([1.])
        """
        return np.array([self._limit(point, side, k) for point in x.tolist()])

    def _raw(self, x: Array, k: int) -> Array:
        """φ^(k) at x; NaN where undefined."""
        raise NotImplementedError

    def _limit(self, x: float, side: int, k: int) -> float:
        """φ^(k)(x±) at a breakpoint x."""
        raise NotImplementedError

    def _undefined(self, x: float, k: int) -> ActivationError:
        what = ("", "the derivative of ", "the second derivative of ")[k]
        return ActivationError(f"{what}{shortened(self.name)} is not defined at x = {x!r}")

    def _shaped(self, x: Any, k: int) -> Any:
        if type(x) is float:
            if x != x:
                raise DomainError("x must be a number, not nan")
            return float(self.values(np.array([x]), k)[0])
        try:
            given = np.asarray(x)
            if given.dtype.kind not in "fiub":
                raise TypeError(f"dtype {given.dtype}")
            points = np.ascontiguousarray(given, dtype=np.float64).ravel()
        except (TypeError, ValueError) as error:
            raise DomainError(f"x must be a real number or an array of real numbers, not {type(x).__name__} ({error})") from error
        if np.isnan(points).any():
            raise DomainError("x must hold numbers, not nan")
        y = self.values(points, k)
        return float(y[0]) if given.ndim == 0 else y.reshape(given.shape)

    def _origins(self) -> tuple[Any, ...]:
        """What it was made from."""
        return (self.name, dict(self.parameters))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Activation) and type(self) is type(other) and same(self._origins(), other._origins())

    def __hash__(self) -> int:
        return hash(self.name)

    def __copy__(self) -> Activation:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Activation:
        return self  # it never changes

    def __repr__(self) -> str:
        parameters = "".join(f", {key}={value!r}" for key, value in self.parameters.items())
        return f"activation({shortened(self.name)!r}{parameters})"


def shortened(text: str, length: int = 80) -> str:
    """The text, cut in the middle where it is too long to print."""
    return text if len(text) <= length else f"{text[: length - 20]} … {text[-16:]}"
