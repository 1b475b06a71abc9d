"""Runs end as the user ends them: Ctrl-C, SIGTERM and SIGKILL while something computes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parents[1] / "fuzz" / "interrupts.py"
LONG_TRAINING = """
import tcellmil as tm
adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
adata.obsm["X_few"] = adata.X[:, :12].toarray()
fit = {"sample_key": "patient", "label_key": "response", "use_rep": "X_few", "cv": 2, "progress": False}
tm.tl.fit_mil(adata, training={"max_epochs": 2}, **fit)
print("begins", flush=True)
def work():
    tm.tl.fit_mil(adata, training={"max_epochs": 1_000_000}, **fit)
"""
LONG_INFERENCE = """
import numpy as np
from tcellmil.regulons import infer_grn
X = np.random.default_rng(0).poisson(2.0, (4000, 400)).astype(np.float32)
genes = [f"G{i}" for i in range(400)]
infer_grn(X[:60, :5], genes[:5], genes[:2])
print("begins", flush=True)
def work():
    infer_grn(X, genes, genes[:200])
"""
END = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent that ignores it hands that on
try:
    work()
    print("done")
except KeyboardInterrupt:
    print("KeyboardInterrupt")
    print(time.time(), file=sys.stderr)
"""


def children(pid):
    """Processes that a process started and that run."""
    found = subprocess.run(["ps", "-o", "pid=,stat=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if not line.split()[1].startswith("Z")]


def ended_by(number, code, is_running, *, with_worker=False):
    """Exit status and output of a script that gets a signal, seconds until it notices and until all is over."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    run = subprocess.Popen([sys.executable, "-c", code + END], **pipes)
    try:
        assert run.stdout.readline() == "begins\n", run.stderr.read()
        time.sleep(1.5)
        workers = children(run.pid)
        assert bool(workers) == with_worker
        start = time.time()
        run.send_signal(number)
        output, messages = run.communicate(timeout=60)
        while any(map(is_running, workers)):
            assert time.time() < start + 60
            time.sleep(0.05)
        took = time.time() - start
        return run.returncode, output, float(messages.split()[-1]) - start if output else None, took
    finally:
        run.kill()
        run.wait()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_sigterm_ends_training_and_the_script(is_running):
    status, output, _, took = ended_by(signal.SIGTERM, LONG_TRAINING, is_running)
    assert (status, output) == (-signal.SIGTERM, "")  # 143 in a shell
    assert took < 2


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("number", "status", "output"),
    [
        (signal.SIGINT, 0, "KeyboardInterrupt\n"),
        (signal.SIGTERM, -signal.SIGTERM, ""),
    ],
)
def test_a_signal_ends_network_inference_and_its_process(number, status, output, is_running):
    found, said, until_caught, took = ended_by(number, LONG_INFERENCE, is_running, with_worker=True)
    assert (found, said) == (status, output)
    assert (until_caught if number == signal.SIGINT else took) < 2


@pytest.mark.slow
def test_interrupts_at_random_moments_leave_nothing_behind():
    if not FUZZ.exists():
        pytest.skip("the scripts that look for faults are not part of this installation")
    command = [sys.executable, str(FUZZ), "--moments", "1", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    verbs = [line.partition(":")[0] for line in done.stdout.splitlines() if "moments" in line]
    assert verbs == ["grn", "regulons", "fit_mil", "perturb", "shap"]
