"""Read the text of a compiled program: kernels, library calls, copies, transfers, precision.

The text is XLA's optimised HLO, in which every executed instruction is one kernel, one library call or one copy.
"""

import re
from collections import Counter
from typing import NamedTuple

COMPUTATION = re.compile(r'^(ENTRY )?%?([\w.\-]+) \(.*\) -> .*\{')
INSTRUCTION = re.compile(r'^\s+(?:ROOT )?%?([\w.\-]+) = (.*?) ([a-z][\w\-]*)\((.*)')
CALLED = re.compile(r'(?:to_apply|body|condition|true_computation|false_computation)=%([\w.\-]+)')
BRANCHES = re.compile(r'branch_computations=\{([^}]*)\}')
NO_KERNEL = {
    *('parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast', 'while', 'call', 'conditional', 'after-all'),
    *('partition-id', 'replica-id', 'opt-barrier', 'copy-done', 'all-reduce-done', 'async-done', 'add-dependency'),
}
CONVOLUTIONS = {
    '__cudnn$convForward': 'forward',
    '__cudnn$convBiasActivationForward': 'forward',
    '__cudnn$convForwardGraph': 'forward',
    '__cudnn$convBackwardInput': 'input gradient',
    '__cudnn$convBackwardFilter': 'filter gradient',
}
COLLECTIVES = ('all-reduce', 'all-gather', 'reduce-scatter', 'all-to-all', 'collective-permute')
TRANSFERS = ('infeed', 'outfeed', 'send', 'recv', 'copy-start')
PRECISIONS = {'highest': 'float32', 'high': 'tf32', 'default': 'tf32'}


class Instruction(NamedTuple):
    """One instruction: `where` is its computation, `type` its result type, `rest` its operands and attributes."""

    where: str
    name: str
    type: str
    opcode: str
    rest: str

    @property
    def operands(self) -> list[str]:
        return re.findall(r'%([\w.\-]+)', self.rest.partition(')')[0])

    @property
    def target(self) -> str:
        found = re.search(r'custom_call_target="([^"]*)"', self.rest)
        return found[1] if found else ''

    @property
    def kind(self) -> str:
        """Kind of computation, in one or two words."""
        if self.opcode == 'custom-call':
            return CONVOLUTIONS.get(self.target, self.target)
        if self.opcode != 'fusion':
            return self.opcode
        found = re.search(r'kind=k(\w+)', self.rest)[1]
        if found == 'Custom':
            return 'product' if 'gemm' in self.name else 'Triton fusion'
        return {'Loop': 'loop fusion', 'Input': 'reduction or transpose fusion'}.get(found, found)

    @property
    def model_us(self) -> float:
        """XLA's modelled time in microseconds; 0 if there is none."""
        found = re.search(r'"reification_cost":\[\{[^}]*?"exec_time_us":([\d.e+\-]+)', self.rest)
        return float(found[1]) if found else 0.0


def instructions(text: str) -> tuple[list[Instruction], str]:
    """Parse all instructions, and the name of the entry computation."""
    found, where, entry = [], '', ''
    for line in text.splitlines():
        if head := COMPUTATION.match(line):
            where = head[2]
            entry = where if head[1] else entry
        elif match := INSTRUCTION.match(line):
            found.append(Instruction(where, *match.groups()))
    return found, entry


def executed(text: str) -> list[Instruction]:
    """Executed instructions: of the entry, of loops and of branches, without those inside fusions."""
    every, entry = instructions(text)
    by_place: dict[str, list[Instruction]] = {}
    for one in every:
        by_place.setdefault(one.where, []).append(one)
    reached, todo = [], [entry]
    while todo:
        place = todo.pop()
        if place in reached:
            continue
        reached.append(place)
        for one in by_place.get(place, []):
            if one.opcode in ('while', 'call', 'conditional'):
                todo += CALLED.findall(one.rest)
                todo += [name.strip(' %') for names in BRANCHES.findall(one.rest) for name in names.split(',')]
    return [one for place in reached for one in by_place.get(place, [])]


def size(type_: str) -> int:
    """Bytes of a type; for a tuple, the sum over its parts."""
    total = 0
    for letter, bits, sides in re.findall(r'\b(pred|bf|f|s|u)(\d*)\[([\d,]*)\]', type_):
        count = 1
        for side in filter(None, sides.split(',')):
            count *= int(side)
        total += count * (1 if letter == 'pred' else max(1, int(bits or 8) // 8))
    return total


def precision(one: Instruction, types: dict[str, str]) -> str:
    """Precision of the operands of a convolution or product: 'float32', 'tf32', 'bf16' or another type of XLA."""
    kinds = {re.sub(r'[\[{(].*', '', types.get(name, '')) for name in one.operands[:2]} - {''}
    if kinds != {'f32'}:
        return '+'.join(sorted(kinds))
    asked = re.search(r'operand_precision=\{(\w+)', one.rest)
    return PRECISIONS[asked[1] if asked else 'default']


def figures(text: str) -> dict:
    """Compute the figures of a program from its text.

    Returns
    -------
    dict
        'convolutions', 'operands', 'kinds', 'collectives': counts by name; 'kernels', 'copies', 'transfers' (to or
        from the host): counts; 'copied': bytes; 'model_us': XLA's modelled time in microseconds of everything except
        convolutions and products, with the body of a loop counted once.
    """
    every, _ = instructions(text)
    types = {one.name: one.type for one in every}
    run = [one for one in executed(text) if one.opcode not in NO_KERNEL and not one.opcode.endswith('-update')]
    computes = [one for one in every if one.opcode in ('dot', 'convolution') or one.target in CONVOLUTIONS]
    copies = [one for one in run if one.opcode == 'copy']
    others = [one for one in run if one.kind not in CONVOLUTIONS.values() and one.kind != 'product']
    hosts = [one for one in run if one.opcode in TRANSFERS or 'Host' in one.target or 'S(5)' in one.type]
    return {
        'convolutions': dict(Counter(CONVOLUTIONS[one.target] for one in run if one.target in CONVOLUTIONS)),
        'operands': dict(Counter(precision(one, types) for one in computes)),
        'kinds': dict(Counter(one.kind for one in run)),
        'kernels': len(others),
        'copies': len(copies),
        'copied': sum(size(one.type) for one in copies),
        'transfers': len(hosts),
        'collectives': dict(Counter(c for one in run for c in COLLECTIVES if one.opcode in (c, f'{c}-start'))),
        'model_us': round(sum(one.model_us for one in others), 2),
    }


def slowest(text: str, count: int = 15) -> list[tuple[float, str, str]]:
    """The kernels with the longest modelled times: (us, kind, name and type)."""
    run = sorted(executed(text), key=lambda one: -one.model_us)
    return [(one.model_us, one.kind, f'{one.name} {one.type}') for one in run[:count]]
