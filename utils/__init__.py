"""What networks and launcher are built from: Ops, layers, costs, updates, methodology, files, reports.

Importing this package puts PyTensor in the state that symfer needs, before PyTensor's JAX
dispatch is loaded (which reads ``floatX`` once, when it is imported):

* ``floatX = 'float32'``: parameters, images and costs are single precision;
* ``cxx = ''``: nothing is compiled with a C compiler, so none has to be there.
"""
import logging
import os
import warnings

os.environ.setdefault('PYTENSOR_FLAGS', 'cxx=')     # before PyTensor looks for a compiler and warns
# jaxlib's own note, at every start, that a computer without a GPU has none.
logging.getLogger('jax._src.xla_bridge').addFilter(
    lambda record: 'GPU' not in record.getMessage() or record.levelno > logging.WARNING)

import pytensor  # noqa: E402

__version__ = '0.1.0'       # setup.py reads it here

pytensor.config.floatX = 'float32'
pytensor.config.cxx = ''

# PyTensor's own `sum`, `mean` and `arange` ask for 64-bit accumulators and counts, which JAX cuts
# to 32 bits with a warning each. tests/test_networks.py guards the dtypes of all updates instead.
warnings.filterwarnings('ignore', message='Explicitly requested dtype .* requested in')
