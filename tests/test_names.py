"""Names that no disk takes for one another."""

import unicodedata

import pytest

from running.names import first_free, folded


@pytest.mark.parametrize("one, other", [
    ("Eye", "eye"), ("Straße", "STRASSE"),
    (unicodedata.normalize("NFC", "Zürich"), unicodedata.normalize("NFD", "ZÜRICH"))])
def test_case_and_unicode_form_do_not_tell_names_apart(one, other):
    assert one != other and folded(one) == folded(other)


def test_the_first_free_name_is_taken():
    taken = {folded("a")}
    assert [first_free(["A", "b", "c"], taken), first_free(["B", "c"], taken)] == ["b", "c"]
