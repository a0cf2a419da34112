"""Which dropout probabilities suit network A? The validation images decide, not the test images."""

import cnn
from launch import test

profiles = {'none': [0.0, 0.0, 0.0, 0.0], 'rising': [0.2, 0.3, 0.4, 0.5], 'falling': [0.5, 0.4, 0.3, 0.2]}
results = {}
for name, p_dropConv in profiles.items():
    results[name] = test(
        network=cnn.A,
        dataset='datasets/set2.h5',
        n_epochs=60,
        p_dropConv=p_dropConv,
        savename=f'trained_models/dropout_{name}.h5',
        name=f'A, dropout {name}',
    )

print(f'\n{"dropout":8}  epoch  cross-entropy  validation error  test error')
for name, r in sorted(results.items(), key=lambda item: item[1].validation_cross_entropy):
    print(
        f'{name:8}  {r.epoch:5d}  {r.validation_cross_entropy:13.4f}  {r.validation_error:14.2f} %  '
        f'{r.test_error:8.2f} %'
    )
