"""Who is whose: patients.csv, as any program of any country saves it."""

import os
from pathlib import Path

import pytest

import data
from sets.pairing import recognise, sets_in
from sets.patients import patients_in

PLACES = {k: Path(f"images/eye{k}.png") for k in range(4)}
EXPECTED = {0: "Ann", 1: "Ann", 2: "Bo", 3: "Bo"}


def table(text, encoding="utf-8", header="name,patient"):
    return f"{header}\n{text}".encode(encoding)


ROWS = "eye0.png,Ann\neye1,Ann\neye2.PNG,Bo\nimages/eye3.png,Bo\n"
FORMS = {
    "plain": table(ROWS),
    "semicolons, as a European Excel": table(ROWS.replace(",", ";"), header="name;patient"),
    "sep= line": b"sep=;\r\n" + table(ROWS.replace(",", ";"), header="name;patient"),
    "capitals": table(ROWS, header="Name,Patient"),
    "other words": table(ROWS, header="File Name,Patient_ID"),
    "a space after the comma": table(ROWS.replace(",", ", "), header="name, patient"),
    "tabs in UTF-16": table(ROWS.replace(",", "\t"), "utf-16", "name\tpatient"),
    "UTF-16 without a mark": table(ROWS, "utf-16-le"),
    "UTF-8 with a mark": table(ROWS, "utf-8-sig"),
    "old line ends": table(ROWS.replace("\n", "\r\n") + "\r\n;;\r\n"),
    "quotes and more columns": table("".join(f'"{row.replace(",", chr(34) + ",7," + chr(34))}"\n'
                                             for row in ROWS.split()), header='"name","age","patient"'),
    "paths of Windows": table(ROWS.replace("images/", "images\\")),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_table_is_read_whatever_wrote_it(tmp_path, form):
    """Semicolons were ignored, so a patient came to both sides of the split."""
    (tmp_path / "patients.csv").write_bytes(FORMS[form])
    assert patients_in(tmp_path, PLACES) == (EXPECTED, [], [])


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_names_with_umlauts_are_read_in_every_encoding(tmp_path, encoding):
    (tmp_path / "Patients.CSV").write_bytes(table("Z\u00fcrich,M\u00fcller\n", encoding))
    places = {0: Path("images/Zu\u0308rich.png")}  # as macOS writes the name
    assert patients_in(tmp_path, places) == ({0: "M\u00fcller"}, [], [])


def test_excel_takes_the_zeros_of_a_number(tmp_path):
    (tmp_path / "patients.csv").write_bytes(table("1,Ann\n2,Bo\n"))
    places = {0: Path("images/01.png"), 1: Path("images/02.png")}
    assert patients_in(tmp_path, places)[0] == {0: "Ann", 1: "Bo"}


@pytest.mark.parametrize("one", ["Ann,ann,ANN", "M\u00fcller,Mu\u0308ller,m\u00fcller", "7,7.0,007",
                                 "Ann B,Ann  B,Ann\u00a0B"])
def test_one_patient_who_is_spelled_in_several_ways_is_one(tmp_path, one):
    """Ann and ann were two, one on either side of the split."""
    (tmp_path / "patients.csv").write_bytes(table("".join(
        f"eye{k},{patient}\n" for k, patient in enumerate([*one.split(","), "Bo"]))))
    first = one.split(",")[0]
    assert patients_in(tmp_path, PLACES) == ({0: first, 1: first, 2: first, 3: "Bo"}, [], [])


def test_the_name_of_a_person_is_not_that_of_a_photograph(tmp_path):
    rows = table("Ann,eye0,7\nBo,eye1,8\n", header="Name,Image ID,Patient No")
    (tmp_path / "patients.csv").write_bytes(rows)
    assert patients_in(tmp_path, PLACES)[0] == {0: "7", 1: "8"}


def test_a_table_that_names_one_photograph_of_a_folder_or_a_child_must_name_the_others(draw, tmp_path):
    """The others counted as somebody else's, so that one patient's eyes came to both sides."""
    rgb, mask, _ = draw.eye(1)
    for name in ("P1/OD", "P1/OS", "P2/OD", "P3/OD"):
        draw.put(tmp_path / f"s/images/{name}.png", rgb)
        draw.put(tmp_path / f"s/masks/{name}.png", mask)
    (tmp_path / "s/patients.csv").write_bytes(table("P1/OD,Ann\nP3/OD,Ann\n"))
    found = recognise(tmp_path / "s")
    assert [own.patient for own in found.photographs] == ["Ann", "P1", "P2", "Ann"]
    (problem,) = found.problems
    assert f"names {Path('images/P1/OD.png')} but not {Path('images/P1/OS.png')}" in problem
    draw.chase(tmp_path / "C", children=(1, 2))
    (tmp_path / "C/patients.csv").write_bytes(table("Image_01L,Ann\n"))
    (problem,) = recognise(tmp_path / "C").problems
    assert "names Image_01L.jpg but not Image_01R.jpg" in problem


@pytest.mark.parametrize("content, word", [
    (table("eye9,Ann\n"), "names eye9, which is none of the photographs"),
    (table("eye0,Ann\neye0,Bo\n"), "gives eye0 two patients, Ann and Bo"),
    (table("eye0,\n"), "has no patient for eye0"), (table("eye0,n/a\n"), "has no patient for eye0"),
    (table(""), "names no photograph"), (table('eye0,"Ann\neye1,Bo\neye2,Bo\n'), "quotation marks"),
    (table(f"eye0,{'a' * 200_000}\n"), "cannot be read as a table"), (table(",Ann\n"), "has no name for Ann"),
    (b"eye0,Ann\neye1,Ann\n", "must have the columns name and patient"), (b"", "must have the columns")])
def test_what_cannot_be_meant_is_a_problem(tmp_path, content, word):
    (tmp_path / "patients.csv").write_bytes(content)
    (problem,) = patients_in(tmp_path, PLACES)[1]
    assert "patients.csv: " in problem and word in problem


def test_a_sheet_of_excel_is_no_csv_and_that_is_said(tmp_path):
    (tmp_path / "patients.xlsx").write_bytes(b"PK")
    assert "Save it as patients.csv" in patients_in(tmp_path, PLACES)[1][0]


@pytest.mark.parametrize("name", ["patients.csv.txt", "patient.csv", "Patients.CSV", "PATIENT.TXT",
                                  "patients.csv.csv"])
def test_a_table_is_read_under_any_name_that_can_mean_nothing_else(name, tmp_path):
    """Windows hides the .txt that its editor adds."""
    (tmp_path / name).write_bytes(table(ROWS))
    assert patients_in(tmp_path, PLACES) == (EXPECTED, [], [])


def test_two_tables_are_one_too_many(tmp_path):
    for name in ("patients.csv", "patients.txt"):
        (tmp_path / name).write_bytes(table(ROWS))
    (problem,) = patients_in(tmp_path, PLACES)[1]
    assert "patients.csv: tells of patients, and so does patients.txt. Remove one" in problem


@pytest.mark.parametrize("name", ["patients (1).csv", "Patienten.csv", "metadata.tsv", "patients-2024.txt"])
def test_what_looks_like_a_table_of_patients_is_named_by_every_command(name, command, draw, tmp_path):
    folder = draw.plain(tmp_path / "s", train=4)
    (folder / name).write_bytes(table("eye0;Ann\neye1;Ann\n", header="image;patient id"))
    (folder / "notes.txt").write_text("Of the images, some are of one patient.\n")
    for words in (("data", folder), ("augment", "--data", folder, "--out", tmp_path / "o", "--copies", 1,
                                     "--workers", 1)):
        data._complain_once.cache_clear()
        ended = command(*words)
        assert ended.code == 0 and f"{folder / name}: looks like a table of patients: left out." in ended.err
        assert "notes.txt" not in ended.err
    (folder / name).rename(folder / "patients.csv")
    assert command("data", folder).err == ""


def test_photographs_that_the_table_leaves_out_are_counted(tmp_path):
    (tmp_path / "patients.csv").write_bytes(table("eye0,Ann\n"))
    found, problems, (remark,) = patients_in(tmp_path, PLACES)
    assert found == {0: "Ann"} and not problems
    assert "does not name 3 photographs (images/eye1.png for one)" in remark


def test_the_table_of_a_set_decides_and_its_errors_are_the_sets(draw, tmp_path):
    folder = draw.plain(tmp_path, train=4)
    (folder / "patients.csv").write_bytes(table("eye0,Ann\neye1,Ann\neye7,Bo\n"))
    found = recognise(folder)
    assert [p.patient for p in found.photographs if p.split == "training"] == ["Ann", "Ann", "eye2", "eye3"]
    assert len(found.problems) == 1 and "eye7" in found.problems[0]


def test_a_table_above_its_set_is_not_passed_over_in_silence(draw, tmp_path):
    draw.plain(tmp_path / "P")
    (tmp_path / "patients.csv").write_bytes(table("eye0,Ann\neye1,Ann\n"))
    (sentence,) = sets_in(tmp_path)[1]
    assert sentence.startswith(f"{tmp_path / 'patients.csv'}: is in no set's own folder: left out")


def test_a_table_that_lies_too_deep_is_not_passed_over_in_silence(draw, tmp_path):
    folder = draw.plain(tmp_path)
    (folder / "train/patients.csv").write_bytes(table("eye0,Ann\neye1,Ann\n"))
    (problem,) = recognise(folder).problems
    assert f"train{os.sep}patients.csv: lies deeper" in problem and f"Move it to {folder}" in problem
