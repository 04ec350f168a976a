"""The end of a process: by signals, by a second one, and with the ``mlflow run`` that started it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from benchmark.utils import signals
from benchmark.utils.signals import Interrupted, ended_by_signals
from support.samples import heed_signals

BODY = """
import subprocess, sys, time
from benchmark.utils.signals import Interrupted, ended_by_signals
try:
    with ended_by_signals():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        try:
            print(child.pid, flush=True)
            time.sleep(60)
        finally:
            print("closing", flush=True)
            time.sleep(CLOSING)
            child.kill()
except Interrupted as stop:
    print(stop, flush=True)
    sys.exit(stop.status)
"""


def started(closing=0.0, **options):
    """Start a process that takes some seconds to close after a signal; return it and its child's id."""
    command = [sys.executable, "-c", BODY.replace("CLOSING", str(closing))]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, **{"preexec_fn": heed_signals} | options
    )
    return process, int(process.stdout.readline())


def runs(pid):
    """Return whether a process runs; one that nobody has waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ends(pid, seconds=20.0):
    """Return whether a process ends within some seconds."""
    until = time.monotonic() + seconds
    while runs(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not runs(pid)


@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_closes_what_is_open(number, status):
    """The exit status is 128 plus the number of the signal, and blocks that clean up are run."""
    process, _ = started()
    process.send_signal(getattr(signal, number))
    assert process.communicate(timeout=20)[0].split() == ["closing", number]
    assert process.returncode == status


def test_a_second_ctrl_c_ends_at_once():
    """Open blocks are not closed, and the children are killed."""
    process, child = started(closing=60)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "closing\n"
    time.sleep(2 * signals.AGAIN_SECONDS)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert ends(child)


def test_a_term_after_ctrl_c_does_not_cut_the_closing_short():
    """MLflow passes a Ctrl-C on as a SIGTERM, which the process has received by then."""
    process, _ = started(closing=1.5)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "closing\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20)[0] == "SIGINT\n"
    assert process.returncode == 130


def test_an_ignored_signal_stays_ignored():
    """Under ``nohup`` the end of the terminal does not end the process."""
    process, _ = started(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    process.terminate()
    assert process.wait(timeout=20) == 143


def test_handlers_are_restored():
    """After the block signals do what they did before."""
    before = [signal.getsignal(number) for number in signals.ENDING]
    with pytest.raises(Interrupted, match="SIGTERM"), ended_by_signals():
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in signals.ENDING] == before


def started_by(launcher, tmp_path, **environ):
    """Start the process by a command; return the launcher and the process's child as signs of both."""
    script = tmp_path / "body.py"
    script.write_text(BODY.replace("CLOSING", "0"))
    command = [word.replace("PYTHON", sys.executable).replace("SCRIPT", str(script)) for word in launcher]
    environ = {k: v for k, v in os.environ.items() if k != "MLFLOW_RUN_ID"} | environ
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
    return process, int(process.stdout.readline())


SHELL = ["bash", "-c", "PYTHON SCRIPT; true"]
MLFLOW = ["PYTHON", "-c", f"import subprocess; subprocess.run({SHELL!r})"]  # the way `mlflow run` starts it


def test_a_run_ends_with_the_mlflow_run_that_started_it(tmp_path):
    """A SIGKILL of the grandparent, beyond a shell, ends the process and its children."""
    process, child = started_by(MLFLOW, tmp_path, MLFLOW_RUN_ID="a1")
    process.kill()
    assert ends(child)


@pytest.mark.parametrize("environ", [{}, {"MLFLOW_RUN_ID": "a1"}])
def test_a_background_run_outlives_its_shell(tmp_path, environ):
    """Where no Python process started the shell, its end is no reason to end."""
    script = tmp_path / "background.sh"
    # the first shell ends, so that the second is no child of this test
    script.write_text(f"(bash -c 'sleep 1; {sys.executable} {tmp_path / 'body.py'} & wait' &)")
    process, child = started_by(["bash", str(script)], tmp_path, **environ)
    run = psutil.Process(child).parent()
    shell = run.parent()
    assert os.getpid() not in [ancestor.pid for ancestor in shell.parents()]
    shell.kill()
    assert not ends(child, 3)
    run.terminate()
    assert ends(child)
    process.stdout.close()
    process.wait()
