"""Text for terminals: tables of counts."""

from normdeploy.terminal import as_text, counts_table


def rows(counts):
    """The table's rows as words."""
    return [line.split() for line in as_text(counts_table("what", counts)).splitlines() if line.strip()][2:]


def test_the_most_frequent_is_first_and_what_is_missing_is_none():
    assert rows({"before": {"a": 1, "b": 3}, "after": {"c": 2, "b": 1}}) == [
        ["b", "3", "1"], ["c", "0", "2"], ["a", "1", "0"],
    ]  # fmt: skip


def test_the_rarest_share_a_row():
    shown = rows({"nodes": {f"op{index}": 100 - index for index in range(20)}})
    assert shown[14] == ["op14", "86"]
    assert shown[15:] == [["5", "others", "415"]]


def test_a_single_one_more_has_a_row_of_its_own():
    assert rows({"nodes": {f"op{index}": 100 - index for index in range(16)}})[15] == ["op15", "85"]


def test_names_are_no_markup():
    assert rows({"nodes": {"[red]x": 1}}) == [["[red]x", "1"]]
