"""The format 'onnx': a network with pre- and post-processing, which runs without symfer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt

from utils import __version__
from utils.experiment.prediction import temperature_of
from utils.export.formats import format
from utils.export.onnx_ import elementwise, images, shaping  # noqa: F401  (register their converters)
from utils.export.onnx_.conversion import BATCH, OPSET, Graph
from utils.layer import Phase

if TYPE_CHECKING:
    from utils.export.formats import Exported

IR_VERSION = 8  # read by every runtime since 2022


@format('onnx', '.onnx')
def onnx(exported: Exported) -> bytes:
    """Encode a network as ONNX, from grey images to probabilities.

    The input ``images`` is float32 (n, 1, height, width), with grey levels from 0 to 255. The output ``probabilities``
    is float32 (n, n_classes), computed with the model's temperature. The number of images n is free. The class names,
    in their order, are in the metadata as JSON under ``classes``.

    Raises
    ------
    NotConvertible
        The network uses an Op that has no converter. The message names it.
    MissingExtra
        onnx is not installed.
    """
    config = exported.config
    height, width = config['im_dim']
    x = pt.tensor('pixels', dtype='float32', shape=(BATCH, height, width, 1))
    for name, p in exported.parameters.items():
        p.name = name
    graph = Graph(x, 'pixels')
    helper = graph.onnx.helper
    graph.nodes.append(helper.make_node('Div', ['images', graph.initializer(np.float32(255))], ['pixels']))
    logits = exported.network(x, Phase())
    name = graph.convert(logits)
    temperature = float(temperature_of(config))
    if temperature != 1.0:
        name = graph.add('Div', [name, graph.initializer(np.float32(temperature))])
    graph.nodes.append(helper.make_node('Softmax', [name], ['probabilities'], axis=1))
    number = graph.type_number('float32')
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            'symfer',
            [helper.make_tensor_value_info('images', number, ['n', 1, height, width])],
            [helper.make_tensor_value_info('probabilities', number, ['n', len(config['classes'])])],
            [graph.onnx.numpy_helper.from_array(value, name) for name, value in graph.constants.values()],
        ),
        opset_imports=[helper.make_opsetid('', OPSET)],
        ir_version=IR_VERSION,
        producer_name='symfer',
        producer_version=__version__,
        doc_string='grey face images (n, 1, height, width), 0 to 255 -> probabilities of the classes',
    )
    helper.set_model_props(
        model, {'classes': json.dumps(list(config['classes'])), 'network': str(config['options']['network']),
                'temperature': repr(temperature)}
    )  # fmt: skip
    graph.onnx.checker.check_model(model)
    return model.SerializeToString()
