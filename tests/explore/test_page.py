"""The page in headless Chromium: typing, dragging, keys, bad formulas, links, sizes; who may connect."""

from __future__ import annotations

import contextlib
import itertools
import urllib.error
import urllib.request

import pytest

import meanfield as mf
from tests.explore.browser import Browser, chromium, until

pytest.importorskip("bokeh", reason='bokeh is not installed: pip install ".[explore]"')

HOSTILE = [
    "",
    " ",
    "tanh(",
    ")",
    "x x",
    "tanh(x",
    "1/0",
    "x/0",
    "0/0",
    "x**x**x**x",
    "9**9**9**9",
    "9**(9**9)*x",
    "exp(exp(exp(exp(x))))",
    "log(-1)",
    "sqrt(-x**2)",
    "__import__('os').system('touch HIT')",
    "open('HIT','w')",
    "eval('1')",
    "exec('1')",
    "().__class__.__bases__",
    "x.__class__",
    "lambda x: x",
    "[x for x in range(9)]",
    "{x}",
    "f'{x}'",
    "import os",
    "x; import os",
    "x\nimport os",
    "globals()",
    "getattr(x,'y')",
    "os.system('ls')",
    "<script>document.title='HIT'</script>",
    "<img src=x onerror=\"document.title='HIT'\">",
    '"><b>x',
    "'; DROP TABLE x; --",
    "${7*7}",
    "{{7*7}}",
    "%s%s%s",
    "../../etc/passwd",
    "C:\\x",
    "\\x00",
    "τανh(x)",
    "tanh(ｘ)",
    "💥",
    "\u202ex*tanh(x)",
    "x" * 1500,
    "(" * 300 + "x" + ")" * 300,
    "-" * 400 + "x",
    "+".join(["x"] * 400),
    "*".join(["tanh(x)"] * 60),
    "x**" * 30 + "2",
    "y",
    "x + y",
    "nan",
    "inf",
    "-inf",
    "nan*x",
    "inf*x",
    "1e999*x",
    "1e308*x",
    "1e-320*x",
    "x**1000",
    "x**-3",
    "abs(x)**0.01",
    "where(x>0,1/x,0)",
    "where(x",
    "where(x>0)",
    "x > 0",
    "x == 0",
    "not x",
    "x and 1",
    "sign(sign(x))",
    "heaviside(x)",
    "sin(1e9*x)",
    "tan(x)",
    "arctanh(x)",
    "log(x)",
    "sqrt(x)",
    "acos(x)",
    "erfc(x)*1e300",
    "exp(x**2)",
    "exp(-1/x**2)",
    "max(x,min(x,max(x,min(x,1))))",
    "clip(x)",
    "clip(x,1,0)",
    "tanh()",
    "tanh(x,x)",
    "tanh x",
    "relu6(x)",
    "0",
    "1",
    "x*0",
    "3",
    "pi",
    "e",
    "-x",
    "x//2",
    "x%2",
    "x@x",
    "~x",
    "x<<1",
    "x if x else 1",
    "0x10*x",
    "1_000*x",
    "1j*x",
    "x!",
    "x'",
    "…",
    "–x",
    "x²",
    "√x",
    "σ(x)",
]


_STATE = "[window.shown.data.query[0], document.getElementById('message').innerHTML].join()"


@pytest.fixture(scope="module")
def browser():
    if chromium() is None:
        reason = "NO CHROMIUM HERE: THE PAGE OF mf.explore WAS NOT TRIED (apt-get install chromium)"
        pytest.skip(reason)
    made = Browser()
    yield made
    made.close()


@pytest.fixture(scope="module")
def page():
    with mf.explore("tanh", open_browser=False) as made:
        yield made


@pytest.fixture
def opened(browser, page):
    browser.look_like(1280, 900)
    browser.open("about:blank")
    browser.complaints.clear()
    browser.open(page.url)
    browser.watch()
    until(lambda: browser.ask("window.shown.data.plane[0]") == "tanh", 120, "the phase diagram")
    return browser


def test_typing(opened):
    until(lambda: opened.ask("window.shown.data.plane[0]") == "tanh", 60)
    plane = "Bokeh.documents[0].get_model_by_name('plane')"
    opened.ask(f"window.of = Bokeh.index.get_by_id({plane}.id).el.style; window.faded = 0; 0")
    opened.ask(
        "new MutationObserver(() => { window.faded += window.of.opacity === '0.4' })"
        f".observe(Bokeh.index.get_by_id({plane}.id).el, {{attributes: true}}); 0"
    )
    opened.focus("formula")
    opened.type("relu")
    until(lambda: opened.query() == "?phi=relu&sigma_w=1.3&sigma_b=0.2&depth=50", 60)
    assert "relu" in opened.text("verdict")
    until(lambda: opened.ask("location.search") == opened.query(), 20)
    until(lambda: opened.ask("window.shown.data.plane[0]") == "relu", 60)
    assert opened.ask("window.faded") >= 1  # while it was that of tanh
    until(lambda: opened.ask("window.of.opacity") == "", 20)
    until(lambda: "At 50 layers" in opened.text("advice"), 60)
    opened.focus("other")
    opened.type("x*tanh(exp(x))")
    until(lambda: "&with=x" in opened.query(), 60)
    assert opened.text("verdict").count("<p>") == 2
    assert opened.text("table").count("<td>") == 2 * opened.text("table").count("<tr>") - 2
    assert opened.complaints == []


def test_dragging_and_keys(opened):
    left, top, width, height = opened.box("plane")
    opened.mouse("mousePressed", left + 0.4 * width, top + 0.5 * height)
    for step in range(5):
        opened.mouse("mouseMoved", left + (0.4 + 0.05 * step) * width, top + (0.5 - 0.05 * step) * height)
    opened.mouse("mouseReleased", left + 0.6 * width, top + 0.3 * height)
    w, b = opened.value("sigma_w"), opened.value("sigma_b")
    assert w > 1.8
    assert b > 0.5
    until(lambda: opened.query() == f"?phi=tanh&sigma_w={w:.6g}&sigma_b={b:.6g}&depth=50", 60)
    opened.mouse("mouseMoved", left + 0.3 * width, top + 0.5 * height)  # let go: the point stays
    assert opened.value("sigma_w") == w
    opened.key("ArrowLeft")  # the diagram has the focus
    opened.focus("depth")
    opened.key("ArrowRight")
    until(lambda: opened.query() == f"?phi=tanh&sigma_w={w - 0.01:.6g}&sigma_b={b:.6g}&depth=51", 60)
    opened.focus("sigma_b")
    opened.key("ArrowLeft")
    until(lambda: f"sigma_b={b - 0.01:.6g}&" in opened.query(), 60)
    assert opened.complaints == []


def test_a_bad_formula_is_told_and_the_picture_stays(opened):
    before = opened.query()
    opened.focus("formula")
    opened.type("tanh(x")
    until(lambda: "can't read the formula" in opened.text("message"), 60)
    assert opened.query() == before
    opened.focus("formula")
    opened.type("tanh")
    until(lambda: opened.text("message") == "", 60)
    assert opened.complaints == []


def test_a_link_opens_its_view(browser, page):
    browser.open(page.url.partition("?")[0] + "?phi=silu&with=relu&sigma_w=1.7&sigma_b=0.1&depth=20")
    browser.watch()
    assert browser.query() == "?phi=silu&with=relu&sigma_w=1.7&sigma_b=0.1&depth=20"


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1280, True)])
def test_it_fits_a_phone_and_the_dark(opened, width, dark):
    opened.look_like(width, 844, dark, touch=width == 390)
    until(lambda: opened.ask("innerWidth") == width, 20)
    until(lambda: opened.box("plane")[2] <= width, 20)
    assert opened.ask("document.documentElement.scrollWidth") <= width
    assert opened.ask("getComputedStyle(document.body).filter").startswith("invert" if dark else "none")
    assert opened.ask("Bokeh.index.get_by_id(Bokeh.documents[0].get_model_by_name('plane').id).el.style.touchAction") == "none"
    assert opened.complaints == []


def test_hostile_formulas(opened, tmp_path, monkeypatch):
    """200 texts, half a second each at most; then the page still answers."""
    monkeypatch.chdir(tmp_path)
    for formula in itertools.islice(itertools.cycle(HOSTILE), 200):
        opened.focus("formula")
        before = opened.ask(_STATE)
        opened.type(formula or "x+")
        with contextlib.suppress(AssertionError):  # some take their whole budget; the next is typed meanwhile
            until(lambda before=before: opened.ask(_STATE) != before, 0.5)
    opened.focus("formula")
    opened.type("erf(x)")
    until(lambda: opened.query().startswith("?phi=erf%28x%29&"), 120, "an answer")
    assert opened.ask("document.title") == "meanfield explore"
    assert list(tmp_path.iterdir()) == []
    assert opened.complaints == []


def test_connections_from_elsewhere_are_refused(page):
    from tornado.httpclient import HTTPClientError, HTTPRequest
    from tornado.ioloop import IOLoop
    from tornado.websocket import websocket_connect

    host = page.url.partition("//")[2].partition("/")[0]
    assert host.startswith("127.0.0.1:")

    def connect(origin: str) -> None:
        loop = IOLoop(make_current=False)
        try:
            loop.run_sync(lambda: websocket_connect(HTTPRequest(f"ws://{host}/ws", headers={"Origin": origin})), timeout=30)
        finally:
            loop.close()

    for origin in ("http://evil.example", f"http://evil.example:{host.partition(':')[2]}", "null"):
        with pytest.raises(HTTPClientError, match="403"):
            connect(origin)


def test_a_function_of_ones_own_and_the_end():
    page = mf.explore(mf.activation(lambda x: x / (1 + abs(x)), name="mine"), open_browser=False)
    assert "phi=mine" in page.url
    assert page._ask("point_of", "mine", 1.5, 0.1, 10, wanted=lambda: True).name == "mine"
    assert page.url in repr(page)
    assert "<iframe" in page._repr_html_()
    with urllib.request.urlopen(page.url, timeout=60) as reply:
        assert b"meanfield explore" in reply.read()
    port = int(page.url.split(":")[2].partition("/")[0])
    with pytest.raises(mf.MeanFieldError, match=f"can't be served on port {port}"):
        mf.explore(port=port, open_browser=False)
    page.close()
    page.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(page.url, timeout=5)


def test_a_slip_leaves_no_process(monkeypatch):
    """The process that computes is started before the formula is read."""
    from meanfield.explore import worker

    made = []

    class Seen(worker.Worker):
        def __init__(self, *given, **more):
            super().__init__(*given, **more)
            made.append(self)

    monkeypatch.setattr(worker, "Worker", Seen)
    with pytest.raises(mf.ActivationError, match="did you mean tanh"):
        mf.explore("tahn", open_browser=False)
    (one,) = made
    assert one._process._process.poll() is not None


def test_command_line(tmp_path):
    import signal
    import subprocess
    import sys

    words = [sys.executable, "-m", "meanfield", "explore", "gelu", "--no-browser"]
    # Where this run was started with Ctrl-C ignored, as a shell's background job, the program would ignore it too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        program = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    with program:
        assert program.stdout
        address = program.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        assert "?phi=gelu&" in address
        program.send_signal(signal.SIGINT)
        try:
            assert program.wait(timeout=60) in (0, 130)  # 130: before it had begun to wait
        finally:
            program.kill()
