"""Tests that write into the working folder have one of their own."""

import pytest


@pytest.fixture(autouse=True)
def own_folder(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp('work'))
