"""The pictures of many photographs together."""

import numpy as np

from prediction import drawn


def test_of_more_photographs_than_the_contact_sheet_holds_it_says_so(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(drawn, "MOST_ON_SHEET", 2)
    rows = [{"name": name, "vessel_density": 0.1} for name in "abc"]
    small = {name: np.zeros((drawn.CELL, drawn.CELL, 3), np.uint8) for name in "abc"}
    assert drawn.sheet_of(tmp_path, rows[:2], small).shape == drawn.sheet_of(tmp_path, rows, small).shape
    said = capsys.readouterr()
    assert said.out.splitlines() == ["contact_sheet.png shows 2 of the 3 photographs, the first by name."]
