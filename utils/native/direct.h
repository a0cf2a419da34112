// Convolutions with any filters, strides and groups, as products with patches of the images.
#pragma once
#include "parallel.h"
#include "simd.h"

namespace symfer {

struct Convolution {
  long n, height, width, channels;                     // images
  long high, wide, filters;                            // what comes out of them
  long rows, columns, step_y, step_x, pad_y, pad_x;    // of the filters
  long groups;
  long group_channels() const { return channels / groups; }
  long group_filters() const { return filters / groups; }
  long depth() const { return rows * columns * group_channels(); }
  long outputs() const { return n * high * wide; }
};

class Direct {
  static constexpr long PATCH_FLOATS = 1 << 16, GRADIENT_FLOATS = 1 << 21, GRADIENT_ROWS = 48,
                        PACKED_OUTPUTS = 2048;
  Threads& threads_;
  const Convolution s_;

  static long pixels_at_a_time(long depth, long floats) {
    return std::max<long>(floats / depth / ROWS, 1) * ROWS;
  }
  bool is_product() const {  // the images are their own patches
    return s_.rows * s_.columns * s_.step_y * s_.step_x * s_.groups == 1 && !s_.pad_y && !s_.pad_x;
  }

  // What the filters of a group see of the images for output pixel `at`: depth() floats.
  void patch(const float* x, long at, long group, float* to) const {
    const long C = s_.channels, c = s_.group_channels();
    const long image = at / (s_.high * s_.wide), in_image = at % (s_.high * s_.wide);
    const long top = in_image / s_.wide * s_.step_y - s_.pad_y, left = in_image % s_.wide * s_.step_x - s_.pad_x;
    const long first = std::clamp<long>(-left, 0, s_.columns), last = std::clamp<long>(s_.width - left, 0, s_.columns);
    for (long a = 0; a < s_.rows; ++a, to += s_.columns * c) {
      if (top + a < 0 || top + a >= s_.height || first >= last) {
        std::memset(to, 0, s_.columns * c * sizeof(float));
        continue;
      }
      const float* from = x + ((image * s_.height + top + a) * s_.width + left) * C + group * c;
      std::memset(to, 0, first * c * sizeof(float));
      if (s_.groups == 1)
        std::memcpy(to + first * c, from + first * c, (last - first) * c * sizeof(float));
      else
        for (long b = first; b < last; ++b) std::memcpy(to + b * c, from + b * C, c * sizeof(float));
      std::memset(to + last * c, 0, (s_.columns - last) * c * sizeof(float));
    }
  }

  // Rows begin ... end - 1 of a matrix whose rows are `stride` floats apart, into panels with `rows` rows.
  static void into_panels(const float* from, long stride, long begin, long end, long columns, float* to, long rows) {
    for (long k = 0; k < columns; k += PANEL) {
      const long width = panel_width(k, columns);
      for (long r = begin; r < end; ++r)
        std::memcpy(to + k * rows + r * width, from + r * stride + k, width * sizeof(float));
    }
  }

 public:
  Direct(Threads& threads, const Convolution& s) : threads_(threads), s_(s) {}

  // y = patches @ W; `packed` has room for the filters, which are put into panels if they are read often enough.
  void images(const float* x, const float* W, float* y, float* packed) const {
    const long D = s_.depth(), K = s_.filters, k = s_.group_filters();
    const long block = threads_.share(s_.outputs(), pixels_at_a_time(D, PATCH_FLOATS));
    const bool pack = s_.outputs() >= PACKED_OUTPUTS;
    if (pack) threads_.each(s_.groups, [&](long g) { into_panels(W + g * k, K, 0, D, k, packed + g * D * k, D); });
    threads_.each((s_.outputs() + block - 1) / block, [&](long b) {
      const long first = b * block, count = std::min(block, s_.outputs() - first);
      float* patches = is_product() ? nullptr : scratch(block * D);
      for (long g = 0; g < s_.groups; ++g) {
        for (long t = 0; patches && t < count; ++t) patch(x, first + t, g, patches + t * D);
        for (long k0 = 0; k0 < k; k0 += PANEL) {
          const long width = panel_width(k0, k);
          const Panel filters = pack ? Panel(packed + g * D * k + k0 * D, width) : Panel(W + g * k + k0, width, K);
          multiply<false, false>(patches ? patches : x + first * D, D, filters, y + first * K + g * k + k0, K, count, D);
        }
      }
    });
  }

  // dx = patches of g @ W^T. Pixels whose places differ by whole steps see the same parts of the filters.
  void input_gradient(const float* g, const float* W, float* dx, float* packed) const {
    for (long y = 0; y < s_.step_y; ++y)
      for (long x = 0; x < s_.step_x; ++x) packed += gradient_of_pixels(g, W, dx, packed, y, x);
  }

  static long memory(const Convolution& s) {
    const long count = pixels_at_a_time(s.depth() + s.group_filters(), GRADIENT_FLOATS);
    return count * (s.depth() + s.group_filters());
  }

  // dW = patches^T @ g, some pixels at a time; who adds them up, and in which order, does not depend on the threads.
  void filter_gradient(const float* x, const float* g, float* dW, float* memory) const {
    const long D = s_.depth(), K = s_.filters, k = s_.group_filters();
    const long block = pixels_at_a_time(D + k, GRADIENT_FLOATS), some = pixels_at_a_time(D, PATCH_FLOATS);
    float *patches = memory, *panels = memory + block * D;
    for (long group = 0; group < s_.groups; ++group)
      for (long first = 0; first < s_.outputs(); first += block) {
        const long count = std::min(block, s_.outputs() - first);
        const float* rows = is_product() ? x + first * D : patches;
        threads_.each((count + some - 1) / some, [&](long b) {
          const long from = b * some, to = std::min(from + some, count);
          for (long t = from; rows == patches && t < to; ++t) patch(x, first + t, group, patches + t * D);
          into_panels(g + first * K + group * k, K, from, to, k, panels, count);
        });
        const long row_blocks = (D + GRADIENT_ROWS - 1) / GRADIENT_ROWS, n_panels = (k + PANEL - 1) / PANEL;
        threads_.each(row_blocks * n_panels, [&](long b) {
          const long r = b / n_panels * GRADIENT_ROWS, k0 = b % n_panels * PANEL;
          (first ? multiply<true, true> : multiply<true, false>)(
              rows + r, D, {panels + k0 * count, panel_width(k0, k)}, dW + r * K + group * k + k0, K,
              std::min(GRADIENT_ROWS, D - r), count);
        });
      }
  }

 private:
  // Of the pixels of which (row + pad_y) % step_y and (column + pad_x) % step_x are these; floats used of `packed`.
  long gradient_of_pixels(const float* g, const float* W, float* dx, float* packed, long rest_y, long rest_x) const {
    const long C = s_.channels, c = s_.group_channels(), K = s_.filters, k = s_.group_filters();
    const long parts_y = rest_y < s_.rows ? (s_.rows - rest_y - 1) / s_.step_y + 1 : 0;
    const long parts_x = rest_x < s_.columns ? (s_.columns - rest_x - 1) / s_.step_x + 1 : 0;
    const long first_y = ((rest_y - s_.pad_y) % s_.step_y + s_.step_y) % s_.step_y;
    const long first_x = ((rest_x - s_.pad_x) % s_.step_x + s_.step_x) % s_.step_x;
    const long high = first_y < s_.height ? (s_.height - first_y - 1) / s_.step_y + 1 : 0;
    const long wide = first_x < s_.width ? (s_.width - first_x - 1) / s_.step_x + 1 : 0;
    const long D = parts_y * parts_x * k, total = s_.n * high * wide;
    if (!total) return 0;
    threads_.each(s_.groups * parts_y * parts_x, [&](long p) {  // rows (part, filter), columns channels
      const long group = p / (parts_y * parts_x), part = p % (parts_y * parts_x);
      const long a = rest_y + part / parts_x * s_.step_y, b = rest_x + part % parts_x * s_.step_x;
      const float* from = W + (a * s_.columns + b) * c * K + group * k;
      for (long c0 = 0; c0 < c; c0 += PANEL) {
        const long width = panel_width(c0, c);
        float* to = packed + group * D * c + c0 * D + part * k * width;
        for (long o = 0; o < k; ++o)
          for (long v = 0; v < width; ++v) to[o * width + v] = from[(c0 + v) * K + o];
      }
    });
    struct Pixel {
      long image, row, column;
    };
    const auto pixel = [&](long at) -> Pixel {
      const long in_image = at % (high * wide);
      return {at / (high * wide), first_y + in_image / wide * s_.step_y, first_x + in_image % wide * s_.step_x};
    };
    const long block = threads_.share(total, pixels_at_a_time(std::max<long>(D, 1), PATCH_FLOATS));
    threads_.each((total + block - 1) / block, [&](long b) {
      const long first = b * block, count = std::min(block, total - first);
      float *patches = scratch(block * (D + PANEL)), *sums = patches + block * D;
      for (long group = 0; group < s_.groups; ++group) {
        for (long t = 0; t < count; ++t) {
          const auto [image, y, x] = pixel(first + t);
          float* to = patches + t * D;
          for (long i = 0; i < parts_y; ++i)
            for (long j = 0; j < parts_x; ++j, to += k) {
              const long oy = (y + s_.pad_y - rest_y) / s_.step_y - i, ox = (x + s_.pad_x - rest_x) / s_.step_x - j;
              if (oy < 0 || oy >= s_.high || ox < 0 || ox >= s_.wide)
                std::memset(to, 0, k * sizeof(float));
              else
                std::memcpy(to, g + ((image * s_.high + oy) * s_.wide + ox) * K + group * k, k * sizeof(float));
            }
        }
        for (long c0 = 0; c0 < c; c0 += PANEL) {
          const long width = panel_width(c0, c);
          multiply<false, false>(patches, D, {packed + group * D * c + c0 * D, width}, sums, PANEL, count, D);
          for (long t = 0; t < count; ++t) {
            const auto [image, y, x] = pixel(first + t);
            std::memcpy(dx + ((image * s_.height + y) * s_.width + x) * C + group * c + c0, sums + t * PANEL,
                        width * sizeof(float));
          }
        }
      }
    });
    return s_.groups * D * c;
  }
};

}  // namespace symfer
