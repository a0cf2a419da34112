"""``symfer completion bash``: prints a script that makes a shell complete commands, options and their choices."""

from utils.cli.registry import COMMANDS, command
from utils.experiment.kinds import Choice

SCRIPT = """\
{before}_symfer() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} name=${{COMP_WORDS[1]}} words= files=
  case $name in -*) name=train;; esac
  case "$name ${{COMP_WORDS[2]}}" in {pairs}) name="$name ${{COMP_WORDS[2]}}";; esac
  case ${{COMP_WORDS[COMP_CWORD-1]}} in
{choices}
    *) case $word in -*) ;; *) files=$(compgen -f -- "$word");; esac
      case $name in
{options}
      esac;;
  esac
  if [ "$COMP_CWORD" = 1 ]; then case $word in -*) ;; *) words="{commands}" files=;; esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$word") $files)
}}
complete -o filenames -F _symfer symfer"""


@command('completion')
def completion(shell: Choice('bash', 'zsh')) -> None:
    """Print a script of completions: eval "$(symfer completion bash)".

    Parameters
    ----------
    shell : {'bash', 'zsh'}
        Shell that runs the script.
    """
    from utils.cli.parser import parser_of

    options, choices = {}, {}
    for name in COMMANDS:
        actions = parser_of(name)._actions
        seconds = [second for first, _, second in (one.partition(' ') for one in COMMANDS) if first == name and second]
        options[name] = ' '.join([*seconds, *(option for action in actions for option in action.option_strings)])
        choices |= {
            option: ' '.join(action.completions)  # type: ignore[attr-defined]
            for action in actions
            for option in action.option_strings
            if getattr(action, 'completions', ())
        }
    firsts = [name for name in COMMANDS if ' ' not in name]
    print(
        SCRIPT.format(
            before='autoload -U +X bashcompinit && bashcompinit\n' if shell == 'zsh' else '',
            commands=' '.join(firsts),
            pairs='|'.join(f"'{name}'" for name in COMMANDS if ' ' in name),
            choices='\n'.join(f'    {option}) words="{words}";;' for option, words in choices.items()),
            options='\n'.join(f'      "{name}") words="{words}";;' for name, words in options.items()),
        )
    )
