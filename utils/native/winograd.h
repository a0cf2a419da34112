// Winograd's minimal filtering (Lavin and Gray 2016) for 'same' convolutions of 3x3 and 5x5, see utils/ops/winograd.py.
#pragma once
#include <utility>

#include "coefficients.h"
#include "parallel.h"
#include "simd.h"

namespace symfer {

// A group of channels of some images, and the group of filters for it.
struct Images {
  long n, height, width, channels, filters;
  long all_channels, all_filters;  // of all groups: floats of a pixel
};

// out[i] = sum over k of M[i][k] * in[k]; what is 0, 1 or -1 costs no multiplication.
template <const auto& M, size_t I, size_t K>
static inline void add_term(Vector& sum, const Vector* in) {
  constexpr float factor = M.at[I][K];
  if constexpr (factor == 1)
    sum += in[K];
  else if constexpr (factor == -1)
    sum -= in[K];
  else if constexpr (factor != 0)
    sum += factor * in[K];
}
template <const auto& M, size_t I, size_t... K>
static inline Vector one_row(const Vector* in, std::index_sequence<K...>) {
  Vector sum = {};
  (add_term<M, I, K>(sum, in), ...);
  return sum;
}
template <const auto& M, size_t... I>
static inline void all_rows(const Vector* in, Vector* out, std::index_sequence<I...>) {
  ((out[I] = one_row<M, I>(in, std::make_index_sequence<M.columns>())), ...);
}
template <const auto& M>
static inline void apply(const Vector* in, Vector* out) {
  all_rows<M>(in, out, std::make_index_sequence<M.rows>());
}

// M X M^T of a square X, whose element (i, j) is read(i, j); written by write(i, j, value).
template <const auto& M, class Read, class Write>
static inline void both_sides(const Read& read, const Write& write) {
  constexpr int from = M.columns, to = M.rows;
  Vector half[from][to], in[from], out[to];
  for (int i = 0; i < from; ++i) {
    for (int j = 0; j < from; ++j) in[j] = read(i, j);
    apply<M>(in, half[i]);
  }
  for (int j = 0; j < to; ++j) {
    for (int i = 0; i < from; ++i) in[i] = half[i][j];
    apply<M>(in, out);
    for (int i = 0; i < to; ++i) write(i, j, out[i]);
  }
}

constexpr long BLOCK = 24;  // tiles of a thread
constexpr long GRADIENT_BYTES = 8 << 20;  // of the transforms of a filter gradient

static inline long padded(long floats) { return floats + UNIT; }  // places would share their sets of the caches

// Tiles at a time of a filter gradient, and the floats of memory that it needs.
static inline long tiles_at_a_time(long places, long channels, long filters) {
  const long most = GRADIENT_BYTES / (places * (channels + filters) * sizeof(float));
  return std::max<long>(most / BLOCK, 1) * BLOCK;
}
static inline long winograd_memory(long places, long channels, long filters) {
  const long count = tiles_at_a_time(places, channels, filters);
  return places * (padded(count * channels) + padded(count * filters) + channels * filters);
}

template <int m, int r>  // pixels of the side of a tile, and of the filters
class Winograd {
  static constexpr int SIDE = m + r - 1, PLACES = SIDE * SIDE, FILTER = r * r;
  static constexpr long MOST_CHANNELS = 4096;
  Threads& threads_;
  const Images s_;
  const long rows_, columns_, tiles_;

  struct Tile {
    long image, row, column;
  };
  Tile tile(long t) const {
    const long in_image = t % (rows_ * columns_);
    return {t / (rows_ * columns_), in_image / columns_ * m, in_image % columns_ * m};
  }

  // Pixels (side, side) from (row, column) on, zeros outside of the image: where each begins.
  template <int side>
  void pixels(const float* x, const Tile& at, long first, long channels, const float* (&out)[side][side]) const {
    alignas(64) static const float zeros[MOST_CHANNELS] = {};
    for (int i = 0; i < side; ++i)
      for (int j = 0; j < side; ++j) {
        const long y = at.row + first + i, z = at.column + first + j;
        const bool inside = y >= 0 && y < s_.height && z >= 0 && z < s_.width;
        out[i][j] = inside ? x + ((at.image * s_.height + y) * s_.width + z) * channels : zeros;
      }
  }

  // B^T x B of a tile's pixels: the channels of each place, `place` floats apart.
  void transform(const float* x, const Tile& at, float* V, long place) const {
    const float* from[SIDE][SIDE];
    pixels(x, at, -(r / 2), s_.all_channels, from);
    for (long c = 0; c < s_.channels; c += LANES)
      both_sides<BT<SIDE>>([&](int i, int j) { return load(from[i][j] + c); },
                        [&](int i, int j, Vector value) { store(V + c + (i * SIDE + j) * place, value); });
  }

 public:
  Winograd(Threads& threads, const Images& s)
      : threads_(threads), s_(s), rows_((s.height + m - 1) / m), columns_((s.width + m - 1) / m),
        tiles_(s.n * rows_ * columns_) {}

  // U = G W G^T in panels: [place][filter / PANEL][channel][PANEL]; of the gradient by images, filters mirrored and
  // channels exchanged. W is (r, r, channels, all_filters), or (r, r, filters, all_channels) if mirrored.
  void filters(const float* W, bool mirrored, float* U) const {
    const long size = s_.channels * s_.filters, stride = mirrored ? s_.all_channels : s_.all_filters;
    const long place = (mirrored ? s_.filters : s_.channels) * stride;
    threads_.each(s_.channels / UNIT, [&](long block) {
      alignas(64) float turned[FILTER][UNIT][UNIT];
      const long c0 = block * UNIT;
      for (long k0 = 0; k0 < s_.filters; k0 += UNIT) {
        if (mirrored)
          for (int e = 0; e < FILTER; ++e)
            for (long k = 0; k < UNIT; ++k)
              for (long c = 0; c < UNIT; ++c)
                turned[e][c][k] = W[(FILTER - 1 - e) * place + (k0 + k) * stride + c0 + c];
        for (long c = 0; c < UNIT; ++c)
          for (long v = 0; v < UNIT; v += LANES) {
            const long first = (k0 + v) / PANEL * PANEL, width = panel_width(first, s_.filters);
            float* to = U + first * s_.channels + (c0 + c) * width + (k0 + v - first);
            both_sides<G<SIDE, r>>(
                [&](int i, int j) {
                  const int e = r * i + j;
                  return load(mirrored ? &turned[e][c][v] : W + e * place + (c0 + c) * stride + k0 + v);
                },
                [&](int i, int j, Vector value) { store(to + (i * SIDE + j) * size, value); });
          }
      }
    });
  }

  // y = A^T [(B^T x B) U] A
  void images(const float* x, const float* U, float* y) const {
    const long C = s_.channels, K = s_.filters, size = C * K, block = threads_.share(tiles_, BLOCK);
    threads_.each((tiles_ + block - 1) / block, [&](long b) {
      const long first = b * block, count = std::min(block, tiles_ - first);
      const long v_place = padded(block * C), p_place = padded(block * PANEL);
      float *V = scratch(PLACES * (v_place + p_place)), *P = V + PLACES * v_place;
      for (long t = 0; t < count; ++t) transform(x, tile(first + t), V + t * C, v_place);
      for (long k0 = 0; k0 < K; k0 += PANEL) {
        const long width = panel_width(k0, K);
        for (int p = 0; p < PLACES; ++p)
          multiply<false>(V + p * v_place, C, {U + p * size + k0 * C, width}, P + p * p_place, PANEL, count, C);
        for (long t = 0; t < count; ++t) {
          const Tile at = tile(first + t);
          float* corner = y + ((at.image * s_.height + at.row) * s_.width + at.column) * s_.all_filters + k0;
          const long high = s_.height - at.row, wide = s_.width - at.column;
          for (long k = 0; k < width; k += LANES) {
            const float* products = P + t * PANEL + k;
            both_sides<AT<SIDE, m>>([&](int i, int j) { return load(products + (i * SIDE + j) * p_place); },
                              [&](int i, int j, Vector value) {
                                if (i < high && j < wide)
                                  store(corner + (i * s_.width + j) * s_.all_filters + k, value);
                              });
          }
        }
      }
    });
  }

  // dW = G^T [sum over tiles of (B^T x B)^T (A g A^T)] G
  void filter_gradient(const float* x, const float* g, float* dW, float* memory) const {
    const long C = s_.channels, K = s_.filters, size = C * K, at_a_time = tiles_at_a_time(PLACES, C, K);
    const long v_place = padded(at_a_time * C), d_place = padded(at_a_time * K);
    float *V = memory, *D = V + PLACES * v_place, *S = D + PLACES * d_place;
    for (long begin = 0; begin < tiles_; begin += at_a_time) {
      const long count = std::min(at_a_time, tiles_ - begin);
      threads_.each((count + BLOCK - 1) / BLOCK, [&](long b) {
        for (long t = b * BLOCK; t < std::min(count, (b + 1) * BLOCK); ++t) {
          const Tile at = tile(begin + t);
          transform(x, at, V + t * C, v_place);
          const float* of_gradient[m][m];
          pixels(g, at, 0, s_.all_filters, of_gradient);
          for (long k = 0; k < K; k += LANES) {
            const long first = k / PANEL * PANEL;
            float* to = D + first * count + t * panel_width(first, K) + (k - first);
            both_sides<A<SIDE, m>>([&](int i, int j) { return load(of_gradient[i][j] + k); },
                             [&](int i, int j, Vector value) { store(to + (i * SIDE + j) * d_place, value); });
          }
        }
      });
      threads_.each(PLACES, [&](long p) {
        for (long k0 = 0; k0 < K; k0 += PANEL)
          multiply<true>(V + p * v_place, C, {D + p * d_place + k0 * count, panel_width(k0, K)}, S + p * size + k0, K,
                         C, count, begin > 0);
      });
    }
    threads_.each(C, [&](long c) {
      for (long k = 0; k < K; k += LANES)
        both_sides<GT<SIDE, r>>([&](int i, int j) { return load(S + (i * SIDE + j) * size + c * K + k); },
                          [&](int i, int j, Vector value) {
                            store(dW + ((r * i + j) * C + c) * s_.all_filters + k, value);
                          });
    });
  }
};

}  // namespace symfer
