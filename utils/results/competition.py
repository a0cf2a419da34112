"""The facial expression recognition challenge of 2013, and the place of a result in it (thesis Tables 6-12).

===================  =================================================
`COMPETITION`        results of the competition
`rank`               place of a result in it
`places`, `ranking`  the table with own results, as rows and as text
===================  =================================================
"""

from __future__ import annotations

from typing import Any

# Team, mean error of public and private test (thesis Table 1), error on the private test, which decided
# (Kaggle, Challenges in Representation Learning: Facial Expression Recognition Challenge, 2013; 56 teams).
COMPETITION: tuple[tuple[Any, ...], ...] = (
    ('RBM', 29.53, 28.84),
    ('Unsupervised', 30.83, 30.73),
    ('Maxim Milakov', 31.15, 31.18),
    ('Radu+Marius+Cristi', 32.60, 32.52),
    ('Lor.Voldy', 35.09, 34.75),
    ('ryank', None, 34.91),
    ('Eric Cartman', None, 35.53),
    ('Xavier Bouthillier', None, 35.78),
    ('Alejandro Dubrovsky', None, 36.89),
    ('sayit', None, 37.81),
)
TEAMS = 56


def rank(error: float, half: str = 'whole') -> int:
    """Compute the place that a test error would have had in the 2013 competition.

    Parameters
    ----------
    error : float
        Test error in %.
    half : {'whole', 'private'}
        Rank among the five teams whose mean over both halves is known, or among the ten best on the private half.

    Returns
    -------
    int
        1 + number of known teams with a smaller error. A place after all known teams means this place or a later one.
    """
    column = {'whole': 1, 'private': 2}[half]
    return 1 + sum(bool(row[column] < error) for row in COMPETITION if row[column] is not None)


def places(results: dict[str, float], half: str = 'whole') -> list[tuple[int, str, float, bool]]:
    """Sort teams and own results by their error.

    Parameters
    ----------
    results : dict of str to float
        Error in % by name.
    half : {'whole', 'private'}

    Returns
    -------
    list of tuple
        (place, name, error, whether it is one of `results`); a team precedes an own result with the same error.
    """
    column = {'whole': 1, 'private': 2}[half]
    rows = [(row[column], False, row[0]) for row in COMPETITION if row[column] is not None]
    rows = sorted(rows + [(error, True, name) for name, error in results.items()])
    return [(place, name, error, own) for place, (error, own, name) in enumerate(rows, start=1)]


def ranking(results: dict[str, float], half: str = 'whole') -> str:
    """Format the competition's table with results ranked in it, as in Tables 6-12 of the thesis.

    Parameters
    ----------
    results, half
        As for `places`.

    Returns
    -------
    str
        One line per row; own results are marked with an arrow.
    """
    rows = places(results, half)
    width = max(len('Name of network / team'), *(len(name) for _, name, _, _ in rows))
    lines = [f'{"Ranking":8}  {"Name of network / team":{width}}  Error (%)']
    for place, name, error, own in rows:
        lines.append(f'{f"#{place}":8}  {name:{width}}  {error:9.2f}{"  <--" if own else ""}')
    return '\n'.join(lines)
