"""What only a process of its own can show: pipes, signals, exit statuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

COMMAND = [sys.executable, "-m", "meanfield"]


def test_exit_statuses_reach_the_shell():
    good = subprocess.run([*COMMAND, "activations", "--csv"], capture_output=True, text=True, timeout=120)
    assert (good.returncode, good.stderr) == (0, "")
    bad = subprocess.run([*COMMAND, "eoc", "tahn"], capture_output=True, text=True, timeout=120)
    assert (bad.returncode, bad.stdout) == (64, "")
    assert "Traceback" not in bad.stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_closed_pipe_is_quiet(unbuffered):
    process = subprocess.Popen(
        [*COMMAND, "eoc", "relu", "--sigma-b", "0:1:0.0001", "--csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert process.stdout.read(1) == b"s"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
@pytest.mark.parametrize("words", [["activations", "--csv"], ["eoc", "relu", "--sigma-b", "0", "--json"]])
def test_pipe_closed_before_a_short_answer_is_quiet(words):
    # What fits into Python's buffer fails only when that is flushed.
    process = subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": ""}
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_ends_with_130_and_no_traceback():
    # The engine is held up, so that the signal meets the command at work.
    code = (
        "import sys, time, meanfield.theory.edge_of_chaos as home\n"
        "def wait(*_, **__):\n    sys.stderr.write('at work\\n'); sys.stderr.flush(); time.sleep(60)\n"
        "home.edge_of_chaos = wait\n"
        "from meanfield.cli import main\n"
        "sys.exit(main(['eoc', 'tanh']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    assert process.stderr.readline() == "at work\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk_is_said():
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "activations", "--json"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 74
    assert done.stderr.startswith("meanfield: error: ")
    assert "Traceback" not in done.stderr


def test_progress_is_shown_to_those_who_ask():
    code = (
        "import logging, sys\n"
        "from meanfield.cli.progress_log import show_progress\n"
        "show_progress(verbose=bool(int(sys.argv[1])))\n"
        "logging.getLogger('meanfield').info('compiling')\n"
    )
    for verbose, expected in (("0", ""), ("1", "meanfield: compiling\n")):
        done = subprocess.run([sys.executable, "-c", code, verbose], capture_output=True, text=True, check=True, timeout=60)
        assert (done.stdout, done.stderr) == ("", expected)


def test_closed_streams_are_met_without_a_traceback(tmp_path):
    """What a service manager or ``>&-`` leaves a process with."""
    place = tmp_path / "page.html"
    command = f"{sys.executable} -m meanfield"
    for line, status, said in (
        ("eoc tanh --sigma-b 0.2 >&-", 74, "standard output is closed"),
        ("--help >&-", 74, "standard output is closed"),
        (f"report tanh -o {place} >&-", 0, "wrote"),
        ("eoc tanh --sigma-b 0.2 2>&-", 0, ""),
        ("eoc tahn 2>&-", 64, ""),
    ):
        done = subprocess.run(["/bin/sh", "-c", f"{command} {line}"], capture_output=True, text=True, timeout=120)
        assert done.returncode == status, (line, done.stderr)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert place.read_text().startswith("<!DOCTYPE html>")
