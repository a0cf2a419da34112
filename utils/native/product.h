// Products of matrices of which the second is too large to be put into panels as a whole.
#pragma once
#include "parallel.h"
#include "simd.h"

namespace symfer {

struct Matrix {
  const float* at;
  long stride;  // from one row to the next
};

// Rows of `b` that are in panels at a time, panels at a time, rows of `a` for the same panels.
constexpr long PRODUCT_DEPTH = 256, PRODUCT_PANELS = 8, PRODUCT_ROWS = 20 * ROWS;

// out (rows, columns) = a (rows, depth) @ b (depth, columns). `columns` is a multiple of LANES. With `padded`, a has
// values that do not matter up to a whole number of ROWS.
static inline void product(Threads& threads, const Matrix& a, const Matrix& b, float* out, long out_stride, long rows,
                           long depth, long columns, bool padded) {
  const long panels = (columns + PANEL - 1) / PANEL, blocks = (rows + PRODUCT_ROWS - 1) / PRODUCT_ROWS;
  const long some = (rows + blocks - 1) / blocks, block = (some + ROWS - 1) / ROWS * ROWS;
  const long chunk = std::clamp<long>(panels * blocks / (4 * threads.count()), 1, PRODUCT_PANELS) * PANEL;
  const long chunks = (columns + chunk - 1) / chunk;
  threads.each(blocks * chunks, [&](long task) {
    const long m = task / chunks * block, n = task % chunks * chunk;
    const long height = std::min(block, rows - m), width = std::min(chunk, columns - n);
    const long whole = padded ? height / ROWS * ROWS : height;
    float *packed = scratch(PRODUCT_DEPTH * chunk + ROWS * PANEL), *rest = packed + PRODUCT_DEPTH * chunk;
    for (long d = 0; d < depth && height > 0; d += PRODUCT_DEPTH) {
      const long deep = std::min(PRODUCT_DEPTH, depth - d);
      into_panels(b.at + d * b.stride + n, b.stride, 0, deep, width, packed, deep);
      for (long k = 0; k < width; k += PANEL) {
        const Panel panel{packed + k * deep, panel_width(k, width)};
        const float* from = a.at + m * a.stride + d;
        float* to = out + m * out_stride + n + k;
        multiply<false>(from, a.stride, panel, to, out_stride, whole, deep, d > 0);
        if (whole == height) continue;
        multiply<false>(from + whole * a.stride, a.stride, panel, rest, PANEL, ROWS, deep);
        for (long r = whole; r < height; ++r)
          for (long v = 0; v < panel.width; v += LANES) {
            float* sum = to + r * out_stride + v;
            const Vector more = load(rest + (r - whole) * PANEL + v);
            store(sum, d ? load(sum) + more : more);
          }
      }
    }
  });
}

}  // namespace symfer
