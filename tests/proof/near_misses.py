"""Formulas that miss Proposition 4, or a reading of it, by very little: none may be called proved.

The weights of the first family are those at which min over q of V'(q) is 0, to 1e-13 (200-point Gauss–Legendre on quarter octaves, a root
in the weight of the minimum over q); a relative 1e-12 below, V falls in a window of q of relative width about 1e-6.
"""

from __future__ import annotations

_TOUCHING = (  # at the weight a, V' has a double zero in q
    ("{a}*({s})+sin(2*({s}))*exp(-({s})**2/8)", 0.4661797461286832),
    ("{a}*({s})+({s})*exp(-({s})**2/2)", 0.14209711640071895),
    ("{a}*arctan({s})+({s})*exp(-({s})**2)", 0.4315689670846068),
)
_SCALES = ("x", "x/2", "3*x", "-x")

WINDOWS = tuple(formula.format(a=repr(a * (1 - 1e-12)), s=s) for formula, a in _TOUCHING for s in _SCALES)

# A wiggle far out, or something tiny: each breaks a condition for certain.
OTHERS = {
    "tanh(x)+where(x>50,1e-9,0)": "a jump",
    "tanh(x)+1e-9*sqrt(abs(x-50))-1e-9*sqrt(50)": "a slope that is not square integrable",
    "tanh(x)+1e-9*abs(x-50)**0.3-1e-9*50**0.3": "a slope that is not square integrable",
    "x/(1+abs(x))+1e-9*sign(x-50)+1e-9": "a jump",
    "sin(x)+1e-9*exp(-(x-50)**2)": "F falls beyond q = 2500; φ(0) ≠ 0",
    "sin(x)+1e-9*x*exp(-(x-50)**2)": "F falls beyond q = 2500",
    "sin(x)+1e-9*x*exp(-(x+50)**2/4)": "F falls beyond q = 2500",
    "arctan(x)+1e-9*x**2": "grows faster than x",
    "x*sigmoid(x)+1e-12*x**2": "grows faster than x",
    "tanh(x)+1e-30*x**3": "grows faster than x",
    "erf(x)+1e-40": "φ(0) ≠ 0",
    "tanh(x)+1e-300": "φ(0) ≠ 0",
    "clip(x,-1,1)+1e-9*heaviside(x-50)": "a jump",
    "max(x,0)+1e-9*heaviside(x+50)-1e-9": "a jump",
    "max(x,0)*(1+1e-12)-1e-12*x": "two lines",
    "x+1e-15*abs(x)": "two lines",
    "x*exp(-x**2/10000)": "F falls for large q",
    "3.3276*tanh(x)+4*x*exp(-x**2)": "F falls for large q",
    "sin(x)*exp(-x**2/1e6)": "F falls for large q",
    "1e-9*x*exp(-(x/50)**2)": "F falls for large q",
}

NEAR_MISSES = (*WINDOWS, *OTHERS)
