"""Reading ahead and finishing behind: in order, bounded, and faster than one after another."""

import threading
import time

import pytest
from PIL import Image

from photographs.formats import LARGEST_PICTURE
from prediction import read_ahead
from prediction.read_ahead import BYTES_PER_PIXEL, memory_of, overlapped
from running.command import Problem


def test_results_come_in_order_whatever_each_takes():
    def slow(item, *given):
        time.sleep(0.01 * (item % 3))
        return item

    found = list(overlapped(range(12), slow, slow, lambda item, computed: item * computed))
    assert found == [(k, k * k) for k in range(12)]


@pytest.mark.parametrize("stage", ["read", "compute", "finish"])
def test_a_problem_becomes_the_result_of_its_own_item_and_of_no_other(stage):
    def step(name):
        def doing(item, *given):
            if name == stage and item in (0, 2, 5):
                raise Problem(f"{name} {item}")
            return item
        return doing

    found = list(overlapped(range(6), step("read"), step("compute"), step("finish")))
    expected = [f"{stage} {k}" if k in (0, 2, 5) else str(k) for k in range(6)]
    assert [str(result) for _, result in found] == expected
    assert [item for item, _ in found] == list(range(6))


@pytest.mark.parametrize("stage", range(3))
def test_an_error_of_the_programs_own_is_not_swallowed(stage):
    def wrong(item, *given):
        raise ZeroDivisionError

    steps = [lambda item, *given: item] * 3
    steps[stage] = wrong
    with pytest.raises(ZeroDivisionError):
        list(overlapped(range(4), *steps))


@pytest.mark.parametrize("finishers, bound", [(1, 6), (4, 8)])
def test_few_items_are_held_at_any_time_however_many_there_are(finishers, bound):
    held, most, lock = set(), [0], threading.Lock()

    def read(item):
        with lock:
            held.add(item)
            most[0] = max(most[0], len(held))
        return item

    def finish(item, computed):
        time.sleep(0.002)
        with lock:
            held.discard(item)

    for _ in overlapped(range(60), read, lambda item, given: given, finish, finishers=finishers):
        pass
    assert most[0] <= bound


@pytest.mark.parametrize("sizes, most",
                         [([30] * 20, 3), ([101] * 5, 1), ([60, 60, 10] * 5, 3), ([0] * 20, 8)])
def test_no_more_items_are_held_than_fit_into_half_of_the_free_memory(monkeypatch, sizes, most):
    monkeypatch.setattr(read_ahead, "free_memory", lambda: 200)
    held, counts, lock = {}, [], threading.Lock()

    def read(item):
        with lock:
            held[item] = sizes[item]
            counts.append(len(held))
            assert len(held) == 1 or sum(held.values()) <= 100
        return item

    def finish(item, computed):
        time.sleep(0.002)
        with lock:
            del held[item]
        return item

    found = list(overlapped(range(len(sizes)), read, lambda item, given: given, finish, finishers=4,
                            memory=sizes.__getitem__))
    assert found == [(k, k) for k in range(len(sizes))] and max(counts) <= most


def test_a_photograph_takes_memory_by_the_pixels_in_its_header(tmp_path):
    Image.new("RGB", (300, 200)).save(tmp_path / "a.png")
    (tmp_path / "a.dcm").write_bytes(b"not known before it is decoded")
    assert memory_of(tmp_path / "a.png") == 60_000 * BYTES_PER_PIXEL
    assert memory_of(tmp_path / "a.dcm") == LARGEST_PICTURE * BYTES_PER_PIXEL


def test_what_takes_longest_is_done_for_several_at_once():
    def finish(*given):
        time.sleep(0.1)

    began = time.monotonic()
    assert len(list(overlapped(range(12), int, lambda item, given: given, finish, finishers=4))) == 12
    assert time.monotonic() - began < 0.8 * 12 * 0.1


def test_reading_and_writing_go_on_while_the_network_computes():
    def slow(item, *given):
        time.sleep(0.02)
        return item

    began = time.monotonic()
    assert len(list(overlapped(range(20), slow, slow, slow))) == 20
    assert time.monotonic() - began < 0.75 * 20 * 3 * 0.02


def test_nothing_to_do_is_nothing():
    assert list(overlapped([], None, None, None)) == []
