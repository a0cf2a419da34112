// Convolutions whose groups have as many filters as channels, so few that several groups fill a vector; with one
// channel, depthwise convolutions.
#pragma once
#include "direct.h"

namespace symfer {

template <int SIZE>  // channels, and filters, of a group
class Narrow {
  static constexpr int TOGETHER = 6;      // output pixels
  static constexpr long IMAGE_PARTS = 4;  // whose filter gradients are summed by themselves
  typedef int32_t Places __attribute__((vector_size(LANES * sizeof(int32_t))));
  Threads& threads_;
  const Convolution s_;

  // In each lane channel c of the lane's group.
  static Vector of_groups(Vector x, int c) {
    if constexpr (SIZE == 1) return x;
    Places places;
    for (int lane = 0; lane < LANES; ++lane) places[lane] = lane / SIZE * SIZE + c;
#if defined(__clang__)
    Vector out;
    for (int lane = 0; lane < LANES; ++lane) out[lane] = x[places[lane]];
    return out;
#else
    return __builtin_shuffle(x, places);
#endif
  }

  // For some pixels of a row of the result, sums over parts of the filters of `image(part, pixel)`, where that is not
  // null, times the filters of that part: W (parts, SIZE, channels).
  template <class Image>
  void pixels(const float* W, long parts, const Image& image, long count, long channel, float* to) const {
    Vector sums[TOGETHER] = {};
    for (long part = 0; part < parts; ++part) {
      Vector filters[SIZE];
      for (int c = 0; c < SIZE; ++c) filters[c] = load(W + (part * SIZE + c) * s_.channels + channel);
      for (int p = 0; p < TOGETHER; ++p) {
        const float* from = p < count ? image(part, p) : nullptr;
        if (!from) continue;
        const Vector x = load(from + channel);
        for (int c = 0; c < SIZE; ++c) sums[p] += of_groups(x, c) * filters[c];
      }
    }
    for (int p = 0; p < count; ++p) store(to + p * s_.channels + channel, sums[p]);
  }

 public:
  Narrow(Threads& threads, const Convolution& s) : threads_(threads), s_(s) {}

  void images(const float* x, const float* W, float* y, float*) const {
    const long C = s_.channels;
    threads_.each(s_.n * s_.high, [&](long line) {
      const long image = line / s_.high, top = line % s_.high * s_.step_y - s_.pad_y;
      for (long left = 0; left < s_.wide; left += TOGETHER)
        for (long c = 0; c < C; c += LANES)
          pixels(W, s_.rows * s_.columns, [&](long part, long p) -> const float* {
            const long iy = top + part / s_.columns, ix = (left + p) * s_.step_x - s_.pad_x + part % s_.columns;
            return iy < 0 || iy >= s_.height || ix < 0 || ix >= s_.width
                       ? nullptr : x + ((image * s_.height + iy) * s_.width + ix) * C;
          }, std::min<long>(TOGETHER, s_.wide - left), c, y + (line * s_.wide + left) * C);
    });
  }

  // `turned` has room for the filters with the two axes of each group exchanged.
  void input_gradient(const float* g, const float* W, float* dx, float* turned) const {
    const long C = s_.channels, parts = s_.rows * s_.columns;
    for (long part = 0; part < parts; ++part)
      for (int c = 0; c < SIZE; ++c)
        for (long k = 0; k < C; ++k)
          turned[(part * SIZE + k % SIZE) * C + k / SIZE * SIZE + c] = W[(part * SIZE + c) * C + k];
    threads_.each(s_.n * s_.height, [&](long line) {
      const long image = line / s_.height, row = line % s_.height + s_.pad_y;
      for (long left = 0; left < s_.width; left += TOGETHER)
        for (long c = 0; c < C; c += LANES)
          pixels(turned, parts, [&](long part, long p) -> const float* {
            const long y = row - part / s_.columns, x = left + p + s_.pad_x - part % s_.columns;
            if (y < 0 || x < 0 || y % s_.step_y || x % s_.step_x) return nullptr;
            const long oy = y / s_.step_y, ox = x / s_.step_x;
            return oy >= s_.high || ox >= s_.wide ? nullptr : g + ((image * s_.high + oy) * s_.wide + ox) * C;
          }, std::min<long>(TOGETHER, s_.width - left), c, dx + (line * s_.width + left) * C);
    });
  }

  static long memory(const Convolution& s) { return IMAGE_PARTS * s.rows * s.columns * SIZE * s.channels; }

  void filter_gradient(const float* x, const float* g, float* dW, float* memory) const {
    const long C = s_.channels, parts = s_.rows * s_.columns, size = parts * SIZE * C;
    const long some = (s_.n + IMAGE_PARTS - 1) / IMAGE_PARTS;
    std::memset(memory, 0, IMAGE_PARTS * size * sizeof(float));
    threads_.each(IMAGE_PARTS * (C / LANES), [&](long item) {
      const long c0 = item / IMAGE_PARTS * LANES, begin = item % IMAGE_PARTS * some;
      float* sums = memory + item % IMAGE_PARTS * size;
      for (long image = begin; image < std::min(begin + some, s_.n); ++image)
        for (long part = 0; part < parts; ++part) {
          const long a = part / s_.columns, b = part % s_.columns;
          const long left = std::max<long>(0, (s_.pad_x - b + s_.step_x - 1) / s_.step_x);
          Vector add[SIZE] = {};
          for (long oy = 0; oy < s_.high; ++oy) {
            const long y = oy * s_.step_y - s_.pad_y + a;
            if (y < 0 || y >= s_.height) continue;
            const float* from = x + ((image * s_.height + y) * s_.width) * C + c0;
            const float* gradient = g + ((image * s_.high + oy) * s_.wide) * C + c0;
            for (long ox = left; ox < s_.wide; ++ox) {
              const long column = ox * s_.step_x - s_.pad_x + b;
              if (column >= s_.width) break;
              const Vector pixel = load(from + column * C), weight = load(gradient + ox * C);
              for (int c = 0; c < SIZE; ++c) add[c] += of_groups(pixel, c) * weight;
            }
          }
          for (int c = 0; c < SIZE; ++c) {
            float* to = sums + (part * SIZE + c) * C + c0;
            store(to, load(to) + add[c]);
          }
        }
    });
    threads_.each(parts * SIZE, [&](long row) {
      for (long c = 0; c < C; c += LANES) {
        Vector sum = load(memory + row * C + c);
        for (long k = 1; k < IMAGE_PARTS; ++k) sum += load(memory + k * size + row * C + c);
        store(dW + row * C + c, sum);
      }
    });
  }
};

}  // namespace symfer
