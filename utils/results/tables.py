"""Formats tables of text for the terminal and as CSV, Markdown and LaTeX; puts them into pages."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from utils.files.atomic import atomic_write
from utils.files.terminal import cell


def as_text(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table for a terminal, with aligned columns."""
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    return '\n'.join(
        '  '.join(cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths))).rstrip()
        for row in [head, *rows]
    )


def as_csv(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator='\n').writerows([[cell(value) for value in row] for row in [head, *rows]])
    return out.getvalue()


def as_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table as Markdown."""
    lines = [head, ['---'] + ['---:'] * (len(head) - 1), *rows]
    return ''.join('| ' + ' | '.join(cell.replace('|', r'\|') for cell in line) + ' |\n' for line in lines)


def as_latex(head: Sequence[str], rows: Any) -> Any:
    """Format a table as a LaTeX tabular with the rules of booktabs."""
    special = {c: f'\\{c}' for c in '&%$#_{}'} | {
        '±': r'$\pm$',
        '\\': r'\textbackslash{}',
        '~': r'\textasciitilde{}',
        '^': r'\textasciicircum{}',
    }

    def line(cells):
        return ' & '.join(''.join(special.get(c, c) for c in cell) for cell in cells) + r' \\' + '\n'

    return (
        f'\\begin{{tabular}}{{l{"r" * (len(head) - 1)}}}\n\\toprule\n{line(head)}\\midrule\n'
        + ''.join(map(line, rows))
        + '\\bottomrule\n\\end{tabular}\n'
    )


def around(page: Path, name: str) -> tuple[str, str]:
    """Return the text before and after the table of this name in a page, including its marks ``<!-- name -->``.

    Raises
    ------
    ValueError
        If the page lacks the marks.
    """
    first, last = f'<!-- {name} -->\n', f'<!-- end of {name} -->'
    before, begin, rest = page.read_text(encoding='utf-8').partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"'{page}' lacks the lines {first.strip()} and {last}, which enclose the table")
    return before + begin, end + after


def put_into_page(page: Path, name: str, text: str) -> None:
    """Put a table between its marks in a page; see `around`."""
    before, after = around(page, name)
    with atomic_write(page) as temporary:
        temporary.write_text(before + text + after, encoding='utf-8')
