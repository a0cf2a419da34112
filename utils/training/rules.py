"""Rules: validation figures by which epochs, runs and members of an ensemble are chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from utils.annotations import Row


@dataclass(frozen=True)
class Rule:
    """A figure on the validation images; smaller is better.

    Attributes
    ----------
    name : str
        Value of the argument `rule` of `launch.test`.
    key : str
        Key of the figure in a history and in result.json.
    label : str
        Name of the figure in texts and tables.
    point : str
        Name of the epoch where it is smallest.
    form : str
        Format string of the figure, with its unit.
    """

    name: str
    key: str
    label: str
    point: str
    form: str

    def best(self, rows: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
        """The row with the smallest figure, the first of equal ones; None if no row has a figure."""
        return min((row for row in rows if row[self.key] is not None), key=lambda row: row[self.key], default=None)

    def text(self, row: dict[str, Any]) -> str:
        """The figure of a row, formatted."""
        return self.form.format(row[self.key])


RULES = {
    rule.name: rule
    for rule in (
        Rule('entropy', 'validation_cross_entropy', 'validation cross-entropy', 'entropy point', '{:.4f}'),
        Rule('error', 'validation_error', 'validation error', 'smallest validation error', '{:.2f} %'),
    )
}


# Names of the losses in texts; the keys of a history are the same for all.
COSTS = {'nll': 'cross-entropy', 'l2svm': 'squared hinge loss'}


def cost_of(options: dict[str, Any]) -> str:
    """Name of the loss in the arguments of a run; arguments of early versions have none."""
    return COSTS[options.get('loss') or 'nll']


def rule_of(options: dict[str, Any]) -> Rule:
    """The rule in the arguments of a run; arguments of early versions have none."""
    return RULES[options.get('rule', 'entropy')]


def common_rule(rules: Iterable[Rule]) -> Rule:
    """The rule that all runs share; 'entropy' if they differ."""
    rules = set(rules)
    return rules.pop() if len(rules) == 1 else RULES['entropy']


def best_epoch(history: Sequence[Row], rule: str = 'entropy') -> dict[str, Any]:
    """Find the epoch at which training without the validation images was best.

    Parameters
    ----------
    history : list of dict
        One row per epoch, as in `Trainer.history`.
    rule : {'entropy', 'error'}
        Take the minimum of the validation cross-entropy (the entropy point) or of the validation error; the first of
        equal ones.

    Returns
    -------
    dict
        The row of that epoch.

    Raises
    ------
    ValueError
        If the rule is unknown, or no epoch of the history was validated.
    """
    if rule not in RULES:
        raise ValueError(f'rule must be one of {", ".join(map(repr, RULES))}, got {rule!r}')
    best = RULES[rule].best(row for row in history if row['stage'] == 'train')
    if best is None:
        raise ValueError('no epoch was validated: the set has no validation part or val=False')
    return best
