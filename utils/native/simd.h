// Vectors of the processor and products of matrices with them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace symfer {

// Channels come in multiples of 16, whatever the width of the processor's vectors.
constexpr long UNIT = 16;
#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 12, COLUMNS = 2;
#elif defined(__AVX__)
constexpr int LANES = 8, ROWS = 6, COLUMNS = 2;
#else
constexpr int LANES = 4, ROWS = 6, COLUMNS = 2;
#endif
constexpr long PANEL = long{COLUMNS} * LANES;  // columns that one pass of a product computes

typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));
typedef float Unaligned __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));

static inline Vector load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
static inline void store(float* to, Vector v) { *reinterpret_cast<Unaligned*>(to) = v; }

// Columns of the panel that begins with column n.
static inline long panel_width(long n, long columns) { return columns - n < PANEL ? columns - n : PANEL; }

// Rows begin ... end - 1 of a matrix (rows, columns), whose rows are `stride` floats apart, into panels.
static inline void into_panels(const float* from, long stride, long begin, long end, long columns, float* to,
                               long rows) {
  for (long k = 0; k < columns; k += PANEL) {
    const long width = panel_width(k, columns);
    for (long r = begin; r < end; ++r)
      for (long v = 0; v < width; v += LANES) store(to + k * rows + r * width + v, load(from + r * stride + k + v));
  }
}

// The depth of a product in `count` pieces, and what a and b advance by from one to the next.
struct Pieces {
  long count = 1, a = 0, b = 0;
};

// R rows and C vectors of `out = a @ b`, or added to `out`; element (r, k) of a is a[r * stride + k], or
// a[k * stride + r] if TRANSPOSED.
template <int R, int C, bool TRANSPOSED>
static inline void kernel(const float* a, long stride, const float* b, long b_stride, float* out, long out_stride,
                          long depth, bool add, const Pieces& pieces) {
  Vector sums[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sums[r][c] = add ? load(out + r * out_stride + c * LANES) : Vector{};
  for (long piece = 0; piece < pieces.count; ++piece, a += pieces.a, b += pieces.b)
    for (long k = 0; k < depth; ++k) {
      Vector row[C];
      for (int c = 0; c < C; ++c) row[c] = load(b + k * b_stride + c * LANES);
      for (int r = 0; r < R; ++r) {
        const float factor = TRANSPOSED ? a[k * stride + r] : a[r * stride + k];
        for (int c = 0; c < C; ++c) sums[r][c] += factor * row[c];
      }
    }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) store(out + r * out_stride + c * LANES, sums[r][c]);
}

template <int C, bool TRANSPOSED>
static void all_rows(const float* a, long stride, const float* b, long b_stride, float* out, long out_stride, long rows,
                     long depth, bool add, const Pieces& pieces) {
  const long step = TRANSPOSED ? 1 : stride;
  long r = 0;
  const auto some = [&](auto n) {
    for (; r + n <= rows; r += n)
      kernel<n, C, TRANSPOSED>(a + r * step, stride, b, b_stride, out + r * out_stride, out_stride, depth, add, pieces);
  };
  some(std::integral_constant<int, ROWS>());
  some(std::integral_constant<int, 4>());
  some(std::integral_constant<int, 1>());
}

// A matrix of `width` columns, at most PANEL, whose rows follow one another.
struct Panel {
  const float* at;
  long width;
};

// out (rows, width) = a @ b, or out += a @ b to `add`; `a` is (rows, depth), or (depth, rows) if TRANSPOSED.
template <bool TRANSPOSED>
static void multiply(const float* a, long stride, const Panel& b, float* out, long out_stride, long rows, long depth,
                     bool add = false, const Pieces& pieces = {}) {
  if (b.width == PANEL)
    all_rows<COLUMNS, TRANSPOSED>(a, stride, b.at, b.width, out, out_stride, rows, depth, add, pieces);
  else
    for (long v = 0; v < b.width; v += LANES)
      all_rows<1, TRANSPOSED>(a, stride, b.at + v, b.width, out + v, out_stride, rows, depth, add, pieces);
}

}  // namespace symfer
