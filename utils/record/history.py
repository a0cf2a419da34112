"""The history of a run: one CSV row per epoch."""

import csv

from utils.files.atomic import atomic_write


def write_history(history, path):
    """Write one CSV row per epoch."""
    history = [{**row, 'images_per_second': round(row['images'] / row['seconds'], 1)} for row in history]
    with atomic_write(path) as temporary, open(temporary, 'w', newline='') as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]) if history else ['epoch'])
        writer.writeheader()
        writer.writerows(history)
