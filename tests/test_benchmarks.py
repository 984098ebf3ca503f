"""The page that benchmarks/all.py writes, where nothing but tables change; what accuracy.py compares."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import accuracy
import all as writer
import cameras
import correcting
import machine
import numpy as np
import pytest

import checkpoint
from card import WEIGHTS, Card
from fitting.pairs import Pairs
from running.command import Problem
from running.files import read_json, write_json


def test_the_memory_of_a_command_is_its_own_and_not_that_of_who_starts_it():
    held = np.ones(40_000_000)  # 320 MB
    little, more = (machine.as_process(sys.executable, "-c", code)[1] for code in ("pass", "b'x' * 10**8"))
    assert little < 80 < more - little < 120, f"{held.nbytes} bytes are held here"


def test_a_command_that_fails_ends_the_benchmark_with_what_it_said():
    with pytest.raises(SystemExit, match="gone wrong"):
        machine.as_process(sys.executable, "-c", "import sys; print('gone wrong'); sys.exit(3)")


# ---- the page ---------------------------------------------------------------------------------------------

def test_every_benchmark_has_its_place_in_the_page_and_no_other_has():
    page = writer.PAGE.read_text(encoding="utf-8")
    assert tuple(re.findall(r"<!-- (\w+) -->", page)) == writer.NAMES
    assert tuple(re.findall(r"<!-- end of (\w+) -->", page)) == writer.NAMES


def test_a_result_takes_the_place_of_the_earlier_one_alone():
    page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n<!-- y -->\nkept\n<!-- end of y -->\nc\n"
    written = writer.replaced(page, "x", "| new \\1 |\n")
    assert written == page.replace("\nold\n", "\n\n| new \\1 |\n\n")
    assert writer.replaced(written, "x", "| new \\1 |\n") == written


def test_a_page_without_the_place_is_refused():
    with pytest.raises(SystemExit, match="no marks for z"):
        writer.replaced("a page", "z", "| new |")


def test_of_what_a_benchmark_prints_its_table_and_its_machine_are_kept(tmp_path, monkeypatch):
    said = "commit abc; a machine\nby the way\n| a |\n| --- |\n\nOurs takes 1."
    (tmp_path / "x.py").write_text(f"print({said!r})")
    monkeypatch.setattr(writer, "HERE", tmp_path)
    assert writer.result_of("x") == ("| a |\n| --- |\n\nOurs takes 1.\n\n"
                                     "`python benchmarks/x.py` at commit abc; a machine\n")


# ---- time to accuracy -------------------------------------------------------------------------------------

def test_the_stock_training_is_training_py_with_keras_own_layers_in_float32(monkeypatch):
    import training
    from fitting import layers

    monkeypatch.setattr(layers, "trainable", layers.trainable)  # put back afterwards, as the next
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(training, "main", lambda: layers.starting_network(2, 1, "bfloat16", seed=0))
    network = accuracy.stock_training(["--seed", "3"])
    assert sys.argv == ["training.py", "--seed", "3"]
    for layer in network.layers:
        assert type(layer).__module__.startswith("keras.") and layer.compute_dtype == "float32", layer.name


def test_a_dice_is_reached_by_the_first_epoch_that_has_it():
    epochs = [(1.04, 0.7), (2.1, 0.81), (3.2, 0.79)]
    assert [accuracy.reached(epochs, least) for least in (0.7, 0.8, 0.82)] == ["1.0", "2.1", "not reached"]


# ---- what correcting teaches ------------------------------------------------------------------------------

def test_figures_of_another_model_or_of_other_photographs_are_not_taken_for_these(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"one")
    options = SimpleNamespace(data=Path("sets/ARIA"), model=tmp_path / "model.keras", out=tmp_path / "out")
    there = {"ARIA": [SimpleNamespace(name="a"), SimpleNamespace(name="b")]}
    options.out.mkdir()
    correcting.refuse_others(options, there)
    (options.out / "ARIA before.json").write_text("{}")
    correcting.refuse_others(options, there)  # the same command goes on
    fewer, more = {"ARIA": there["ARIA"][:1]}, there | {"HRF": []}
    for others, model in ((fewer, b"one"), (more, b"one"), (there, b"two")):
        (tmp_path / "model.keras").write_bytes(model)
        with pytest.raises(Problem, match="figures of ARIA .* Choose another --out"):
            correcting.refuse_others(options, others)


def test_the_minutes_of_an_afternoon_that_was_broken_off_are_those_of_its_first_way(
        monkeypatch, tmp_path):
    options = SimpleNamespace(data=Path("ARIA"), first=None, width=False, seed=0, training="", out=tmp_path,
                              model=None)
    folder = tmp_path / "ARIA_5_random_0"
    clock = iter(range(0, 6000, 60))

    def broken_off(script, *_):
        if script == "training":
            raise RuntimeError

    for name in ("correct", "measured"):
        monkeypatch.setattr(correcting, name, lambda *_: {})
    monkeypatch.setattr(correcting, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(correcting, "command", broken_off)
    with pytest.raises(RuntimeError):
        correcting.after(options, [], 5, {})
    first = read_json(folder / "minutes.json")
    assert first == {"correcting": 1, "augment": 1}
    monkeypatch.setattr(correcting, "command", lambda *_: next(clock))
    (folder / "model").mkdir()
    write_json(folder / "model/model.json", {"fine-tuning": {"share": 1}})
    row = correcting.after(options, [], 5, {})
    assert read_json(folder / "minutes.json") == first | {"training": 2} and row["augment"] == 1


# ---- unknown cameras --------------------------------------------------------------------------------------

def test_what_a_network_found_is_kept_for_it_alone(tiny_pairs, tiny_model, tmp_path):
    """Another model.keras got the figures of the first, and a set those of another with a 1.jpg."""
    pairs = Pairs(tiny_pairs)
    options = SimpleNamespace(pen=["none"], part="all", photographs=9)
    cameras.tested(options, pairs, tiny_model, "tiny", tmp_path / "kept")
    network, card = checkpoint.load(tiny_model)
    network.set_weights([-weights for weights in network.get_weights()])
    (tmp_path / "b").mkdir()
    checkpoint.save(network, tmp_path / "b/model.keras")
    Card(card | {WEIGHTS: checkpoint.weights_sum(network)}).write(tmp_path / "b/model.json")
    cameras.tested(options, pairs, tmp_path / "b/model.keras", "tiny", tmp_path / "kept")
    assert len(list((tmp_path / "kept").rglob("*.npy"))) == 8, "of four photographs"
    alike = [replace(own, name="1") for own in pairs.photographs("train")]
    pairs.photographs = lambda part: alike * (part == "train")
    cameras.tested(options, pairs, tiny_model, "tiny", tmp_path / "names")
    assert len(list((tmp_path / "names").rglob("*.npy"))) == 3


def test_a_fold_that_is_trained_is_left_to_training_py_which_knows_its_settings(
        tiny_pairs, tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(cameras, "command", lambda *words: called.append(words))
    for file in ("model.json", "model.keras", "run.json"):
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / file).write_text("{}")
    options = SimpleNamespace(minutes=3, rate=0.1, init=None)
    cameras.fold_model(options, Pairs(tiny_pairs), ["other"], tmp_path)
    assert "--resume" in called[0] and 0.1 in called[0]
    assert len(Pairs(tmp_path / "pairs").table) == len(Pairs(tiny_pairs).table)
