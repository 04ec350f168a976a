"""A script that completes verbs, actions, options and names in bash."""

import shlex

from benchmark.cli.options import labels
from benchmark.cli.requests import CompletionRequest
from benchmark.cli.verbs import VERBS
from benchmark.plugins.registry import available
from benchmark.tasks.loading import task_names
from benchmark.tasks.schema import PROFILES
from benchmark.utils.commands import SCRIPT

SCRIPT_TEXT = """\
# Completion of {program} in bash: source this file, or save it as
# ~/.local/share/bash-completion/completions/{program}
_{program}() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} verb=${{COMP_WORDS[1]}} known=
  [[ $COMP_CWORD -eq 1 ]] && {{ COMPREPLY=($(compgen -W {verbs} -- "$word")); return; }}
  case $before in
{values}
  esac
  case "$verb ${{COMP_WORDS[2]}}" in
{pairs}
  esac
  [[ -z $known ]] && case $verb in
{singles}
  esac
  COMPREPLY=($(compgen -W "$known" -- "$word"))
  [[ -z ${{COMPREPLY[0]}} ]] && COMPREPLY=($(compgen -f -- "$word"))
}}
complete -o filenames -F _{program} {program}
"""


def completion(request: CompletionRequest) -> int:
    """Print the script of a shell."""
    print(script(), end="")
    return 0


def script() -> str:
    """Return the script for bash; names are those that are installed now."""
    names = {
        "--task": task_names(), "--profile": PROFILES, "--source": available("sources"),
        "--generators|--generator": available("generators"), "--metrics": available("metrics"),
        "--device": ("auto", "cpu", "cuda"), "--precision": ("auto", "float32", "bfloat16", "float16"),
    }  # fmt: skip
    values = [
        f'    {option}) COMPREPLY=($(compgen -W {_words(known)} -- "$word")); return;;'
        for option, known in names.items()
    ]
    pairs, singles = [], []
    for name, verb in VERBS.items():
        actions = [other.split()[1] for other in VERBS if other.startswith(f"{name} ")]
        known = _words([*actions, *labels(verb.request)])
        if " " in name:
            pairs.append(f'    "{name}") known={known};;')
        else:
            singles.append(f"    {name}) known={known};;")
    for first in dict.fromkeys(name.split()[0] for name in VERBS if " " in name):
        if first not in VERBS:
            actions = [other.split()[1] for other in VERBS if other.startswith(f"{first} ")]
            singles.append(f"    {first}) known={_words(actions)};;")
    return SCRIPT_TEXT.format(
        program=SCRIPT, verbs=_words(dict.fromkeys(name.split()[0] for name in VERBS)),
        values="\n".join(values), pairs="\n".join(pairs), singles="\n".join(singles),
    )  # fmt: skip


def _words(words: object) -> str:
    return shlex.quote(" ".join(map(str, words)))  # type: ignore[call-overload]
