"""`python -m benchmarks.gpu_compile` without a compiler: parsing of texts, search for minibatches, the saved file."""

import json

import pytest

from benchmarks.gpu_compile import __main__ as command
from benchmarks.gpu_compile import batches, matrix, reading, targets
from utils.files.extras import MissingExtra

TEXT = """HloModule jit_step

%fused_add (p.0: f32[8,4]) -> f32[8,4] {
  %p.0 = f32[8,4]{1,0} parameter(0)
  ROOT %add.0 = f32[8,4]{1,0} add(%p.0, %p.0)
}

%gemm_fusion_dot.1_computation (p.1: bf16[8,4], p.2: bf16[4,2]) -> f32[8,2] {
  %p.1 = bf16[8,4]{1,0} parameter(0)
  %p.2 = bf16[4,2]{1,0} parameter(1)
  ROOT %dot.1 = f32[8,2]{1,0} dot(%p.1, %p.2), lhs_contracting_dims={1}, operand_precision={highest,highest}
}

%body (s: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %s = (s32[], f32[8,4]{1,0}) parameter(0)
  %x = f32[8,4]{1,0} get-tuple-element(%s), index=1
  %loop_add_fusion = f32[8,4]{1,0} fusion(%x), kind=kLoop, calls=%fused_add, backend_config={"reification_cost":[{"end_to_end_cycles":9,"exec_time_us":2.5,"compute_time_us":1,"name":""},{"exec_time_us":7,"name":"sol"}]}
  %copy.1 = f32[8,4]{1,0} copy(%loop_add_fusion)
  ROOT %t = (s32[], f32[8,4]{1,0}) tuple(%i, %copy.1)
}

%condition (s.1: (s32[], f32[8,4])) -> pred[] {
  %s.1 = (s32[], f32[8,4]{1,0}) parameter(0)
  ROOT %wrapped_compare = pred[] fusion(%s.1), kind=kLoop, calls=%fused_add
}

%never (p.3: f32[]) -> f32[] {
  ROOT %copy.9 = f32[] copy(%p.3)
}

ENTRY %main (a: f32[8,4], w: f32[1,3,3,1]) -> f32[8,2] {
  %a = f32[8,4]{1,0} parameter(0)
  %w = f32[1,3,3,1]{3,2,1,0} parameter(1)
  %b = f32[1,8,4,1]{3,2,1,0} bitcast(%a)
  %cudnn-conv.1 = (f32[1,8,4,1]{3,2,1,0}, u8[0]{0}) custom-call(%b, %w), window={size=3x3 pad=1_1x1_1}, operand_precision={high,high}, custom_call_target="__cudnn$convBackwardInput"
  %w.2 = (s32[], f32[8,4]{1,0}, /*index=5*/f32[]) while(%tuple), condition=%condition, body=%body
  %start = (f32[8,4]{1,0:S(5)}, f32[8,4]{1,0}, u32[]) copy-start(%a)
  %done = f32[8,4]{1,0:S(5)} copy-done(%start)
  ROOT %gemm_fusion_dot.1 = f32[8,2]{1,0} fusion(%a, %w), kind=kCustom, calls=%gemm_fusion_dot.1_computation
}
"""  # noqa: E501


def test_what_a_text_says():
    found = reading.figures(TEXT)
    assert found['convolutions'] == {'input gradient': 1}
    assert found['operands'] == {'tf32': 1, 'bf16': 1}
    assert found['kinds'] == {'input gradient': 1, 'copy-start': 1, 'product': 1, 'loop fusion': 2, 'copy': 1}
    assert (found['copies'], found['copied'], found['transfers']) == (1, 8 * 4 * 4, 1)
    assert found['model_us'] == 2.5  # neither the second estimate nor what a fusion is made of
    assert reading.slowest(TEXT, 1) == [(2.5, 'loop fusion', 'loop_add_fusion f32[8,4]{1,0}')]


@pytest.mark.parametrize('type_, bytes_', [('f32[2,3]{1,0}', 24), ('(bf16[4]{0}, u8[0]{0})', 8), ('pred[7]', 7)])
def test_sizes_of_types(type_, bytes_):
    assert reading.size(type_) == bytes_


@pytest.mark.parametrize('image, steps', [(1e6, 0), (1.37e6, 3e6), (2e4, 5e8)])
def test_the_largest_minibatch(image, steps):
    asked, known = [], {}

    def needed(size):
        return 3e8 + image * size + steps * (size // 64)  # buffers grow in steps

    def peak(size):
        asked.append(size)
        return needed(size)

    for memory in (8e9, 80e9):
        best = batches.largest_batch(peak, memory, known)
        assert needed(best) <= memory and (best == batches.MOST or needed(best + best // 50 + 2) > memory)
    assert len(asked) == len(set(asked)) <= 30


def test_no_minibatch_at_all():
    assert batches.largest_batch(lambda size: 9e9, 8e9, {}) is None
    assert batches.largest_batch(lambda size: 1.0, 8e9, {}, most=50) == 50


@pytest.fixture
def cells(tmp_path, monkeypatch):
    """Replace the cells of the command and record the calls."""
    asked = []

    def run_cell(order, info=print):
        asked.append((order['name'], order['functions']))
        good = dict(compiles=True, seconds=1.0, arguments=1, temporary=1, peak=3 << 20, in_place=1 << 20, kernels=5)
        good |= dict(
            convolutions={'forward': 1}, operands={'tf32': 2}, copies=0, copied=2048, transfers=0, model_us=4.2
        )
        bad = dict(compiles=False, error='ptxas died')
        return {'functions': {f: bad if f == 'test' else good for f in order['functions'] if f != 'statistics'}}

    monkeypatch.setattr(matrix, 'run_cell', run_cell)
    monkeypatch.setattr(matrix.metadata, 'version', lambda name: '0.10.2')
    monkeypatch.setattr(targets, 'check_extra', lambda: None)
    monkeypatch.setattr(command, 'ENVIRONMENT', {})
    page = tmp_path / 'gpu.md'
    page.write_text('<!-- compiled -->\n<!-- end of compiled -->\n')

    def run(*functions, network='LeNet5'):
        options = ['--networks', network, '--precisions', 'tf32', '--capabilities', 'sm_80', '--devices', '1']
        arguments = [*options, '--out', str(tmp_path / 'r.json'), '--page', str(page), '--functions', *functions]
        return command.main(arguments), page.read_text()

    run.asked, run.path = asked, tmp_path / 'r.json'
    return run


def test_what_is_there_is_not_compiled_again_unless_jax_changed(cells, monkeypatch):
    code, page = cells('train', 'statistics')
    line = '| LeNet5 tf32 sm_80 | 1 of 1 | 3 / - / - / - | 1.0 | 1 / 0 / 0 | tf32 | 5 / - | 4 / - | 2 / - | 0 |'
    assert code == 0 and line in page
    code, page = cells('train', 'statistics', 'test')
    assert code == 'does not compile: LeNet5 tf32 sm_80' and '| 1 of 2; test does not: ptxas died |' in page
    assert cells.asked == [('LeNet5 tf32 sm_80', ['train', 'statistics']), ('LeNet5 tf32 sm_80', ['test'])]
    monkeypatch.setattr(matrix.metadata, 'version', lambda name: '0.11')
    assert cells('train')[0] == 0
    assert cells.asked[2:] == [('LeNet5 tf32 sm_80', ['train'])]
    assert list(json.loads(cells.path.read_text())['cells']['LeNet5 tf32 sm_80']['functions']) == ['train']


def test_the_table_goes_by_cards():
    names = ['B tf32 sm_100', 'A bf16 sm_90 x2', 'A tf32 sm_80', 'B tf32 sm_80', 'A bf16 sm_80']
    found = list(matrix.in_order(dict.fromkeys(names)))
    assert found == ['B tf32 sm_80', 'A tf32 sm_80', 'A bf16 sm_80', 'B tf32 sm_100', 'A bf16 sm_90 x2']


def test_bad_input(cells, monkeypatch):
    assert "got ['LeNet']" in cells('train', network='LeNet')[0]

    def missing():
        raise MissingExtra('pip install')

    monkeypatch.setattr(targets, 'check_extra', missing)
    assert cells('train')[0] == 'pip install'


def test_a_missing_compiler_is_one_clear_error(monkeypatch):
    monkeypatch.setattr(targets, 'find_spec', lambda module: None)
    with pytest.raises(MissingExtra, match=r'jax-cuda12-plugin.* pip install -e "\.\[aot\]"'):
        targets.check_extra()


def test_every_card_is_described_in_full():
    for name in targets.CARDS:
        text = targets.description(name)
        assert f'major: {name[3:-1]} minor: {name[-1]}' in text and text.count('{') == text.count('}')
