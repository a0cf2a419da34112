"""The building blocks of networks and launcher: Ops, layers, training, files, records, studies, the command line.

Importing this package configures PyTensor for symfer. This must happen before PyTensor's JAX dispatch is imported,
which reads ``floatX`` only once:

* ``floatX = 'float32'``: parameters, images and costs have single precision;
* ``cxx = ''``: no C compiler is used, so none has to be installed.

PyTensor itself is not imported here, so that the command line can respond without it.
"""

import logging
import os
import sys
import warnings

__version__ = '0.1.0'  # setup.py reads it here

if 'pytensor' in sys.modules:
    sys.modules['pytensor'].config.floatX = 'float32'
    sys.modules['pytensor'].config.cxx = ''
else:
    os.environ['PYTENSOR_FLAGS'] = ','.join(filter(None, (os.environ.get('PYTENSOR_FLAGS'), 'floatX=float32', 'cxx=')))
# Suppresses JAX's message, at every start, that a computer without a GPU has none.
logging.getLogger('jax._src.xla_bridge').addFilter(
    lambda record: 'GPU' not in record.getMessage() or record.levelno > logging.WARNING
)

# PyTensor's `sum`, `mean` and `arange` request 64-bit accumulators and counts, which JAX truncates to 32 bits with a
# warning each time. tests/cnn/test_networks.py checks the dtypes of all updates instead.
warnings.filterwarnings('ignore', message='Explicitly requested dtype .* requested in')
