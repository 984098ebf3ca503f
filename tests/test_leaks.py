"""Patients and photographs on both sides of a split."""

from pathlib import Path

from sets.layouts import Photograph
from sets.leaks import copies_in_parts, in_several_parts


def test_one_photograph_in_two_parts_is_named_with_both_of_its_names():
    files = {"a.png": ("train", "1"), "b.png": ("test", "1"), "c.png": ("train", "2"),
             "d.png": ("validation", "3"), "e.png": ("test", "3")}
    assert copies_in_parts(files) == ["a.png and b.png are the same photograph. Remove all but one.",
                                      "d.png and e.png are the same photograph. Remove all but one."]


def test_copies_within_a_part_and_files_that_cannot_be_read_are_no_leak():
    assert copies_in_parts({"a": ("train", "1"), "b": ("train", "1"), "c": ("test", None),
                            "d": ("train", None)}) == []


def test_a_folder_of_one_name_in_two_parts_is_one_patient_and_the_sentence_says_why():
    photographs = [Photograph("s", f"A_{part}", part, "A", Path(part, "images/A/x.png"), told=True)
                   for part in ("training", "test")]
    (sentence,) = in_several_parts(photographs)
    assert "A for one (" in sentence and "folders of one name count as one patient" in sentence
    assert in_several_parts(photographs[:1]) == []
