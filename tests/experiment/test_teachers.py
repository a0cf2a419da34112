"""Teachers: their parameters, images and files; which are refused."""

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from small import SMALL, Interrupted, lines_without_times, same_models, small
from voted import voted_set

import launch
import loaders
import mlp
from utils.experiment.teachers import Teacher, open_teacher
from utils.files import models
from utils.studies import ensembles


@pytest.fixture(scope='module')
def teachers(tiny_set, tmp_path_factory):
    """Model files: two seeds, one with the L2-SVM, one with crops, one exported, one with the test's own class."""
    folder = tmp_path_factory.mktemp('teachers')
    for seed in range(2):
        small(tiny_set, savename=folder / f't{seed}.h5', seed=seed, n_epochs=3)
    small(tiny_set, savename=folder / 'svm.h5', loss='l2svm', learning_rate=0.02)
    small(tiny_set, savename=folder / 'own.h5', network=Own)
    small(tiny_set, savename=folder / 'crops.h5', augment={'crop': 10})
    launch.export(folder / 't0.h5', folder / 'exported.h5')
    return folder


class Own(mlp.MLP):
    pass


def opened(teacher, data, said=None, **options):
    names = teacher if isinstance(teacher, list) else [teacher]
    options = {'teacher': names, 'network': mlp.MLP, 'val': True, 'batch_size': 50, **options}
    return open_teacher(launch.CONTEXT, options, data, (said if said is not None else []).append)


def log_p(model, subset):
    """Logits up to a constant for each image, computed independently."""
    return np.log(launch.predict(model, subset.images(), raw=True))


def same_outputs(logits, others):
    a, b = (values - values.mean(axis=1, keepdims=True) for values in (logits, others))
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_stage_train_is_taught_by_the_best_epoch_and_what_follows_by_the_last_parameters(tiny_set, teachers):
    """The last parameters were trained on the validation images, the best ones were not."""
    launch.export(teachers / 't0.h5', 'best.h5', best=True)
    with loaders.load(tiny_set) as data:
        teacher = opened(teachers / 't0.h5', data, said := [])
        assert not said
        best, last = (teacher(data.reduced_training, best) for best in (True, False))
        same_outputs(best, log_p('best.h5', data.reduced_training))
        same_outputs(last, log_p(teachers / 't0.h5', data.reduced_training))
        assert abs(best - last).max() > 0.01
        assert [line for line in said] == ['teacher: computing logits for 200 images of the reduced_training set'] * 2


def test_in_an_experiment_no_validation_image_is_shown_to_it_before_stage_retrain(tiny_set, teachers, monkeypatch):
    asked, original = [], Teacher.__call__

    def call(self, subset, best):
        asked.append((subset.name, best))
        return original(self, subset, best)

    monkeypatch.setattr(Teacher, '__call__', call)
    small(tiny_set, teacher=teachers / 't0.h5')
    assert asked == [('reduced_training', True), ('training', False)]
    asked.clear()
    small(tiny_set, teacher=teachers / 't0.h5', retrain=False)
    assert asked == [('reduced_training', True)]
    asked.clear()
    small(tiny_set, teacher=teachers / 't0.h5', val=False)
    assert asked == [('training', False)]


slow = functools.partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    'options',
    [
        dict(teacher_args={'weight': 0.5, 'temperature': 2.0}),
        slow(dict(teacher_args={'augmented': True}, augment={'mirror': 0.5, 'crop': 10, 'cutmix': 0.5})),
        slow(dict(soft_labels=True, balance='weights', ema_decay=0.9, augment={'mixup': 0.3}, label_smoothing=0.1)),
    ],
)
def test_a_resumed_and_a_streamed_experiment_end_as_an_undisturbed_one(teachers, tiny_originals, tmp_path, options):
    dataset = voted_set(tiny_originals, tmp_path)
    names = [teachers / name for name in (('crops.h5',) if 'crop' in str(options) else ('t0.h5', 't1.h5'))]
    options = {'teacher': names, **options}
    whole = small(dataset, savename='whole.h5', **options)
    for stage in ('train', 'retrain'):

        def stop(row, stage=stage):
            if (row['stage'], row['epoch']) == (stage, 1):
                raise Interrupted

        with pytest.raises(Interrupted):
            small(dataset, savename=f'{stage}.h5', on_epoch=stop, **options)
        resumed = launch.test(resume=f'{stage}.h5', verbose=0, report=False)
        assert lines_without_times(resumed.history) == lines_without_times(whole.history)
        assert same_models(f'{stage}.h5', 'whole.h5')
    streamed = small(dataset, savename='streamed.h5', trainShared=False, **options)
    assert lines_without_times(streamed.history) == lines_without_times(whole.history)
    assert same_models('streamed.h5', 'whole.h5')
    saved = models.load('whole.h5')[1]
    wanted = {'weight': 0.9, 'temperature': 4.0, 'augmented': False, **options.get('teacher_args', {})}
    assert saved['options']['teacher_args'] == wanted and len(saved['teacher_digest']) == 64
    assert saved['options']['teacher'] == list(map(str, names))
    without = {**SMALL, 'savename': 'without.h5', **{k: v for k, v in options.items() if not k.startswith('teacher')}}
    assert lines_without_times(launch.test(dataset=dataset, **without).history) != lines_without_times(whole.history)


def test_several_models_a_run_and_an_ensemble_teach_by_the_mean_of_their_outputs(tiny_set, teachers):
    files, last = [teachers / 't0.h5', teachers / 't1.h5'], {}
    ensembles.ensemble([file.with_suffix('') for file in files], chosen=False, folder=Path('e'), info=lambda *_: None)
    with loaders.load(tiny_set) as data:
        for name, given in (
            ('files', files),
            ('the other way round', files[::-1]),
            ('runs', [file.with_suffix('') / 'run-001' for file in files]),
            ('ensemble', 'e'),
            ('its table', 'e/evaluation.json'),
        ):
            last[name] = opened(given, data)
        assert len({teacher.digest for teacher in last.values()}) == 1
        images = data.training
        mean = sum(log_p(file, images) for file in files) / 2
        same_outputs(last['ensemble'](images, False), mean)
        np.testing.assert_array_equal(last['files'](images, True), last['the other way round'](images, True))
        assert opened(files[0], data).digest != last['files'].digest


def test_scores_of_an_l2svm_are_divided_by_its_temperature(tiny_set, teachers):
    temperature = models.load(teachers / 'svm.h5')[1]['temperature']
    with loaders.load(tiny_set) as data:
        logits = opened(teachers / 'svm.h5', data)(data.training, False)
        same_outputs(logits, log_p(teachers / 'svm.h5', data.training) / temperature)


def test_a_teacher_that_may_have_seen_the_validation_images_gets_a_warning(
    tiny_set, tiny_originals, teachers, tmp_path
):
    with loaders.load(tiny_set) as data:
        opened(teachers / 'exported.h5', data, said := [])
        (line,) = said
        assert line.startswith(f"warning: teacher '{teachers}/exported.h5' has only its final parameters")
        opened(teachers / 'exported.h5', data, said := [], val=False)
        assert not said
    (other,) = loaders.build(tiny_originals, sets=(2,), out=tmp_path, validation=20, info=lambda *line: None)
    with loaders.load(other) as data:
        opened(teachers / 't0.h5', data, said := [])
    (line,) = said
    assert 'was trained on another set' in line and 'validation figures of stage train may be too good' in line


def test_the_same_class_of_a_script_may_teach_and_no_other(tiny_set, teachers):
    with loaders.load(tiny_set) as data:
        assert opened(teachers / 'own.h5', data, network=Own)(data.training, False).shape == (260, 3)
        with pytest.raises(ValueError, match='teacher: .*own.h5. has a network class from a script, Own'):
            opened(teachers / 'own.h5', data)


def test_another_teacher_on_resuming_is_refused(tiny_set, teachers):
    shutil.copy(teachers / 't0.h5', 'teacher.h5')
    small(tiny_set, savename='m.h5', teacher='teacher.h5')
    before = Path('m.h5').read_bytes()
    shutil.copy(teachers / 't1.h5', 'teacher.h5')
    with pytest.raises(ValueError, match="'m.h5' was trained with another teacher, 'teacher.h5' as it was then"):
        launch.test(resume='m.h5', n_epochs=3)
    Path('teacher.h5').unlink()
    with pytest.raises(FileNotFoundError, match="teacher: there is no model file 'teacher.h5'; .* teacher=PATH"):
        launch.test(resume='m.h5', n_epochs=3)
    with pytest.raises(ValueError, match="'m.h5' was trained with the teacher 'teacher.h5'"):
        launch.test(resume='m.h5', n_epochs=3, teacher=None)
    with pytest.raises(ValueError, match="trained with teacher_args={.*}, not {'weight': 0.5"):
        launch.test(resume='m.h5', n_epochs=3, teacher=teachers / 't0.h5', teacher_args={'weight': 0.5})
    assert Path('m.h5').read_bytes() == before
    moved = launch.test(resume='m.h5', n_epochs=3, teacher=teachers / 't0.h5', verbose=0, report=False)
    long = small(tiny_set, savename='long.h5', teacher=teachers / 't0.h5', n_epochs=3)
    assert lines_without_times(moved.history) == lines_without_times(long.history)
    small(tiny_set, savename='without.h5')
    with pytest.raises(ValueError, match="'without.h5' was trained without a teacher"):
        launch.test(resume='without.h5', n_epochs=3, teacher=teachers / 't0.h5')


def test_a_model_of_before_these_arguments_goes_on(tiny_set):
    long = small(tiny_set, savename='long.h5', n_epochs=3)
    small(tiny_set, savename='old.h5')
    state, config = models.load('old.h5')
    for name in ('soft_labels', 'teacher', 'teacher_args'):
        del config['options'][name]
    del config['teacher_digest']
    models.save('old.h5', state, config)
    assert lines_without_times(launch.test(resume='old.h5', n_epochs=3, verbose=0).history) == lines_without_times(
        long.history
    )


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(teacher='nowhere.h5'), "teacher: there is no model file 'nowhere.h5'"),
        (dict(teacher=[]), 'teacher must be the path of a model, a run or an ensemble, or a list of them, got'),
        (dict(teacher=3), 'teacher must be the path of a model, a run or an ensemble, or a list of them, got 3'),
        (dict(teacher='folder'), "teacher: 'folder' is a folder without a model"),
        (dict(teacher='e.json'), "teacher: 'e.json' names no members, so it is not from an ensemble"),
        (dict(teacher='bad.h5'), "teacher: 'bad.h5' cannot be loaded"),
        (dict(teacher='other.h5'), r"teacher: 'other.h5' knows the classes a, b, but '.*' has a, b, c"),
        (dict(teacher='sides.h5'), r"teacher: 'sides.h5' was trained on images of size \[16, 16\], but the images of"),
        (dict(teacher='m.h5', savename='m.h5'), "savename is the teacher itself, 'm.h5': choose another"),
        (dict(teacher='m.h5', loss='l2svm'), "teacher needs loss 'nll', got 'l2svm': leave it out"),
        (dict(soft_labels=True, loss='l2svm'), "soft_labels needs loss 'nll', got 'l2svm': leave it out"),
        (dict(soft_labels=True), 'soft_labels=True needs the votes of annotators'),
        (dict(teacher_args={'weight': 0.5}), 'teacher_args need a teacher, got .*: give teacher, or leave them out'),
        (
            dict(teacher='m.h5', teacher_args={'wieght': 0.5}),
            "teacher_args must be a dict of weight, temperature, augmented, got .* did you mean 'weight'",
        ),
        (
            dict(teacher='m.h5', teacher_args={'augmented': True}, augment={'crop': 10}),
            r"gives the teacher crops of \[10, 10\], but 'm.h5' takes images of \[12, 12\]: leave out augmented",
        ),
        (
            dict(teacher='m.h5', teacher_args={'temperature': 0}),
            'teacher_args: temperature must be a number from 0.01 to 1000, got 0',
        ),
    ],
)
def test_what_cannot_teach_gets_one_error_before_anything_is_written(tiny_set, teachers, options, message):
    shutil.copy(teachers / 't0.h5', 'm.h5')
    Path('folder').mkdir()
    Path('e.json').write_text(json.dumps({'model': 'm.h5'}))
    Path('bad.h5').write_text('nothing')
    state, config = models.load('m.h5')
    models.save(Path('other.h5'), state, {**config, 'classes': ['a', 'b']})
    models.save(Path('sides.h5'), state, {**config, 'im_dim': [16, 16]})
    before = sorted(Path().rglob('*'))
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        small(tiny_set, **{'savename': 'new.h5', **options})
    assert str(caught.value).count('\n') == 0
    assert [path for path in sorted(Path().rglob('*')) if path.suffix != '.claim'] == before


@pytest.mark.slow
def test_sweeps_the_learning_rate_finder_and_exported_students(tiny_set, tiny_originals, teachers, tmp_path, capsys):
    dataset, options = voted_set(tiny_originals, tmp_path), {k: v for k, v in SMALL.items() if k != 'network'}
    shutil.copy(teachers / 't0.h5', 'teacher.h5')
    common = dict(dataset=dataset, network='MLP', teacher=Path('teacher.h5'), **options)
    found = launch.sweep({'teacher_args': [{'weight': 0.5}, {'weight': 1.0}]}, [0], savename='s.h5', **common)
    assert len(found) == 2 and not same_models(*found)
    saved = [models.load(path)[1]['options']['teacher_args'] for path in found]
    assert sorted(one['weight'] for one in saved) == [0.5, 1.0] and {one['temperature'] for one in saved} == {4.0}
    before = [path.read_bytes() for path in found]
    again = launch.sweep({'teacher_args': [{'weight': 0.5}, {'weight': 1.0}]}, [0], savename='s.h5', **common)
    assert again == found and [path.read_bytes() for path in found] == before  # done already
    moved = {**common, 'teacher': teachers / 't0.h5'}
    launch.sweep({'teacher_args': [{'weight': 0.5}, {'weight': 1.0}]}, [0], savename='s.h5', **moved)
    assert [path.read_bytes() for path in found] == before
    shutil.copy(teachers / 't1.h5', 'teacher.h5')
    launch.sweep({'teacher_args': [{'weight': 0.5}]}, [0], savename='s.h5', **common)
    assert sum(path.read_bytes() != one for path, one in zip(found, before)) == 1  # another teacher makes another trial
    launch.export(found[0], 'student.h5')
    launch.export(found[0], 'student.safetensors')
    with loaders.load(dataset) as data:
        images = data.test.images()
        launch.evaluate('student.h5', dataset, report=False, info=lambda *_: None)
    np.testing.assert_array_equal(launch.predict('student.h5', images), launch.predict(found[0], images))
    common |= {'soft_labels': True, 'verbose': 0, 'figure': None, 'steps': 6}
    costs = [launch.rate_range(trainShared=shared, **common)[1] for shared in (True, False)]
    assert costs[0] == costs[1] and np.isfinite(costs[0]).all()


def test_a_student_of_another_network_and_a_teacher_that_crops(tiny_set, teachers):
    crops = teachers / 'crops.h5'
    result = small(tiny_set, savename='student.h5', teacher=crops, n_hidden=[4, 4], batch_size=20)
    assert result.config['options']['teacher'] == [str(crops)]
    with loaders.load(tiny_set) as data:
        same_outputs(opened(crops, data)(data.training, False), log_p(crops, data.training))


def test_a_teacher_that_sees_images_that_nothing_changes_is_the_one_that_is_asked_once(tiny_set, teachers):
    options = dict(teacher=[teachers / 't0.h5', teachers / 'svm.h5'], teacher_args={'weight': 1.0})
    once = small(tiny_set, savename='once.h5', **options)
    options['teacher_args'] = {'weight': 1.0, 'augmented': True}
    seeing = small(tiny_set, savename='seeing.h5', **options)
    for a, b in zip(once.history, seeing.history):  # stages train, retrain, anneal: the best epoch, the last parameters
        np.testing.assert_allclose(a['train_cost'], b['train_cost'], rtol=1e-4)
