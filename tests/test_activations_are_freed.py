"""What is kept about an activation dies with it."""

import gc
import weakref

import numpy as np
import pytest

import meanfield as mf


def every_question(activation: mf.Activation) -> None:
    """At least one question for each kind of table."""
    mf.estimate(activation)
    mf.second_moment(activation, 1.0)
    mf.second_moment(activation, 1.0, derivative=2)
    mf.covariance(activation, 1.0, 1.0, np.linspace(-0.9, 0.9, 400))
    mf.covariance(activation, 1.0, 2.0, 0.5)
    mf.decorrelation(activation, 1.0, 0.1)
    mf.edge_of_chaos(activation, sigma_b=[0.0, 0.2])
    mf.phase_diagram(activation, sigma_w=[1.0, 2.0], sigma_b=[0.1, 0.2])
    net = mf.MeanField(activation, 1.5, 0.2)
    assert 0 < net.c_star <= 1
    net.propagate(5)


@pytest.mark.parametrize("kink", [False, True])
def test_a_callable_that_nobody_holds_is_freed_with_its_tables(kink: bool) -> None:
    function = (lambda x: np.clip(1.1 * np.asarray(x), -1, 1)) if kink else (lambda x: np.tanh(1.1 * np.asarray(x)))
    activation = mf.activation(function)
    every_question(activation)
    alive = weakref.ref(activation)
    del activation
    gc.collect()
    assert alive() is None


def test_what_is_kept_does_not_travel_in_a_pickle() -> None:
    import pickle

    activation = mf.activation("tanh(1.234*x)")
    mf.second_moment(activation, 1.0)
    assert activation.kept
    other = pickle.loads(pickle.dumps(activation))
    assert len(pickle.dumps(activation)) < 5_000
    assert other.name == activation.name
