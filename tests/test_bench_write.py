import csv

from sansface.bench.write import as_csv, markdown_table


def test_markdown():
    assert markdown_table(("a", "b"), [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_comma_separated_values_are_read_back():
    rows = [["full RGB, equal steps", 0.1], ['"said"', None]]
    text = as_csv(("trial", "score"), rows)
    assert list(csv.reader(text.splitlines())) == [
        ["trial", "score"],
        ["full RGB, equal steps", "0.1"],
        ['"said"', ""],
    ]
