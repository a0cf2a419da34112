// Gradients of convolutions by their filters, as products of images or their patches with what comes out.
#pragma once
#include "geometry.h"
#include "parallel.h"
#include "simd.h"

namespace symfer {

// Pixels, in whole rows of a product, whose patches of `depth` floats have about so many floats.
static long pixels_at_a_time(long depth, long floats) {
  return std::max<long>(floats / std::max<long>(depth, 1) / ROWS, 1) * ROWS;
}

class FilterGradient {
  // Rows that are computed together, pixels at a time, floats of images or patches at a time.
  static constexpr long GRADIENT_ROWS = 48, GRADIENT_PIXELS = 192, IMAGES_FLOATS = 128 << 10, PATCHES_FLOATS = 256 << 10;
  // Parts of the images whose gradients are summed by themselves, fewest of them, and floats of their sums.
  static constexpr long MOST_PARTS = 16, LEAST_PARTS = 4, SUMS_FLOATS = 2 << 20;
  // Floats of patches that a thread makes at a time.
  static constexpr long SOME_PATCHES = 1 << 14;
  Threads& threads_;
  const Convolution& s_;

  static bool of_few_channels(const Convolution& s) { return s.group_channels() < UNIT; }
  // 0: the places of the filters, not parts of the images, are divided among the threads.
  static long image_parts(const Convolution& s) {
    long parts = MOST_PARTS;
    while (parts && (parts > s.n || parts * s.depth() * s.group_filters() > SUMS_FLOATS)) parts /= 2;
    return parts < LEAST_PARTS ? 0 : parts;
  }
  static long images_at_a_time(const Convolution& s) {
    const long floats = s.height * s.width * s.group_channels() + s.high * s.wide * s.group_filters();
    return std::clamp<long>(IMAGES_FLOATS / floats, 1, s.n);
  }
  static long patches_at_a_time(const Convolution& s) {
    return pixels_at_a_time(whole_panels(s.depth()) + s.group_filters(), PATCHES_FLOATS);
  }
  static long whole_panels(long depth) { return (depth + GRADIENT_ROWS - 1) / GRADIENT_ROWS * GRADIENT_ROWS; }

  // dW at each place of the filters = x^T @ g, for the pixels for which it is inside of the images.
  void by_places(const float* x, const float* g, float* dW, float* memory, long group) const {
    const long C = s_.channels, c = s_.group_channels(), K = s_.filters, k = s_.group_filters();
    const long at_a_time = images_at_a_time(s_), in_image = s_.high * s_.wide, places = s_.rows * s_.columns;
    const long some = places < 8 ? std::min(c, long{2 * ROWS}) : c, parts = (c + some - 1) / some;
    const long band = std::max<long>(GRADIENT_PIXELS / s_.wide, 1);
    for (long first = 0; first < s_.n; first += at_a_time) {
      const long images = std::min(at_a_time, s_.n - first), pixels = images * in_image;
      threads_.each((pixels + GRADIENT_PIXELS - 1) / GRADIENT_PIXELS, [&](long b) {
        into_panels(g + first * in_image * K + group * k, K, b * GRADIENT_PIXELS,
                    std::min(pixels, (b + 1) * GRADIENT_PIXELS), k, memory, pixels);
      });
      threads_.each(places * parts, [&](long task) {
        const long a = task / parts / s_.columns, b = task / parts % s_.columns, c0 = task % parts * some;
        const long channels = std::min(some, c - c0);
        const Range rows(a - s_.pad_y, s_.step_y, s_.height, s_.high);
        const Range columns(b - s_.pad_x, s_.step_x, s_.width, s_.wide);
        float* out = dW + ((a * s_.columns + b) * c + c0) * K + group * k;
        if (!first && (rows.empty() || columns.empty()))
          for (long r = 0; r < channels; ++r) std::memset(out + r * K, 0, k * sizeof(float));
        for (long image = 0; image < images && !columns.empty(); ++image)
          for (long y = rows.begin; y < rows.end; y += band) {
            const bool add = first || image || y > rows.begin;
            const float* from = x + c0 + group * c +
                (((first + image) * s_.height + y * s_.step_y + a - s_.pad_y) * s_.width + columns.first) * C;
            for (long k0 = 0; k0 < k; k0 += PANEL) {
              const long width = panel_width(k0, k);
              const Panel of_g{memory + k0 * pixels + ((image * s_.high + y) * s_.wide + columns.begin) * width, width};
              const Pieces lines{std::min(band, rows.end - y), s_.step_y * s_.width * C, s_.wide * width};
              multiply<true>(from, s_.step_x * C, of_g, out + k0, K, channels, columns.end - columns.begin, add, lines);
            }
          }
      });
    }
  }

  // dW = sum of x^T @ g over parts of the images, at each place of the filters.
  void by_parts(const float* x, const float* g, float* dW, float* memory, long group) const {
    const long C = s_.channels, c = s_.group_channels(), K = s_.filters, k = s_.group_filters();
    const long parts = image_parts(s_), size = s_.depth() * k, band = std::max<long>(GRADIENT_PIXELS / s_.wide, 1);
    threads_.each(parts, [&](long part) {
      float *sums = memory + part * size, *panels = scratch(band * s_.wide * k);
      std::fill(sums, sums + size, 0.0f);
      const long end = s_.n * (part + 1) / parts;
      for (long image = s_.n * part / parts; image < end; ++image)
        for (long y = 0; y < s_.high; y += band) {
          const long last = std::min(y + band, s_.high), pixels = (last - y) * s_.wide;
          into_panels(g + (image * s_.high + y) * s_.wide * K + group * k, K, 0, pixels, k, panels, pixels);
          for (long a = 0; a < s_.rows; ++a) {
            const Range all(a - s_.pad_y, s_.step_y, s_.height, s_.high);
            const long begin = std::max(all.begin, y), lines = std::min(all.end, last) - begin;
            for (long b = 0; b < s_.columns && lines > 0; ++b) {
              const Range columns(b - s_.pad_x, s_.step_x, s_.width, s_.wide);
              const float* from = x + group * c +
                  ((image * s_.height + begin * s_.step_y + a - s_.pad_y) * s_.width + columns.first) * C;
              float* out = sums + (a * s_.columns + b) * c * k;
              for (long k0 = 0; k0 < k && !columns.empty(); k0 += PANEL) {
                const long width = panel_width(k0, k);
                const Panel of_g{panels + k0 * pixels + ((begin - y) * s_.wide + columns.begin) * width, width};
                multiply<true>(from, s_.step_x * C, of_g, out + k0, k, c, columns.end - columns.begin, true,
                               {lines, s_.step_y * s_.width * C, s_.wide * width});
              }
            }
          }
        }
    });
    threads_.each_in_order(s_.depth(), 16, [&](long r) {
      for (long v = 0; v < k; v += LANES) {
        Vector sum = load(memory + r * k + v);
        for (long part = 1; part < parts; ++part) sum += load(memory + part * size + r * k + v);
        store(dW + r * K + group * k + v, sum);
      }
    });
  }

  // dW = patches^T @ g, some pixels at a time.
  void by_patches(const float* x, const float* g, float* dW, float* memory, long group) const {
    const long D = s_.depth(), K = s_.filters, k = s_.group_filters(), whole = whole_panels(D);
    const long block = patches_at_a_time(s_), some = pixels_at_a_time(D, SOME_PATCHES);
    const long row_panels = whole / GRADIENT_ROWS, panels = (k + PANEL - 1) / PANEL;
    float *rows = memory, *columns = memory + block * whole;  // patches by GRADIENT_ROWS of their floats; g by PANEL
    const Patches images(s_, x);
    for (long first = 0; first < s_.outputs(); first += block) {
      const long count = std::min(block, s_.outputs() - first);
      threads_.each((count + some - 1) / some, [&](long b) {
        const long from = b * some, to = std::min(from + some, count);
        float* patch = scratch(whole + LANES);
        Pixel pixel(first + from, s_);
        for (long t = from; t < to; ++t, pixel.next(s_)) {
          images.patch(pixel, group, patch);
          for (long r = 0; r < D; r += GRADIENT_ROWS)
            for (long v = 0; v < GRADIENT_ROWS; v += LANES)
              store(rows + r * count + t * GRADIENT_ROWS + v, load(patch + r + v));
        }
        into_panels(g + first * K + group * k, K, from, to, k, columns, count);
      });
      threads_.each(row_panels * panels, [&](long b) {
        const long r = b / panels * GRADIENT_ROWS, k0 = b % panels * PANEL, width = panel_width(k0, k);
        for (long t = 0; t < count; t += GRADIENT_PIXELS)
          multiply<true>(rows + r * count + t * GRADIENT_ROWS, GRADIENT_ROWS, {columns + k0 * count + t * width, width},
                         dW + r * K + group * k + k0, K, std::min(GRADIENT_ROWS, D - r),
                         std::min(GRADIENT_PIXELS, count - t), first || t);
      });
    }
  }

 public:
  FilterGradient(Threads& threads, const Convolution& s) : threads_(threads), s_(s) {}

  // Floats of memory that `into` needs.
  static long memory(const Convolution& s) {
    if (of_few_channels(s)) return patches_at_a_time(s) * (whole_panels(s.depth()) + s.group_filters());
    if (const long parts = image_parts(s)) return parts * s.depth() * s.group_filters();
    return images_at_a_time(s) * s.high * s.wide * s.group_filters();
  }

  // Who adds up what, and in which order, does not depend on the threads.
  void into(float* dW, const float* x, const float* g, float* memory) const {
    for (long group = 0; group < s_.groups; ++group)
      if (of_few_channels(s_))
        by_patches(x, g, dW, memory, group);
      else if (image_parts(s_))
        by_parts(x, g, dW, memory, group);
      else
        by_places(x, g, dW, memory, group);
  }
};

}  // namespace symfer
