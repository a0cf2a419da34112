"""The command line: its help, commands and options, and errors of wrong ones."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import launch
from utils import rna
from utils.cli.parser import parser_of
from utils.cli.program import main
from utils.cli.registry import COMMANDS
from utils.experiment import schema
from utils.experiment.arguments import FUNCTIONS
from utils.record.trackers import TRACKERS

ROOT = Path(__file__).parents[2]


def help_of(*words, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*words, '--help'])
    assert not stop.value.code
    return capsys.readouterr().out


def test_the_top_level_help_fits_a_screen_and_has_a_line_for_each_command(capsys):
    assert main(['--help']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    for name in COMMANDS:
        if ' ' not in name:
            assert sum(line.startswith(f'  {name} ') for line in lines) == 1


def test_every_argument_of_test_has_a_row_and_is_an_option_in_its_group(capsys):
    assert set(schema.ARGUMENTS) == set(inspect.signature(launch.test).parameters)
    text = help_of('train', capsys=capsys)
    sections = dict(zip(schema.GROUPS, (text.partition(f'\n{group}:\n')[2] for group in schema.GROUPS)))
    assert [group for group in schema.GROUPS if not sections[group]] == []
    for name, row in schema.ARGUMENTS.items():
        if name != 'on_epoch':
            option = f'--[no-]{name}' if isinstance(row.kind, schema.Flag) else f'--{name} '
            assert option in sections[row.group].partition('\n\n')[0], name
    assert '(default: 0.1)' in text and 'Step of the gradient descent' in text


def test_names_in_the_schema_are_those_that_there_are():
    for name, known in {**FUNCTIONS, 'activation': rna.ACTIVATIONS, 'track': TRACKERS}.items():
        assert set(schema.ARGUMENTS[name].kind.choices) == set(known)


@pytest.mark.parametrize('flags', [(), ('-OO',)])
def test_help_is_there_without_docstrings_and_without_pytensor(flags):
    code = 'import sys; from utils.cli import main; main(["--help"]); sys.exit("pytensor" in sys.modules)'
    done = subprocess.run([sys.executable, *flags, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and 'Run one experiment' in done.stdout and not done.stderr


def test_help_is_a_command_too(capsys):
    assert main(['help']) == 0 == main(['--help'])
    out = capsys.readouterr().out
    assert out[: len(out) // 2] == out[len(out) // 2 :]
    with pytest.raises(SystemExit):
        main(['help', 'evaluate'])
    assert capsys.readouterr().out == help_of('evaluate', capsys=capsys)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['evalute', 'm.h5', 's.h5'], "no command 'evalute'; did you mean 'evaluate'?"),
        (['sweeps'], "no command 'sweeps'; did you mean 'sweep'?"),
        (['set2.h5'], "no command 'set2.h5' (train, resume, evaluate"),
        (['help', 'compar'], "no command 'compar'; did you mean 'compare'?"),
        (['--epochs', '3'], "no option --epochs; did you mean '--n_epochs'?"),
        (['--learning_rat', '3'], "no option --learning_rat; did you mean '--learning_rate'?"),
        (['--seed', 'x'], "--seed must be a whole number >= 0, got 'x'"),
        (['--n_epochs', '1.5'], "--n_epochs must be a whole number >= 1, got '1.5'"),
        (['--p_drop', '2'], "--p_drop must be probabilities of dropping in [0, 1), got '2'"),
        (['--seed'], '--seed expected one argument'),
        (['evaluate', 'm.h5'], 'symfer evaluate needs SET'),
        (['compare', 'a', '--fold', 'b'], "did you mean '--folder'?"),
        (['--augment', '{bad'], "got '{bad': Expecting property name enclosed in double quotes at 'bad'"),
        (['--network_args', '{"width": 1'], "got '{\"width\": 1': Expecting ',' delimiter at its end"),
        (['--schedule_args', ''], "got '': Expecting value at its end"),
        (['--optimiser_args', '{"a": 1, "a": 2}'], "it has 'a' twice"),
        (['--augment', '[' * 100000], 'it has too many levels'),
    ],
)
def test_wrong_words_get_one_line_with_the_nearest(arguments, message, capsys):
    assert main(arguments) == 2
    out, error = capsys.readouterr()
    assert message in error and error.startswith('error: ') and error.count('\n') == 1 and not out


@pytest.fixture
def given(monkeypatch):
    """The arguments that a command passes to functions of the launcher: a dict by their names."""
    calls = {}
    for name in ('test', 'sweep', 'search', 'rate_range', 'evaluate'):
        monkeypatch.setattr(launch, name, lambda *args, name=name, **kwargs: calls.update({name: (args, kwargs)}))
    return calls


def test_only_what_was_given_is_handed_on(given):
    assert (
        main(
            ['--dataset', 'd.h5', '--n-epochs', '3', '--no-val', '--n_hidden', '8', '4', '--augment', '{"mirror": 0.5}']
        )
        == 0
    )
    assert given['test'] == (
        (),
        {'dataset': 'd.h5', 'n_epochs': 3, 'val': False, 'n_hidden': [8, 4], 'augment': {'mirror': 0.5}},
    )


def test_train_is_what_options_alone_are(given):
    assert main(['train', '--dataset', 'd.h5', '--p_drop', '0.3']) == 0
    assert given['test'] == ((), {'dataset': 'd.h5', 'p_drop': 0.3})


def test_a_model_is_gone_on_with(given):
    assert main(['resume', 'm.h5', '--n_epochs', '5']) == 0
    assert given['test'] == ((), {'resume': 'm.h5', 'n_epochs': 5})


@pytest.mark.parametrize(
    'words',
    [
        ['sweep', 'learning_rate=0.05,0.1', '--seeds', '0', '1', '--dataset', 'd.h5'],
        ['--dataset', 'd.h5', '--sweep', 'learning_rate=0.05,0.1', '--seeds', '0', '1'],
    ],
)
def test_a_sweep_as_a_command_and_in_its_former_form(words, given, capsys):
    assert main(words) == 0
    args, kwargs = given['sweep']
    assert args == ({'learning_rate': [0.05, 0.1]}, [0, 1]) and kwargs['dataset'] == 'd.h5'
    assert ('is now the command: symfer sweep' in capsys.readouterr().err) == (words[0] != 'sweep')


def test_a_sweep_without_seeds_has_the_seed_that_is_given(given):
    assert main(['sweep', 'momentum=0,.9', '--seed', '7', '--dataset', 'd.h5']) == 0
    assert given['sweep'][0] == ({'momentum': [0, 0.9]}, [7]) and 'seed' not in given['sweep'][1]


@pytest.mark.parametrize(
    'words', [['lr-find', '--steps', '20', '--dataset', 'd.h5'], ['rates', '--steps', '20', '--dataset', 'd.h5']]
)
def test_the_range_test_as_a_command_and_under_its_former_name(words, given, capsys):
    assert main(words) == 0
    assert given['rate_range'][1]['steps'] == 20 and given['rate_range'][1]['dataset'] == 'd.h5'
    assert ('symfer lr-find' in capsys.readouterr().err) == (words[0] == 'rates')


def test_a_shell_gets_every_command_and_option(capsys):
    assert main(['completion', 'bash']) == 0
    script = capsys.readouterr().out
    assert all(name.split()[0] in script for name in COMMANDS) and '--learning_rate' in script
    done = subprocess.run(
        ['bash', '-c', script + 'COMP_WORDS=(symfer eval); COMP_CWORD=1; _symfer; echo $COMPREPLY'],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == 'evaluate', done.stderr


def test_former_names_of_arguments_are_taken():
    assert vars(parser_of('train').parse_args(['--average', '0.5'])) == {'ema_decay': 0.5}
