"""What networks and launcher are built from: Ops, layers, training, files, records, studies, the command line.

Importing this package sees to it that PyTensor is in the state that symfer needs, before PyTensor's JAX dispatch is
loaded (which reads ``floatX`` once, when it is imported):

* ``floatX = 'float32'``: parameters, images and costs are single precision;
* ``cxx = ''``: nothing is compiled with a C compiler, so none has to be there.

PyTensor itself is not imported here, so that the command line answers without it.
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
# jaxlib's own note, at every start, that a computer without a GPU has none.
logging.getLogger('jax._src.xla_bridge').addFilter(
    lambda record: 'GPU' not in record.getMessage() or record.levelno > logging.WARNING
)

# PyTensor's own `sum`, `mean` and `arange` ask for 64-bit accumulators and counts, which JAX cuts
# to 32 bits with a warning each. tests/cnn/test_networks.py guards the dtypes of all updates instead.
warnings.filterwarnings('ignore', message='Explicitly requested dtype .* requested in')
