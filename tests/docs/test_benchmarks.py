"""The tables of the documentation are what benchmarks/results says."""

import json

import pytest

from benchmarks import tables


@pytest.mark.parametrize("path", tables.PAGES, ids=lambda path: path.name)
def test_tables_are_those_of_the_results(path):
    text = path.read_text()
    assert "<!-- benchmarks:" in text
    assert tables.updated(text) == text, "run python benchmarks/tables.py"


def test_another_result_changes_the_tables(monkeypatch):
    """Every file of results has a place in the tables, and what is in it is what they show."""
    read, seen = tables.read, set()

    def recorded(name):
        seen.add(name)
        return read(name)

    monkeypatch.setattr(tables, "read", recorded)
    before = {name: table() for name, table in tables.TABLES.items()}
    assert {path.stem for path in tables.RESULTS.glob("*.json")} - seen == {"plugin_static_account"}

    def slower(name):
        document = read(name)
        if name == "reference_speed":
            document["ratio"] *= 2
        return document

    monkeypatch.setattr(tables, "read", slower)
    assert tables.TABLES["summary"]() != before["summary"]
    assert tables.TABLES["lrn"]() == before["lrn"]


def test_every_table_names_its_machine_and_date():
    for name in ("check_speed", "lrn_ort_cpu", "optimizers", "profile_plain_loop", "reference_speed"):
        environment = json.loads((tables.RESULTS / f"{name}.json").read_text())["environment"]
        assert f"{environment['CPU']}, {environment['date']}" in tables.TABLES["summary"]()
