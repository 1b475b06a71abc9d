"""Training teaches the answers and nothing else; it goes on after a kill as if nothing had been, or changes nothing."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tcellmil.c2s._models._weights import copied, digest_of, named_weights
from tcellmil.c2s._training import _checkpoint, _train
from tcellmil.c2s._training._token_rows import IGNORE, TokenRows
from tcellmil.c2s._training._train import answer_loss, mean_loss, train_rows
from tcellmil.c2s._training._train_config import LanguageTraining

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

VARIANTS = [("llama", False), ("llama", True), ("gpt_neox", False), ("gpt_neox", True)]
OPTIONS = LanguageTraining(lr=3e-3, batch_tokens=64, max_epochs=1)


def digest(lm):
    return digest_of(named_weights(lm.model))


def interrupt_at(step, monkeypatch):
    """Have Ctrl-C come at the begin of a step."""
    train_step = _train._Run._train_step

    def interrupted(self, batch):
        if self.step == step:
            raise KeyboardInterrupt
        train_step(self, batch)

    monkeypatch.setattr(_train._Run, "_train_step", interrupted)


@pytest.mark.parametrize("architecture", ["llama", "gpt_neox", "gemma2"])
def test_the_loss_is_that_of_each_row_alone_on_its_answer(toy, architecture):
    lm = toy.tiny(architecture)
    rows = toy.examples(lm, n=7)
    loss, n = answer_loss(lm, rows, np.arange(7))
    alone = torch.zeros(())
    for start, stop in zip(rows.starts[:-1], rows.starts[1:], strict=True):
        ids, labels = (torch.as_tensor(values[start:stop])[None] for values in (rows.input_ids, rows.labels))
        n_row = int((labels[0, 1:] != IGNORE).sum())
        alone = alone + n_row * lm.model(input_ids=ids, labels=labels).loss.detach()
    assert n == rows.n_answer.sum()
    assert loss.item() == pytest.approx(alone.item(), rel=1e-5)


def test_answers_of_all_lengths_count_the_same(toy):
    lm = toy.tiny()
    rows = TokenRows.of([[3, 4, 5, 6, 7], [3, 4]], [[IGNORE, 4, 5, 6, 7], [IGNORE, 4]])
    long, short = (answer_loss(lm, rows, np.array([i])) for i in range(2))
    assert (long[1], short[1]) == (4, 1)
    loss, n = answer_loss(lm, rows, np.arange(2), "examples")
    assert n == 2 and loss.item() == pytest.approx((long[0] / 4 + short[0]).item(), rel=1e-5)
    assert mean_loss(lm, rows, 2, "examples") == pytest.approx(loss.item() / 2, rel=1e-5)
    assert mean_loss(lm, rows, 2) == pytest.approx((long[0] + short[0]).item() / 5, rel=1e-5)


def test_the_gradient_is_that_of_the_loss_of_transformers(toy):
    ours, theirs = toy.tiny(), toy.tiny()
    rows = toy.examples(ours, n=5)
    loss, n = answer_loss(ours, rows, np.arange(5))
    (loss / n).backward()
    ids, _, _ = rows.batch(np.arange(5), ours.pad_id)
    labels = np.full(ids.shape, IGNORE)
    for i, (start, stop) in enumerate(zip(rows.starts[:-1], rows.starts[1:], strict=True)):
        labels[i, : stop - start] = rows.labels[start:stop]
    ids, labels = torch.as_tensor(ids), torch.as_tensor(labels)
    theirs.model(input_ids=ids, attention_mask=(ids != 0).long(), labels=labels).loss.backward()
    expected = named_weights(theirs.model)
    for name, p in named_weights(ours.model).items():
        assert torch.allclose(p.grad, expected[name].grad, atol=1e-6), name


def test_the_prompt_is_not_taught(toy):
    one, other = toy.tiny(), toy.tiny()
    rows = toy.examples(one)
    train_rows(one, rows, None, OPTIONS, accelerator="cpu", progress=False)
    taught = np.where(rows.labels == IGNORE, rows.input_ids, rows.labels)
    train_rows(other, TokenRows(rows.input_ids, taught, rows.starts), None, OPTIONS, accelerator="cpu", progress=False)
    assert digest(one) != digest(other)


def test_a_tiny_model_learns_what_decides_the_label(toy):
    lm = toy.tiny()
    held_out = toy.examples(lm, n=40, seed=5)
    before = mean_loss(lm, held_out, 4096)
    history = toy.run(lm, max_epochs=30, batch_tokens=512, lr=1e-2, patience=30)
    assert mean_loss(lm, held_out, 4096) < 0.35 * before
    assert history.frame()["train_loss"].iloc[-1] < history.frame()["train_loss"].iloc[0]


def test_the_history_has_a_row_an_epoch_and_a_loss_a_step(toy):
    history = toy.run(toy.tiny(), patience=9)
    frame = history.frame()
    assert frame["epoch"].tolist() == [1, 2, 3] and frame["step"].iloc[-1] == len(history.losses)
    assert np.isfinite(frame.to_numpy()).all() and not history.stopped
    assert history.best_epoch == frame["epoch"][frame["validation_loss"].idxmin()]
    assert toy.run(toy.tiny(), max_steps=5).frame()["step"].tolist()[-1] == 5


def test_without_validation_the_last_weights_are_kept(toy):
    lm = toy.tiny()
    history = train_rows(lm, toy.examples(lm), None, OPTIONS, accelerator="cpu", progress=False)
    assert history.best_epoch == 1 and history.frame()["validation_loss"].isna().all()
    assert not lm.model.training and all(p.grad is None for p in lm.model.parameters())


def test_early_stopping_keeps_the_weights_of_the_best_epoch(toy, monkeypatch):
    lm, losses, seen = toy.tiny(), iter([3.0, 1.0, 2.0, 2.5, 0.1]), []

    def fake(lm, rows, batch_tokens, average):
        seen.append(digest(lm))
        return next(losses)

    monkeypatch.setattr(_train, "mean_loss", fake)
    history = toy.run(lm, max_epochs=5, patience=2)
    assert history.stopped and history.best_epoch == 2 and len(history.epochs) == 4
    assert digest(lm) == seen[1] != seen[3]


def test_without_patience_all_epochs_are_run_and_the_last_weights_kept(toy, monkeypatch):
    lm, losses, seen = toy.tiny(), iter([1.0, 2.0, 3.0, 4.0]), []

    def fake(lm, rows, batch_tokens, average):
        seen.append(digest(lm))
        return next(losses)

    monkeypatch.setattr(_train, "mean_loss", fake)
    history = toy.run(lm, max_epochs=4, patience=None)
    assert not history.stopped and history.best_epoch == 4
    assert history.frame()["validation_loss"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert digest(lm) == seen[3]


def test_one_seed_gives_the_same_and_leaves_global_numbers_alone(toy):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one, same, other = (toy.tiny(attention_dropout=0.1) for _ in range(3))
    losses = [toy.run(lm, seed=seed).losses for lm, seed in ((one, 0), (same, 0), (other, 1))]
    assert losses[0] == losses[1] != losses[2] and digest(one) == digest(same)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("architecture", "tied"), VARIANTS)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(toy, architecture, tied, tmp_path, monkeypatch):
    whole, resumed = toy.tiny(architecture, tied), toy.tiny(architecture, tied)
    before = digest(resumed)
    expected = toy.run(whole)
    with monkeypatch.context() as patched:
        interrupt_at(11, patched)
        with pytest.raises(KeyboardInterrupt):
            toy.run(resumed, checkpoint=tmp_path / "run")
    assert digest(resumed) == before
    history = toy.run(resumed, checkpoint=tmp_path / "run")
    assert history.losses == pytest.approx(expected.losses, abs=1e-6)
    assert history.frame().equals(expected.frame()) and digest(resumed) == digest(whole)
    again = toy.tiny(architecture, tied)
    assert toy.run(again, checkpoint=tmp_path / "run").losses == history.losses and digest(again) == digest(whole)


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_it_had_not_been(toy, tmp_path):
    """One process imports the libraries; of its children, one a variant, each kills itself within a step."""
    program = """
        import os, runpy, signal, sys
        from tcellmil.c2s._training import _train

        toy, train_step = runpy.run_path(sys.argv[1]), _train._Run._train_step
        toy["run"](toy["tiny"](*toy["VARIANTS"][0]), max_steps=1)  # imports what the children need
        toy["tiny"](*toy["VARIANTS"][-1])

        def killed(self, batch):
            if self.step == 10:
                os.kill(os.getpid(), signal.SIGKILL)
            train_step(self, batch)

        for architecture, tied in toy["VARIANTS"]:
            child = os.fork()
            if not child:
                _train._Run._train_step = killed
                toy["run"](toy["tiny"](architecture, tied), checkpoint=f"{sys.argv[2]}/{architecture}{tied}")
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(Path(__file__).parents[1] / "toy.py"), str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.stdout.split() == [str(-signal.SIGKILL)] * 4
    for architecture, tied in VARIANTS:
        folder = tmp_path / f"{architecture}{tied}"
        assert (folder / _checkpoint.FILE).exists()
        whole, resumed = toy.tiny(architecture, tied), toy.tiny(architecture, tied)
        assert whole.is_tied == tied
        expected, history = toy.run(whole), toy.run(resumed, checkpoint=folder)
        assert len(expected.losses) > 12 and history.losses == pytest.approx(expected.losses, abs=1e-6)
        for name, p in named_weights(resumed.model).items():
            assert torch.allclose(p, named_weights(whole.model)[name], atol=1e-6), name


def test_a_kill_while_the_checkpoint_is_written_leaves_the_one_before(toy, tmp_path, monkeypatch):
    expected = toy.run(toy.tiny())
    replace, seen = os.replace, []

    def killed(*paths):
        seen.append(paths)
        if len(seen) == 3:
            raise KeyboardInterrupt
        replace(*paths)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            toy.run(toy.tiny(), checkpoint=tmp_path)
    (tmp_path / _checkpoint.UNFINISHED).write_bytes(b"half")
    assert toy.run(toy.tiny(), checkpoint=tmp_path).losses == pytest.approx(expected.losses, abs=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == [_checkpoint.FILE]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 1e-3}, r"is of a run with other \['lr='\]; delete it, choose another folder, or pass resume=False"),
        ({"seed": 4}, r"other \['seed='\]"),
        ({"max_epochs": 2, "batch_tokens": 80}, r"other \['max_epochs=', 'batch_tokens='\]"),
    ],
)
def test_a_checkpoint_of_other_arguments_is_refused(toy, tmp_path, change, message):
    toy.run(toy.tiny(), checkpoint=tmp_path)
    lm = toy.tiny()
    before = digest(lm)
    with pytest.raises(ValueError, match=message):
        toy.run(lm, checkpoint=tmp_path, **change)
    assert digest(lm) == before
    assert toy.run(lm, checkpoint=tmp_path, resume=False, **change).losses


def test_a_checkpoint_of_other_data_or_weights_is_refused(toy, tmp_path):
    lm = toy.tiny()
    rows = toy.examples(lm), toy.examples(lm, n=8, offset=1)
    options = {"accelerator": "cpu", "progress": False, "checkpoint": tmp_path}
    train_rows(lm, *rows, OPTIONS, **options)
    for other, message in (
        ((toy.tiny(), toy.examples(lm, seed=1), rows[1]), r"with other \['training examples'\]"),
        ((toy.tiny(), rows[0], toy.examples(lm, n=9)), r"with other \['validation examples'\]"),
        ((toy.tiny(), rows[0], None), r"with other \['validation examples'\]"),
        ((toy.tiny(seed=1), *rows), r"with other \['weights at the start'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            train_rows(*other, OPTIONS, **options)


def test_what_is_no_checkpoint_is_refused(toy, tmp_path):
    from safetensors.torch import save_file

    file = tmp_path / _checkpoint.FILE
    file.write_bytes(b"junk")
    with pytest.raises(ValueError, match="training.safetensors cannot be read .*; delete it, choose another folder"):
        toy.run(toy.tiny(), checkpoint=tmp_path)
    save_file({"x": torch.zeros(1)}, file)
    with pytest.raises(ValueError, match="training.safetensors is no checkpoint of this version"):
        toy.run(toy.tiny(), checkpoint=tmp_path)
    save_file({"x": torch.zeros(1)}, file, {"tcellmil": json.dumps({"format": 99})})
    with pytest.raises(ValueError, match="is no checkpoint of this version"):
        toy.run(toy.tiny(), checkpoint=tmp_path)


def test_a_loss_that_is_not_finite_ends_the_run_and_changes_nothing(toy):
    lm = toy.tiny()
    with torch.no_grad():
        next(lm.model.parameters())[5] = float("nan")
    before = copied(named_weights(lm.model))
    with pytest.raises(ValueError, match="the loss of step 1 is nan; use a lower lr than 0.003"):
        toy.run(lm)
    assert all(torch.equal(w, before[name]) or w.isnan().any() for name, w in named_weights(lm.model).items())


def test_weights_of_half_precision_are_trained_as_float32(toy):
    lm = toy.tiny()
    lm.model.to(torch.bfloat16)
    toy.run(lm, max_steps=2)
    assert {p.dtype for p in lm.model.parameters()} == {torch.float32}
    lm.model.to(torch.bfloat16)
    with pytest.raises(ValueError, match="the loss of step"):
        with torch.no_grad():
            next(lm.model.parameters()).fill_(float("nan"))
        toy.run(lm, max_steps=2)
    assert {p.dtype for p in lm.model.parameters()} == {torch.bfloat16}


def test_frozen_models_and_rows_that_do_not_fit_are_refused(toy):
    lm = toy.tiny()
    long = TokenRows.of([[3] * 33], [[3] * 33])
    with pytest.raises(ValueError, match="1 of 1 training examples have more than the 32 tokens"):
        train_rows(lm, long, accelerator="cpu")
    with pytest.raises(ValueError, match="1 of 1 validation examples have more than the 32 tokens"):
        train_rows(lm, toy.examples(lm), long, accelerator="cpu")
    lm.model.requires_grad_(False)
    with pytest.raises(ValueError, match="no weight of the model is trained"):
        toy.run(lm)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_epochs": 0}, "max_epochs=0 must be a whole number of at least 1"),
        ({"max_steps": 0.5}, "max_steps=0.5 must be a whole number"),
        ({"batch_tokens": -1}, "batch_tokens=-1 must be"),
        ({"lr": 0}, "lr=0 must be positive"),
        ({"max_grad_norm": 0}, "max_grad_norm=0 must be positive"),
        ({"weight_decay": -1}, "weight_decay=-1 must be a number of at least 0"),
        ({"warmup": 1}, "warmup=1 must be a share of the steps"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LanguageTraining(**options)


def test_the_learning_rate_rises_then_falls_to_nothing():
    plan = LanguageTraining(lr=2.0, warmup=0.2)
    rates = [plan.lr_at(step, 50) for step in range(50)]
    assert np.argmax(rates) in (9, 10) and max(rates) == 2.0 and 0 < rates[-1] < 0.06
    assert (np.diff(rates[:10]) > 0).all() and (np.diff(rates[10:]) < 0).all()
    assert LanguageTraining(warmup=0.0).lr_at(0, 1) == 1e-5
