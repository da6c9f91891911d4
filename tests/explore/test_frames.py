"""What the page shows: its numbers against the library's own, its links, its budget of time. No browser."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import meanfield as mf
from meanfield.explore.drawn import plane_told, points_told
from meanfield.explore.plane import advice_for, plane_of
from meanfield.explore.point import cobweb, point_of
from meanfield.explore.view import View, view_from
from meanfield.explore.worker import Superseded, TooSlow, Worker


def test_a_point_is_what_the_library_says():
    point = point_of("tanh", 1.7, 0.3, 40)
    net = mf.MeanField("tanh", sigma_w=1.7, sigma_b=0.3)
    np.testing.assert_array_equal(point.variance, net.variance_map(point.q))
    np.testing.assert_allclose(point.correlation, net.correlation_map(point.c), rtol=0, atol=1e-12)
    way = net.propagate(40, q=1.0, c=0.5)
    np.testing.assert_array_equal(point.layer, np.arange(41))
    np.testing.assert_array_equal(point.epsilon, way.epsilon)
    np.testing.assert_array_equal(point.gradient, way.gradient)
    rows = dict(point.rows)
    assert rows["phase"] == net.phase == "chaotic"
    assert float(rows["q*"]) == pytest.approx(net.q_star, rel=1e-5)
    assert float(rows["χ₁"]) == pytest.approx(net.chi_1, rel=1e-5)
    assert float(rows["ξ_c"].split()[0]) == pytest.approx(net.depth_scales.xi_c, rel=1e-3)
    # The cobweb ends at the fixed points.
    assert point.variance_web[1][-1] == pytest.approx(net.q_star, abs=2e-3 * point.q[-1])
    assert point.correlation_web[1][-1] == pytest.approx(net.c_star, abs=1.5e-2)  # a step of 1e-3 is where it stops


def test_a_profile_is_shared_only_where_the_eye_sees_no_difference():
    from meanfield.expectation.held_profiles import angle_profile, held_near

    act = mf.activation("x*tanh(exp(x)) + 0.001*x")
    assert held_near(act, 2.0, 1e-12) == 2.0  # none is held
    angle_profile(act, 2.0)
    assert held_near(act, 2.0 * (1 + 1e-13), 1e-12) == 2.0
    assert held_near(act, 2.0 * (1 + 1e-11), 1e-12) == 2.0 * (1 + 1e-11)


def test_pasted_lines_give_the_sigmas():
    lines = point_of("gelu", 1.234, 0.05, 10).lines
    assert "std=1.234 / module.in_features**0.5" in lines
    assert "module.bias, std=0.05)" in lines
    compile(lines, "pasted", "exec")


@pytest.mark.parametrize(
    ("formula", "sigma_w", "sigma_b", "says"),
    [
        ("tanh", 0.5, 0.1, "Ordered: gradients vanish"),
        ("tanh", 2.5, 0.1, "Chaotic: gradients explode"),
        ("silu", 3.0, 0.2, "Chaotic: the variance grows without bound from q = 1, past 1000"),
        ("relu", 2**0.5, 0.0, "On the edge of chaos: 1 of the last layer's squared gradient"),
        ("tanh", 0.9, 0.0, "Ordered"),
        ("sign(x)", 1.0, 0.1, "Chaotic"),
        ("x**2", 1.0, 0.1, "Chaotic: the variance grows without bound from q = 1, past 1000"),
        ("x**3", 1.0, 0.5, "Chaotic"),
        ("exp(x)", 1.0, 0.5, "Chaotic"),
        ("0*x", 1.0, 0.5, "Ordered"),
        ("softplus", 1.0, 0.5, "Ordered"),
    ],
)
def test_verdicts(formula, sigma_w, sigma_b, says):
    point = point_of(formula, sigma_w, sigma_b, 50)
    assert point.verdict.startswith(says)
    for column in (point.q, point.c, point.layer):
        assert np.isfinite(column).all()
    assert not np.isinf(point.variance).any()  # a gap instead: nothing that a page can't draw
    assert not np.isinf(point.gradient).any()


def test_the_way_stops_where_variances_run_away():
    point = point_of("silu", 3.0, 0.2, 500)
    assert point.layer[-1] < 50
    assert np.nanmax(point.q1) <= 1e3


def test_cobweb_of_a_map_that_leaves_the_picture():
    x, y = cobweb(lambda q: 2.0 * q, 1.0, 3.0)
    assert (x.tolist(), y.tolist()) == ([1.0, 1.0, 2.0, 2.0, 3.0], [0.0, 2.0, 2.0, 3.0, 3.0])


def test_a_plane_is_what_the_library_says():
    plane = plane_of("tanh")
    w = 0.3 + 3.2 * (np.arange(96) + 0.5) / 96
    b = (np.arange(50) + 0.5) / 50
    np.testing.assert_array_equal(plane.xi_c, mf.phase_diagram("tanh", sigma_w=w, sigma_b=b).xi_c)
    across, up = plane.solid
    at = np.flatnonzero(np.isfinite(across) & (np.abs(up - 0.2) < 1e-9))
    assert at.size == 1
    assert across[at[0]] == pytest.approx(1.304145, abs=1e-6)
    assert not np.isfinite(plane.dashed[0]).any()
    relu = plane_of("relu")
    assert relu.dots[0].tolist() == pytest.approx([2**0.5])
    silu = plane_of("silu")
    assert np.isfinite(silu.dashed[0]).any()
    assert np.isnan(silu.xi_c).any()  # where the variance grows without bound
    assert not np.isfinite(plane_of("softplus").solid[0]).any()


def test_what_the_browser_is_told_is_the_point():
    points = [point_of("tanh", 1.7, 0.3, 40), point_of("silu", 3.0, 0.2, 40)]
    told = json.loads(points_told(View("tanh", "<b>", 1.7, 0.3, 40), points))
    assert told["query"] == "?phi=tanh&with=%3Cb%3E&sigma_w=1.7&sigma_b=0.3&depth=40"
    maps = told["maps"]["lines"]
    np.testing.assert_allclose(maps["ys"][1], points[0].variance, rtol=1e-4)
    np.testing.assert_allclose(maps["ys"][3], points[1].variance, rtol=1e-4)
    assert maps["dash"][1:] == ["solid", "solid", "dashed", "solid"]
    way = told["trajectory"]["lines"]
    np.testing.assert_allclose(way["ys"][1], points[0].gradient, rtol=1e-4)
    low, high = told["trajectory"]["y"]
    shown = np.concatenate([np.array(line, dtype=float) for line in way["ys"]])
    assert low <= np.nanmin(shown) <= np.nanmax(shown) <= high
    # Lines are told apart without their colour.
    assert set(told["trajectory"]["marks"]["shape"]) == {"circle", "square", "triangle"}
    assert "#ffffff" in told["trajectory"]["marks"]["inside"]
    assert told["maps"]["y"][1] <= 5 * told["maps"]["x"][1]
    silu = json.loads(plane_told("silu", [plane_of("silu"), "too <slow>"]))
    assert {"solid", "dashed"} <= set(silu["lines"]["dash"])
    assert json.loads(plane_told("x", ["too <slow>"]))["message"] == "No phase diagram: too &lt;slow&gt;"


def test_one_step_of_a_drag_is_one_message():
    """Each model that the server changes is a message and a repaint; so it changes one."""
    bokeh = pytest.importorskip("bokeh", reason='bokeh is not installed: pip install ".[explore]"')
    from bokeh.document import Document

    from meanfield.explore.page import Page

    assert bokeh
    document = Document()
    page = Page(document, View(), lambda *_, **__: None)
    messages: list[object] = []
    document.on_change(messages.append)
    page._tell("points", "{}")
    for callback in document.session_callbacks:
        if callback.callback.__name__ == "in_turn":
            callback.callback()
    assert [message.attr for message in messages if hasattr(message, "attr")] == ["data"]


def test_advice_for_another_formula_is_taken_away():
    pytest.importorskip("bokeh", reason='bokeh is not installed: pip install ".[explore]"')
    import asyncio

    from bokeh.document import Document

    from meanfield.explore.page import Page

    def answer(task, *arguments, wanted):
        if task == "plane_of":
            raise mf.MeanFieldError("none")
        return f"for {arguments[0]} at {arguments[1]}"

    page = Page(Document(), View(), answer)
    told = []
    page._tell = lambda what, text: told.append((what, json.loads(text).get("advice")))

    async def ask():
        for view in (View("relu"), View("tanh"), View("tanh", depth=60), View("tanh", sigma_w=1.0, depth=60)):
            page.wanted = view
            await page._answer_whole(view)

    loop = asyncio.new_event_loop()  # `asyncio.run` would take the thread's own away
    loop.run_until_complete(ask())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert [text for what, text in told if what == "advice"] == ["for relu at 50", "…", "for tanh at 50", "…", "for tanh at 60"]


def test_advice():
    best = mf.recommend("tanh", 30)
    assert f"σ_w = {best.sigma_w:.5g}" in advice_for("tanh", 30)
    assert advice_for("softplus", 30).startswith("No advice: ")


def test_a_link_brings_the_view_back():
    from urllib.parse import parse_qs

    view = View("x*tanh(exp(x)) + 1 & <b>", "relu", 1.25, 0.5, 77)
    arguments = {name: [value.encode() for value in values] for name, values in parse_qs(view.query[1:]).items()}
    assert view_from(arguments, View()) == view
    odd = {"phi": [b"\xff\xfe" + b"x" * 9000], "sigma_w": [b"nan"], "sigma_b": [b"-3"], "depth": [b"seven"]}
    found = view_from(odd, View())
    assert len(found.activation) == 2000
    assert (found.sigma_w, found.sigma_b, found.depth) == (1.3, 0.0, 50)
    assert math.isfinite(view_from({"sigma_w": [b"inf"]}, View()).sigma_w)


@pytest.fixture(scope="module")
def worker():
    made = Worker(budget=4.0)
    yield made
    made.close()


def test_a_worker_answers_as_the_function(worker):
    found = worker.ask("point_of", "tanh", 1.7, 0.3, 40)
    np.testing.assert_array_equal(found.variance, point_of("tanh", 1.7, 0.3, 40).variance)
    with pytest.raises(mf.ActivationError, match="can't read the formula"):
        worker.ask("point_of", "tanh(", 1.7, 0.3, 40)
    with pytest.raises(mf.MeanFieldError, match="no task"):
        worker.ask("system", "ls")


def test_a_formula_that_takes_too_long_is_given_up_and_the_next_one_answered():
    slow = Worker(budget=0.01)
    try:
        with pytest.raises(TooSlow, match=r"longer than 0\.01 s"):
            slow.ask("plane_of", "sin(50*x)*abs(x - 0.3)")
        slow.budget = 60.0
        assert slow.ask("point_of", "tanh", 1.3, 0.2, 5).name == "tanh"
    finally:
        slow.close()


def test_what_nobody_waits_for_is_given_up(worker):
    begun = time.monotonic()
    with pytest.raises(Superseded):
        # Hundreds of kinks: seconds of work.
        worker.ask("plane_of", "+".join(f"abs(x-0.{k})*sin({k}*x)" for k in range(1, 90)), wanted=lambda: False)
    assert time.monotonic() - begun < 300
    assert worker.ask("point_of", "tanh", 1.3, 0.2, 5).name == "tanh"


def test_a_worker_that_dies_is_replaced(worker):
    worker.ask("point_of", "tanh", 1.3, 0.2, 5)
    worker._process._process.kill()
    with pytest.raises(mf.MeanFieldError, match="started anew"):
        worker.ask("point_of", "tanh", 1.3, 0.2, 5)
    assert worker.ask("point_of", "tanh", 1.3, 0.2, 5).name == "tanh"


def test_without_bokeh_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['bokeh'] = None\nimport meanfield as mf\n"
        "try: mf.explore()\nexcept mf.MeanFieldError as error: print(error)\n"
        "from meanfield.cli import main; print(main(['explore', 'tanh']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert 'pip install "meanfield-nets[explore]"' in done.stdout
    assert done.stdout.endswith("64\n")
    assert 'pip install "meanfield-nets[explore]"' in done.stderr


@pytest.mark.parametrize("port", [-1, 65536, True, 1.5, "80"])
def test_ports(port):
    with pytest.raises(mf.DomainError, match=r"port = .* must be a whole number in \[0, 65535\]"):
        mf.explore(port=port)


def test_what_is_compiled_while_nobody_asks_lends_no_time(monkeypatch):
    """A formula has its own budget, whatever the process did before it began with it."""
    program = """
import json, sys, time
sys.path[:] = json.loads(sys.argv[1])
from meanfield.explore.worker import _read, _write
for message in ("ready", "compiling"):
    _write(sys.stdout.buffer, message)
_read(sys.stdin.buffer)
_write(sys.stdout.buffer, "begun")
begun = time.process_time()
while time.process_time() < begun + 3.0:
    pass
_write(sys.stdout.buffer, "late")
"""
    monkeypatch.setattr("meanfield.explore.worker._PROGRAM", program)
    made = Worker(budget=0.2)
    try:
        with pytest.raises(TooSlow):
            made.ask("point_of", "tanh", 1.3, 0.2, 50)
    finally:
        made.close()


def test_two_messages_at_once_are_both_seen(monkeypatch):
    """The answer may come with the word that the question has begun: a buffer must not keep it."""
    program = """
import json, pickle, struct, sys
sys.path[:] = json.loads(sys.argv[1])
from meanfield.explore.worker import _read, _write
_write(sys.stdout.buffer, "ready")
_read(sys.stdin.buffer)
bodies = [pickle.dumps(message) for message in ("begun", "the answer")]
sys.stdout.buffer.write(b"".join(struct.pack("!Q", len(body)) + body for body in bodies))
sys.stdout.buffer.flush()
sys.stdin.buffer.read()
"""
    monkeypatch.setattr("meanfield.explore.worker._PROGRAM", program)
    made = Worker(budget=0.5)
    try:
        assert made.ask("point_of", "tanh", 1.3, 0.2, 50) == "the answer"
    finally:
        made.close()


def test_axes_and_webs():
    """A steep F does not flatten the rest, a flat trajectory has a decade, and each map has its own cobweb."""
    steep = point_of("x + 0.3*x**3", 2.0, 0.1, 5)
    told = json.loads(points_told(View("x + 0.3*x**3"), [steep]))
    assert steep.variance[np.isfinite(steep.variance)].max() > 10.0 * steep.q[-1]
    assert told["maps"]["y"][1] <= 5.0 * steep.q[-1]
    flat = point_of("relu", math.sqrt(2.0), 0.0, 1)
    low, high = json.loads(points_told(View("relu"), [flat]))["trajectory"]["y"]
    assert high >= 10.0 * low
    still = replace(flat, epsilon=np.ones(2), gradient=np.ones(2), q1=np.ones(2))
    assert json.loads(points_told(View("relu"), [still]))["trajectory"]["y"] == [1.0, 10.0]
    tanh = point_of("tanh", 1.5, 0.3, 30)
    lines = json.loads(points_told(View(), [tanh]))
    for figure, web in (("maps", tanh.variance_web), ("correlations", tanh.correlation_web)):
        np.testing.assert_allclose(lines[figure]["lines"]["xs"][2], web[0], rtol=1e-4)
        np.testing.assert_allclose(lines[figure]["lines"]["ys"][2], web[1], rtol=1e-4)
