"""Cases of pooling and of response normalisation that have kernels in C++."""

# images, window, stride, ignore_border
POOLINGS = [
    ((9, 12, 12, 16), 3, 2, False),
    ((9, 13, 12, 13), 3, 2, True),
    ((5, 14, 9, 32), 3, 1, True),
    ((4, 20, 17, 17), (5, 2), (2, 1), False),
    ((3, 25, 25, 16), 2, 3, True),  # pixels of no window
    ((30, 7, 5, 16), (16, 16), (3, 5), False),  # windows larger than the images; 256 pixels
    ((2, 1, 1100, 8), (1, 4), (1, 3), False),
]
# images, size of a neighbourhood
RESPONSES = [((6, 13, 14, 16), 5), ((5, 20, 20, 9), 3), ((9, 30, 31, 2), 7), ((2, 30, 40, 7), 1)]
