"""Names that a caller may have meant."""

from __future__ import annotations

from portero.data.similar_names import LIKELY, nearest


def test_a_name_with_a_letter_wrong_is_told_the_right_one() -> None:
    assert "projects" == nearest("projectx", ["clients", "projects", "project_invoices"])


def test_a_name_that_is_only_distantly_similar_is_told_nothing() -> None:
    assert nearest("faketable", ["table_a", "table_b"]) is None


def test_a_relation_may_be_more_distant() -> None:
    assert "table_b" == nearest("faketable", ["table_b"], LIKELY)
    assert nearest("noclosealternative", ["roles"], LIKELY) is None


def test_the_fewest_edits_win_among_names_with_common_letters() -> None:
    assert "actors" == nearest("actor", ["reactors", "factors", "actors"], LIKELY)


def test_case_and_underscores_are_no_obstacle() -> None:
    assert "Film_Titles" == nearest("filmtitles", ["Film_Titles"])


def test_a_name_that_is_there_needs_no_hint() -> None:
    assert nearest("films", ["films", "film"], LIKELY) is None


def test_a_very_long_name_is_not_guessed_at() -> None:
    assert nearest("films" * 100, ["films"]) is None
    assert nearest("films", ["films" * 100], LIKELY) is None


def test_nothing_is_near_to_nothing() -> None:
    assert nearest("", ["films"]) is None
    assert nearest("films", []) is None
