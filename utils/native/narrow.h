// Convolutions whose groups have as many filters as channels, so few that several groups fill a vector; with one
// channel, depthwise convolutions.
#pragma once
#include <utility>

#include "geometry.h"
#include "parallel.h"

namespace symfer {

template <int SIZE>  // channels, and filters, of a group
class Narrow {
  static constexpr int TOGETHER = 4;       // output pixels
  static constexpr long IMAGE_PARTS = 16;  // whose filter gradients are summed by themselves
  static constexpr int MOST_COLUMNS = SIZE == 8 ? 2 : SIZE == 4 ? 3 : 4;  // of the filters, whose sums fit in registers
  typedef int32_t Lanes __attribute__((vector_size(LANES * sizeof(int32_t))));
  Threads& threads_;
  const Convolution s_;

  template <int c, int... lane>
  static Vector of_groups(Vector x, std::integer_sequence<int, lane...>) {
#if defined(__clang__)
    return __builtin_shufflevector(x, x, (lane / SIZE * SIZE + c)...);
#else
    return __builtin_shuffle(x, Lanes{(lane / SIZE * SIZE + c)...});
#endif
  }

  // f(c, x with channel c of its group in each lane) for each channel c of a group.
  template <class F, int... c>
  static void each_channel(Vector x, const F& f, std::integer_sequence<int, c...>) {
    (f(c, of_groups<c>(x, std::make_integer_sequence<int, LANES>())), ...);
  }
  template <class F>
  static void each_channel(Vector x, const F& f) {
    each_channel(x, f, std::make_integer_sequence<int, SIZE>());
  }

  // The part of the images under the filters for the first of some pixels in a row, and the filters' rows inside of it.
  struct Window {
    const float *image, *filters;
    long rows, left;
  };

  // P pixels of a row of the result. EDGE: some columns of the filters may be outside of the images.
  template <int P, bool EDGE>
  static void pixels(const Convolution& s, const Window& window, long channel, float* to, long to_step) {
    const long C = s.channels, step = s.step_x * C;
    const long begin = EDGE ? std::clamp<long>(-window.left, 0, s.columns) : 0;
    const long end = EDGE ? std::clamp<long>(s.width - window.left, 0, s.columns) : s.columns;
    Vector sums[P] = {};
    for (long a = 0; a < window.rows; ++a) {
      const float* from = window.image + (a * s.width + window.left + begin) * C + channel;
      const float* W = window.filters + (a * s.columns + begin) * SIZE * C + channel;
      for (long b = begin; b < end; ++b, from += C, W += SIZE * C) {
        Vector filters[SIZE];
        for (int c = 0; c < SIZE; ++c) filters[c] = load(W + c * C);
        for (int p = 0; p < P; ++p)
          each_channel(load(from + p * step), [&](int c, Vector x) { sums[p] += x * filters[c]; });
      }
    }
    for (int p = 0; p < P; ++p) store(to + p * to_step + channel, sums[p]);
  }

  // The same for depthwise filters of three columns and steps of one, all inside of the images; each pixel is read once.
  template <int P>
  static void pixels_of_three(const Convolution& s, const Window& window, long channel, float* to, long to_step) {
    const long C = s.channels;
    const float *from = window.image + window.left * C + channel, *W = window.filters + channel;
    Vector sums[P] = {};
    for (long a = 0; a < window.rows; ++a, from += s.width * C, W += 3 * C) {
      Vector x[P + 2];
      for (int p = 0; p < P + 2; ++p) x[p] = load(from + p * C);
      for (int b = 0; b < 3; ++b) {
        const Vector filter = load(W + b * C);
        for (int p = 0; p < P; ++p) sums[p] += x[p + b] * filter;
      }
    }
    for (int p = 0; p < P; ++p) store(to + p * to_step + channel, sums[p]);
  }

  // W (rows, columns, SIZE, channels).
  void products(const Convolution& s, const float* x, const float* W, const Places& y) const {
    const long C = s.channels;
    // Pixels begin ... end - 1 of a row see no column outside of the images.
    const long begin = std::min((std::max<long>(s.pad_x, 0) + s.step_x - 1) / s.step_x, s.wide);
    const long room = s.width - s.columns + s.pad_x;
    const long end = std::max(begin, room < 0 ? 0 : std::min(room / s.step_x + 1, s.wide));
    threads_.each_in_order(s.n * s.high, s.high, [&](long line) {
      const long image = line / s.high, row = line % s.high, top = row * s.step_y - s.pad_y;
      const long a = std::clamp<long>(-top, 0, s.rows), last = std::clamp<long>(s.height - top, a, s.rows);
      const float *from = x + (image * s.height + top + a) * s.width * C, *filters = W + a * s.columns * SIZE * C;
      const auto some = [&](auto count, auto edge, long t) {
        const Window window{from, filters, last - a, t * s.step_x - s.pad_x};
        float* to = y.at + image * y.image + row * y.row + t * y.column;
        if (SIZE == 1 && !edge && s.columns == 3 && s.step_x == 1)
          for (long c = 0; c < C; c += LANES) pixels_of_three<count>(s, window, c, to, y.column);
        else
          for (long c = 0; c < C; c += LANES) pixels<count, edge>(s, window, c, to, y.column);
      };
      constexpr std::integral_constant<int, 1> one;
      long t = 0;
      for (; t < begin; ++t) some(one, std::true_type(), t);
      for (; t + TOGETHER <= end; t += TOGETHER) some(std::integral_constant<int, TOGETHER>(), std::false_type(), t);
      for (; t + 2 <= end; t += 2) some(std::integral_constant<int, 2>(), std::false_type(), t);
      for (; t < end; ++t) some(one, std::false_type(), t);
      for (; t < s.wide; ++t) some(one, std::true_type(), t);
    });
  }

  // Adds to the sums of row `a` and columns b ... b + B - 1 of the filters, for LANES channels of an image's row y.
  template <int B>
  void add(const float* x, const float* g, float* sums, long b) const {
    const long C = s_.channels;
    Vector add[B][SIZE];
    for (int k = 0; k < B; ++k)
      for (int c = 0; c < SIZE; ++c) add[k][c] = load(sums + (k * SIZE + c) * C);
    for (long t = 0, column = b - s_.pad_x; t < s_.wide; ++t, column += s_.step_x) {
      const Vector weight = load(g + t * C);
      const bool inside = column >= 0 && column + B <= s_.width;
      for (int k = 0; k < B; ++k) {
        if (!inside && (column + k < 0 || column + k >= s_.width)) continue;
        each_channel(load(x + (column + k) * C), [&](int c, Vector pixel) { add[k][c] += pixel * weight; });
      }
    }
    for (int k = 0; k < B; ++k)
      for (int c = 0; c < SIZE; ++c) store(sums + (k * SIZE + c) * C, add[k][c]);
  }

  // The same for R rows of depthwise filters of three columns over lines of the images' width; each pixel is read once.
  template <int R>
  void add_three(const float* x, const float* g, float* sums) const {
    const long C = s_.channels, line = s_.width * C, last = s_.wide - 1;
    Vector add[R][3], left[R], middle[R];
    for (int a = 0; a < R; ++a) {
      for (int b = 0; b < 3; ++b) add[a][b] = load(sums + (a * 3 + b) * C);
      left[a] = Vector{};
      middle[a] = load(x + a * line);
    }
    for (long t = 0; t < last; ++t) {
      const Vector weight = load(g + t * C);
      for (int a = 0; a < R; ++a) {
        const Vector right = load(x + a * line + (t + 1) * C);
        if (t) add[a][0] += left[a] * weight;
        add[a][1] += middle[a] * weight;
        add[a][2] += right * weight;
        left[a] = middle[a];
        middle[a] = right;
      }
    }
    const Vector weight = load(g + last * C);
    for (int a = 0; a < R; ++a) {
      if (last) add[a][0] += left[a] * weight;
      add[a][1] += middle[a] * weight;
      for (int b = 0; b < 3; ++b) store(sums + (a * 3 + b) * C, add[a][b]);
    }
  }

  void add_row(const float* x, const float* g, float* sums) const {
    for (long b = 0; b < s_.columns; b += MOST_COLUMNS, sums += MOST_COLUMNS * SIZE * s_.channels) switch (
          std::min<long>(MOST_COLUMNS, s_.columns - b)) {
        case 1: add<1>(x, g, sums, b); break;
        case 2: add<2>(x, g, sums, b); break;
        case 3: add<3>(x, g, sums, b); break;
        default: add<4>(x, g, sums, b);
      }
  }

 public:
  Narrow(Threads& threads, const Convolution& s) : threads_(threads), s_(s) {}

  void images(const float* x, const float* W, float* y, float*) const {
    products(s_, x, W, {y, s_.high * s_.wide * s_.channels, s_.wide * s_.channels, s_.channels});
  }

  // `packed` has room for the filters with the two axes of each group exchanged.
  void input_gradient(const float* g, const float* W, float* dx, float* packed) const {
    const long C = s_.channels;
    for (long y = 0; y < s_.step_y; ++y)
      for (long x = 0; x < s_.step_x; ++x) {
        const Turned turned(s_, y, x);
        if (!turned.s.outputs()) continue;
        for (long a = 0, part = 0; a < turned.s.rows; ++a)
          for (long b = 0; b < turned.s.columns; ++b, ++part)
            for (int c = 0; c < SIZE; ++c)
              for (long k = 0; k < C; ++k)
                packed[(part * SIZE + k % SIZE) * C + k / SIZE * SIZE + c] = W[(turned.part(a, b) * SIZE + c) * C + k];
        products(turned.s, g, packed, turned.places(dx, s_));
      }
  }

  static long memory(const Convolution& s) { return IMAGE_PARTS * s.rows * s.columns * SIZE * s.channels; }

  void filter_gradient(const float* x, const float* g, float* dW, float* memory) const {
    const long C = s_.channels, rows = s_.rows * s_.columns * SIZE, size = rows * C;
    const long some = (s_.n + IMAGE_PARTS - 1) / IMAGE_PARTS;
    const bool three = SIZE == 1 && s_.columns == 3 && s_.step_x == 1 && s_.pad_x == 1 && s_.rows <= 3;
    std::memset(memory, 0, IMAGE_PARTS * size * sizeof(float));
    threads_.each(IMAGE_PARTS, [&](long part) {
      for (long image = part * some; image < std::min((part + 1) * some, s_.n); ++image)
        for (long row = 0; row < s_.high; ++row)
          for (long c = 0; c < C; c += LANES) {
            if (three) {
              const long top = row * s_.step_y - s_.pad_y, first = std::clamp<long>(-top, 0, s_.rows);
              const float* from = x + (image * s_.height + top + first) * s_.width * C + c;
              const float* weights = g + (image * s_.high + row) * s_.wide * C + c;
              float* sums = memory + part * size + first * 3 * C + c;
              switch (std::clamp<long>(s_.height - top, first, s_.rows) - first) {
                case 1: add_three<1>(from, weights, sums); break;
                case 2: add_three<2>(from, weights, sums); break;
                case 3: add_three<3>(from, weights, sums); break;
              }
              continue;
            }
            for (long a = 0; a < s_.rows; ++a) {
              const long y = row * s_.step_y - s_.pad_y + a;
              if (y < 0 || y >= s_.height) continue;
              add_row(x + (image * s_.height + y) * s_.width * C + c, g + (image * s_.high + row) * s_.wide * C + c,
                      memory + part * size + a * s_.columns * SIZE * C + c);
            }
          }
    });
    threads_.each(rows, [&](long row) {
      for (long c = 0; c < C; c += LANES) {
        Vector sum = load(memory + row * C + c);
        for (long k = 1; k < IMAGE_PARTS; ++k) sum += load(memory + k * size + row * C + c);
        store(dW + row * C + c, sum);
      }
    });
  }
};

}  // namespace symfer
