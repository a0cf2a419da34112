"""Networks that are refused when their graph is built, and training of networks with nested parts."""

import functools

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from own_network import SIDE, functions, linear, nested, network, straight, trainer

from mlp import MLP
from mlp.layers import Hidden, Softmax
from utils.layer import parameter
from utils.layers import Bias
from utils.results import inspection
from utils.training.reporter import NullReporter
from utils.training.settings import Settings
from utils.training.trainer import Trainer


def through(self, x, phase):
    return self.slot(self.layers['hidden'][0][0](x, phase), phase)


class TestNestedNetworks:
    def test_are_trained_like_flat_ones(self, data):
        def flat(self, rng):
            self.hidden, self.slot = Hidden(144, 5, rng=rng), Softmax(5, 3, rng=rng)

        def along(self, x, phase):
            return self.slot(self.hidden(x, phase), phase)

        states = []
        for init, call in ((nested, through), (flat, along)):
            with trainer(data, init, call, L2_reg=0.01) as t:
                t.train(2)
                states.append(t.state())
        names = {'hidden': 'layers.hidden0.0'}
        for path, value in states[1]['arrays'].items():
            np.testing.assert_array_equal(states[0]['arrays'][path.replace('hidden', names['hidden'])], value)
        assert len(states[0]['arrays']) == len(states[1]['arrays'])

    def test_can_be_looked_into(self, rng):
        net = network(nested, through)(rng)
        names = inspection.Activations(net, rng.integers(0, 256, (4, *SIDE), dtype=np.uint8)).names
        assert names == ('layers.hidden0.0', 'slot')
        assert type(net).__name__ == 'Mine' and type(net.slot) is Softmax


class TestSharedVariablesThatAreNoParametersAreRefused:
    def outside(self, name=None):
        return pytensor.shared(np.zeros((144, 3), 'f'), name=name, shape=(144, 3))

    @pytest.mark.parametrize('name, told', [('outer', 'outer'), (None, r'Matrix\(float32, shape=\(144, 3\)\)')])
    def test_by_name_or_type(self, name, told):
        W = self.outside(name)
        with pytest.raises(ValueError, match=rf'network Mine .* neither trained nor saved: {told}\. .*utils.layer'):
            functions(linear, lambda self, x, phase: self.out(x, phase) + pt.dot(x, W)).check()

    @pytest.mark.parametrize('hide', [lambda layer: {layer}, lambda layer: [functools.partial(layer)]])
    def test_of_layers_where_no_attribute_leads(self, hide):
        def init(self, rng):
            linear(self, rng)
            self.hidden = hide(Bias(3))

        with pytest.raises(ValueError, match='not among its parameters'):
            functions(init, lambda self, x, phase: [*self.hidden][0](self.out(x, phase), phase)).check()

    def test_in_testing_alone(self, data):
        W = self.outside()
        with pytest.raises(ValueError, match='not among its parameters'):
            trainer(data, linear, lambda self, x, phase: self.out(x, phase) + (0 if phase.train else pt.dot(x, W)))

    def test_in_updates_alone(self):
        count = pytensor.shared(np.float32(0), name='count')

        def call(self, x, phase):
            phase.updates[count] = np.float32(1)
            return self.out(x, phase)

        with pytest.raises(ValueError, match='neither trained nor saved: count'):
            functions(linear, call).check()

    def test_in_the_pass_that_measures_statistics(self):
        W = self.outside('W')
        f = functions(linear, lambda self, x, phase: self.out(x, phase) + (0 if phase.weight is None else pt.dot(x, W)))
        f.check()
        with pytest.raises(ValueError, match='not among its parameters'):
            f.statistics  # noqa: B018


class TestTrainableParametersWithoutUseAreRefused:
    @pytest.mark.parametrize('L2_reg', [0.0, 0.01])
    def test_a_layer_that_is_made_but_not_used(self, data, L2_reg):
        def init(self, rng):
            linear(self, rng)
            self.spare = [Hidden(5, 4, rng=rng)]

        with pytest.raises(ValueError, match=r'network Mine .* does not depend: spare0\.W, spare0\.norm\.b\. Use'):
            trainer(data, init, straight, L2_reg=L2_reg)

    def test_one_that_no_gradient_reaches(self):
        def init(self, rng):
            linear(self, rng)
            self.limit = parameter(np.zeros(3))

        with pytest.raises(ValueError, match=r'does not depend: limit\.'):
            functions(
                init, lambda self, x, phase: self.out(x, phase) * pytensor.gradient.disconnected_grad(self.limit)
            ).check()

    def test_those_that_are_not_trained_may_be_idle(self):
        def init(self, rng):
            linear(self, rng)
            self.note = parameter(np.zeros(3), trainable=False)

        functions(init, straight).check()

    def test_parts_for_training_alone_are_used(self):
        def init(self, rng):
            linear(self, rng)
            self.auxiliary = Softmax(144, 3, rng=rng)

        functions(
            init, lambda self, x, phase: self.out(x, phase) + (self.auxiliary(x, phase) if phase.train else 0)
        ).check()

    def test_a_network_without_any(self):
        with pytest.raises(ValueError, match='network Mine has no trainable parameters'):
            functions(lambda self, rng: None, lambda self, x, phase: x[:, :3]).check()


class TestOutputsAreChecked:
    @pytest.mark.parametrize(
        'call, told',
        [
            (lambda self, x, phase: self.out(x, phase)[:, :2], r'\(6, 2\) and type float32'),
            (lambda self, x, phase: pt.concatenate([self.out(x, phase)] * 2, axis=1), r'\(6, 6\)'),
            (lambda self, x, phase: self.out(x, phase)[:, :, None], r'\(6, 3, 1\)'),
            (lambda self, x, phase: self.out(x, phase).mean(axis=1), r'\(6,\)'),
            (lambda self, x, phase: self.out(x, phase)[:5], r'\(5, 3\)'),
            (lambda self, x, phase: self.out(x, phase) > 0, 'type bool'),
            (lambda self, x, phase: (self.out(x, phase), x), 'one expression of shape .* got'),
            (lambda self, x, phase: None, 'got None'),
        ],
    )
    def test_in_shape_and_type(self, call, told):
        with pytest.raises(ValueError, match=rf'network Mine must return logits.*{told}'):
            functions(linear, call).check()

    def test_for_the_classes_of_the_set(self, data):
        make = functools.partial(MLP, SIDE, 4, n_hidden=[5])
        with pytest.raises(ValueError, match=r'network MLP must .*here \(20, 3\), .*shape \(20, 4\)'):
            Trainer(lambda rng: make(rng=rng), data, Settings(20))

    def test_in_testing_too(self, data):
        with pytest.raises(ValueError, match=r'must return logits.*\(20, 2\)'):
            trainer(data, linear, lambda self, x, phase: self.out(x, phase)[:, : 3 if phase.train else 2])

    def test_before_the_first_step_where_the_graph_does_not_know_the_shape(self, data):
        def unknown(self, x, phase):
            y = pt.roll(pt.concatenate([self.out(x, phase)] * 2, axis=1), 1, axis=1)
            assert y.type.shape[1] is None
            return y

        with trainer(data, linear, unknown) as t, pytest.raises(ValueError, match=r'got an array of shape \(20, 6\)'):
            t.train(1)

    def test_and_of_symfers_own_networks_nothing_is_asked_before_the_first_step(self, data, monkeypatch):
        class Own(MLP):
            pass

        for kind, asked in ((MLP, False), (Own, True)):
            make = functools.partial(kind, SIDE, 3, n_hidden=[5])
            with Trainer(lambda rng: make(rng=rng), data, Settings(20, val=False)) as t:
                monkeypatch.setattr(type(t), '_check_costs', lambda self, values: self._diverged('stopped', 1))
                with pytest.raises(FloatingPointError):
                    t.train(1)
                assert ('test' in vars(t.functions)) is asked
                monkeypatch.undo()


class TestOutputsThatLookLikeProbabilities:
    class Told(NullReporter):
        def __init__(self):
            self.warnings = []

        def warn(self, text):
            self.warnings.append(text)

    def warned(self, data, call, **options):
        report = self.Told()
        with trainer(data, linear, call, reporter=report, **options) as t:
            t.train(2)
            t.retrain()
        return report.warnings

    @pytest.mark.parametrize('val', [True, False])
    @pytest.mark.parametrize(
        'call',
        [
            lambda self, x, phase: Softmax.probabilities(self.out(x, phase)),
            lambda self, x, phase: pt.exp(self.out(x, phase)) / pt.exp(self.out(x, phase)).sum(axis=1, keepdims=True),
        ],
    )
    def test_are_told_of_once(self, data, call, val):
        (warning,) = self.warned(data, call, val=val)
        assert 'look like probabilities: return logits' in warning

    @pytest.mark.parametrize(
        'call',
        [
            straight,
            lambda self, x, phase: pt.special.log_softmax(self.out(x, phase), axis=1),
            lambda self, x, phase: pt.sigmoid(self.out(x, phase)),
        ],
    )
    def test_others_are_not(self, data, call):
        assert self.warned(data, call) == []


def test_checking_draws_and_changes_nothing(rng):
    f = functions(linear, lambda self, x, phase: self.out(x * phase.uniform(x) if phase.train else x, phase))
    before = f.parameters['out.W'].get_value()
    f.check()
    assert f.counter.get_value() == 0 and (f.parameters['out.W'].get_value() == before).all()


def test_a_run_says_that_outputs_look_like_probabilities_and_refuses_others_before_it_writes(
    tiny_set, tmp_path, monkeypatch, capsys
):
    import launch

    class Softened(MLP):
        def __call__(self, x, phase):
            return Softmax.probabilities(super().__call__(x, phase))

    class Fewer(MLP):
        def __init__(self, im_dim, n_classes, **options):
            super().__init__(im_dim, n_classes - 1, **options)

    monkeypatch.chdir(tmp_path)
    options = dict(
        dataset=tiny_set,
        n_hidden=[5],
        p_drop=0.0,
        batch_norm=False,
        p_dropConv=[],
        n_epochs=1,
        anneal_epochs=1,
        batch_size=50,
        report=False,
        savename='m.h5',
    )
    result = launch.test(network=Softened, **options)
    said, logged = capsys.readouterr().out, (result.folder / 'log.txt').read_text()
    assert said.count("warning: the network's outputs look like probabilities") == 1
    assert logged.count("warning: the network's outputs look like probabilities") == 1
    with pytest.raises(ValueError, match=r'network Fewer must return logits .*\(50, 2\)'):
        launch.test(network=Fewer, **{**options, 'savename': 'other.h5'})
    assert not list(tmp_path.glob('other*'))
