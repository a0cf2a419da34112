"""The messages of the command for bad sources."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from loaders_data import ROOT, same
from sources_data import csv_bytes, own_images, tar_with

from loaders import DataError, read


def test_the_files_that_macos_puts_beside_a_table_are_not_taken_for_it(tmp_path, data):
    packed = tar_with(
        tmp_path / 'fer2013.tar.gz', [('fer2013/._fer2013.csv', b'junk'), ('fer2013/fer2013.csv', csv_bytes(data))]
    )
    same(read(packed), data)


def test_class_folders_that_differ_in_case_alone(tmp_path):
    own_images(tmp_path / 'a', classes=('calm', 'tense', 'Calm'))
    with pytest.raises(DataError, match='class folders Calm and calm differ only in case'):
        read(tmp_path / 'a')
    own_images(tmp_path / 'b' / 'train', classes=('Calm', 'tense'))
    own_images(tmp_path / 'b' / 'test', classes=('calm', 'tense'))
    found = read(tmp_path / 'b')
    assert found.classes == ('Calm', 'tense') and set(found.labels) == {0, 1}


def test_a_class_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    own_images(tmp_path / 'a')
    listed = os.scandir

    def scandir(path):
        if str(path).endswith('tense'):
            raise PermissionError(13, 'Permission denied', str(path))
        return listed(path)

    monkeypatch.setattr(os, 'scandir', scandir)
    with pytest.raises(DataError, match='tense: cannot be read: Permission denied'):
        read(tmp_path / 'a')


def test_the_command_says_nothing_but_its_own_errors_of_a_broken_image(tmp_path):
    own_images(tmp_path / 'a')
    broken = tmp_path / 'a' / 'calm' / 'broken.png'
    broken.write_bytes(cv2.imencode('.png', np.full((20, 30), 7, np.uint8))[1].tobytes()[:-16])
    done = subprocess.run(
        [sys.executable, '-m', 'loaders', tmp_path / 'a', '-o', tmp_path], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.count('\n') == 1 and 'broken.png' in done.stderr


def test_a_reader_that_goes_away_ends_the_command_quietly(tmp_path):
    own_images(tmp_path / 'a')
    command = f"set -o pipefail; '{sys.executable}' -m loaders audit '{tmp_path}/a' --exact | true"
    done = subprocess.run(['bash', '-c', command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 141) and not done.stderr
