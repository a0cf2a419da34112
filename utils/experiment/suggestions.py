"""Suggestions of the intended name in messages about an unknown one."""

from __future__ import annotations

import re
from typing import Any

# Names of our arguments in other libraries.
ALIASES = {
    'lr': 'learning_rate',
    'rate': 'learning_rate',
    'epoch': 'n_epochs',
    'epochs': 'n_epochs',
    'nepoch': 'n_epochs',
    'numepochs': 'n_epochs',
    'maxepochs': 'n_epochs',
    'batch': 'batch_size',
    'minibatch': 'batch_size',
    'bs': 'batch_size',
    'dropout': 'p_drop',
    'drop': 'p_drop',
    'dropoutconv': 'p_dropConv',
    'optimizer': 'optimiser',
    'optim': 'optimiser',
    'solver': 'optimiser',
    'optimizerargs': 'optimiser_args',
    'model': 'network',
    'net': 'network',
    'architecture': 'network',
    'arch': 'network',
    'data': 'dataset',
    'dataset': 'dataset',
    'path': 'dataset',
    'hidden': 'n_hidden',
    'hiddenlayers': 'n_hidden',
    'units': 'n_hidden',
    'layers': 'n_hidden',
    'nonlinearity': 'activation',
    'bn': 'batch_norm',
    'batchnormalization': 'batch_norm',
    'noise': 'gaussian_std',
    'std': 'gaussian_std',
    'l1': 'L1_reg',
    'l2': 'L2_reg',
    'wd': 'weight_decay',
    'decay': 'weight_decay',
    'ema': 'ema_decay',
    'emadecay': 'ema_decay',
    'scheduler': 'schedule',
    'lrscheduler': 'schedule',
    'lrschedule': 'schedule',
    'smoothing': 'label_smoothing',
    'augmentation': 'augment',
    'randomstate': 'seed',
    'randomseed': 'seed',
    'validation': 'val',
    'imsize': 'im_dim',
    'imagesize': 'im_dim',
    'output': 'savename',
    'save': 'savename',
    'out': 'savename',
    'checkpoint': 'resume',
    'callback': 'on_epoch',
    'callbacks': 'on_epoch',
    'gradclip': 'clip_norm',
    'clip': 'clip_norm',
    'dtype': 'precision',
    'flip': 'mirror',
    'cutout': 'erase',
    'scale': 'zoom',
    'width': "network_args={'width': ...}",
    'crop': "augment={'crop': ...}",
    'mixup': "augment={'mixup': ...}",
    'mirror': "augment={'mirror': ...}",
    'rotation': "augment={'rotation': ...}",
}


def did_you_mean(name: str, known: Any) -> str:
    """Return '; did you mean ...?' if a known name is similar or a synonym, otherwise ''."""

    def plain(text):
        return re.sub('[^a-z0-9]', '', str(text)[:100].lower())

    import difflib  # slow to import and rarely needed

    def likeness(other):
        ours, theirs = plain(other), plain(name)
        if sorted(ours) == sorted(theirs):  # transposed letters
            return 1
        return difflib.SequenceMatcher(None, theirs, ours).ratio() + 0.02 * (theirs[:1] == ours[:1])

    known = list(known)
    alias = ALIASES.get(plain(name), '')
    if alias.partition('=')[0] in known:
        return f'; did you mean {alias if "=" in alias else repr(alias)}?'
    near = max(known, key=likeness, default='')
    return f'; did you mean {near!r}?' if near and likeness(near) >= 0.7 else ''
