// Convolutions with any filters, strides and groups, as products with patches of the images.
#pragma once
#include "geometry.h"
#include "parallel.h"
#include "simd.h"

namespace symfer {

class Direct {
  static constexpr long PATCH_FLOATS = 1 << 16, PACKED_ROWS = 128;
  // Without patches: fewest images, most floats of a padded image, fewest products for a value that is added.
  static constexpr long LEAST_IMAGES = 32, PADDED_FLOATS = 1 << 17, LEAST_PRODUCTS = 64;
  // Of the filter gradient: rows that are computed together, pixels at a time, floats of images or patches at a time.
  static constexpr long GRADIENT_ROWS = 48, GRADIENT_PIXELS = 192, IMAGES_FLOATS = 128 << 10, PATCHES_FLOATS = 256 << 10;
  // Parts of the images whose filter gradients are summed by themselves, fewest of them, and floats of their sums.
  static constexpr long IMAGE_PARTS = 16, LEAST_PARTS = 4, SUMS_FLOATS = 1 << 20;
  Threads& threads_;
  const Convolution s_;

  static long pixels_at_a_time(long depth, long floats) {
    return std::max<long>(floats / std::max<long>(depth, 1) / ROWS, 1) * ROWS;
  }
  static bool of_few_channels(const Convolution& s) { return s.group_channels() < UNIT; }
  // 0: the places of the filters, not parts of the images, are divided among the threads.
  static long image_parts(const Convolution& s) {
    if (s.rows * s.columns > 1 || of_few_channels(s)) return 0;
    const long parts = std::min({IMAGE_PARTS, s.n, SUMS_FLOATS / (s.group_channels() * s.group_filters())});
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

  // Rows begin ... end - 1 of a matrix (rows, columns), whose rows are `stride` floats apart, into panels.
  static void into_panels(const float* from, long stride, long begin, long end, long columns, float* to, long rows) {
    for (long k = 0; k < columns; k += PANEL) {
      const long width = panel_width(k, columns);
      for (long r = begin; r < end; ++r)
        for (long v = 0; v < width; v += LANES) store(to + k * rows + r * width + v, load(from + r * stride + k + v));
    }
  }

  // Rows and columns that the filters see, outside of the images too.
  static long padded_height(const Convolution& s) { return (s.high - 1) * s.step_y + s.rows; }
  static long padded_width(const Convolution& s) { return (s.wide - 1) * s.step_x + s.columns; }

  // Whether lines of pixels are multiplied with filters where they are, in a padded image.
  static bool by_lines(const Convolution& s) {
    const long c = s.group_channels();
    return s.wide % ROWS == 0 && c % UNIT == 0 && s.columns * c >= LEAST_PRODUCTS && s.n >= LEAST_IMAGES &&
           s.rows > 0 && padded_height(s) * padded_width(s) * c <= PADDED_FLOATS;
  }

  // An image's channels of a group, with zeros where the filters see pixels outside of it.
  static void pad(const Convolution& s, const float* x, long group, float* to) {
    const long c = s.group_channels(), wide = padded_width(s);
    const long begin = std::clamp<long>(s.pad_x, 0, wide), end = std::clamp<long>(s.pad_x + s.width, begin, wide);
    for (long row = 0; row < padded_height(s); ++row, to += wide * c) {
      const long y = row - s.pad_y;
      const bool inside = y >= 0 && y < s.height;
      const long first = inside ? begin : wide, last = inside ? end : wide;
      std::fill(to, to + first * c, 0.0f);
      const float* from = x + (y * s.width + first - s.pad_x) * s.channels + group * c;
      for (long column = first; column < last; ++column, from += s.channels)
        for (long v = 0; v < c; v += LANES) store(to + column * c + v, load(from + v));
      std::fill(to + last * c, to + wide * c, 0.0f);
    }
  }

  // Products of lines of padded images with filters(group, first filter), one row of the filters at a time, which
  // stays in the cache.
  template <class Filters>
  void products_of_lines(const Convolution& s, const float* x, const Filters& filters, const Places& y) const {
    const long c = s.group_channels(), k = s.group_filters(), depth = s.columns * c, wide = padded_width(s);
    threads_.each(s.n, [&](long image) {
      float* padded = scratch(padded_height(s) * wide * c);
      for (long g = 0; g < s.groups; ++g) {
        pad(s, x + image * s.height * s.width * s.channels, g, padded);
        for (long k0 = 0; k0 < k; k0 += PANEL) {
          const Panel panel = filters(g, k0);
          for (long a = 0; a < s.rows; ++a)
            for (long line = 0; line < s.high; ++line)
              multiply<false>(padded + (line * s.step_y + a) * wide * c, s.step_x * c,
                              {panel.at + a * depth * panel.width, panel.width},
                              y.at + image * y.image + line * y.row + g * k + k0, y.column, s.wide, depth, a > 0);
        }
      }
    });
  }

  // Products of patches with filters(group, first filter).
  template <class Filters>
  void products(const Convolution& s, const float* x, const Filters& filters, const Places& y) const {
    if (!s.is_product() && by_lines(s)) return products_of_lines(s, x, filters, y);
    const long D = s.depth(), k = s.group_filters();
    const bool copies = !s.is_product(), whole = y.is_array(s), by_line = s.wide % ROWS == 0;
    const long line = whole ? s.outputs() : s.wide;  // pixels whose places are at equal distances
    long block = threads_.share(s.outputs(), pixels_at_a_time(D, PATCH_FLOATS));
    if (by_line && !whole) block = (block + s.wide - 1) / s.wide * s.wide;
    const Patches images(s, x);
    threads_.each((s.outputs() + block - 1) / block, [&](long b) {
      const long first = b * block, count = std::min(block, s.outputs() - first);
      const Pixel begin(first, s);
      float *patches = scratch(block * (D + PANEL) + LANES), *sums = patches + block * D + LANES;
      Pixel pixel = begin;
      for (long t = 0; !D && t < count; ++t, pixel.next(s)) std::memset(y.of(pixel), 0, s.filters * sizeof(float));
      for (long g = 0; D && g < s.groups; ++g) {
        pixel = begin;
        for (long t = 0; copies && t < count; ++t, pixel.next(s)) images.patch(pixel, g, patches + t * D);
        const float* rows = copies ? patches : x + first * D;
        for (long k0 = 0; k0 < k; k0 += PANEL) {
          const Panel panel = filters(g, k0);
          const long at = g * k + k0;
          if (whole || by_line) {
            for (long t = 0; t < count; t += line)
              multiply<false>(rows + t * D, D, panel, y.of({first + t, s}) + at, y.column, std::min(line, count - t),
                              D);
            continue;
          }
          multiply<false>(rows, D, panel, sums, PANEL, count, D);
          pixel = begin;
          for (long t = 0; t < count; ++t, pixel.next(s))
            for (long v = 0; v < panel.width; v += LANES) store(y.of(pixel) + at + v, load(sums + t * PANEL + v));
        }
      }
    });
  }

 public:
  Direct(Threads& threads, const Convolution& s) : threads_(threads), s_(s) {}

  // y = patches @ W; `packed` has room for the filters, in panels.
  void images(const float* x, const float* W, float* y, float* packed) const {
    const long D = s_.depth(), K = s_.filters, k = s_.group_filters(), parts = (D + PACKED_ROWS - 1) / PACKED_ROWS;
    threads_.each(s_.groups * parts, [&](long b) {
      const long g = b / parts, begin = b % parts * PACKED_ROWS;
      into_panels(W + g * k, K, begin, std::min(begin + PACKED_ROWS, D), k, packed + g * D * k, D);
    });
    products(s_, x, [&](long g, long k0) { return Panel{packed + g * D * k + k0 * D, panel_width(k0, k)}; },
             {y, s_.high * s_.wide * K, s_.wide * K, K});
  }

  // dx = patches of g @ W^T. Pixels whose places differ by whole steps see the same parts of the filters.
  void input_gradient(const float* g, const float* W, float* dx, float* packed) const {
    if (s_.group_channels() % UNIT) return gradient_of_few_channels(g, W, dx, packed);
    for (long y = 0; y < s_.step_y; ++y)
      for (long x = 0; x < s_.step_x; ++x) packed += gradient_of_pixels(g, W, dx, packed, {s_, y, x});
  }

  // Floats of memory that `filter_gradient` needs.
  static long memory(const Convolution& s) {
    if (of_few_channels(s)) return patches_at_a_time(s) * (whole_panels(s.depth()) + s.group_filters());
    if (const long parts = image_parts(s)) return parts * s.group_channels() * s.group_filters();
    return images_at_a_time(s) * s.high * s.wide * s.group_filters();
  }

  // Who adds up what, and in which order, does not depend on the threads.
  void filter_gradient(const float* x, const float* g, float* dW, float* memory) const {
    for (long group = 0; group < s_.groups; ++group)
      if (of_few_channels(s_))
        gradient_by_patches(x, g, dW, memory, group);
      else if (image_parts(s_))
        gradient_by_parts(x, g, dW, memory, group);
      else
        gradient_by_places(x, g, dW, memory, group);
  }

 private:
  // Returns how many floats of `packed` it used.
  long gradient_of_pixels(const float* g, const float* W, float* dx, float* packed, const Turned& turned) const {
    const long c = s_.group_channels(), K = s_.filters, k = s_.group_filters(), D = turned.s.depth();
    if (!turned.s.outputs()) return 0;
    threads_.each(s_.groups * turned.s.rows, [&](long p) {  // rows (part, filter), columns channels
      const long group = p / turned.s.rows, a = p % turned.s.rows;
      for (long b = 0; b < turned.s.columns; ++b) {
        const float* from = W + turned.part(a, b) * c * K + group * k;
        for (long c0 = 0; c0 < c; c0 += PANEL) {
          const long width = panel_width(c0, c);
          float* to = packed + group * D * c + c0 * D + (a * turned.s.columns + b) * k * width;
          for (long o = 0; o < k; ++o)
            for (long v = 0; v < width; ++v) to[o * width + v] = from[(c0 + v) * K + o];
        }
      }
    });
    products(turned.s, g, [&](long group, long c0) {
      return Panel{packed + group * D * c + c0 * D, panel_width(c0, c)};
    }, turned.places(dx, s_));
    return s_.groups * D * c;
  }

  // dW at each place of the filters = x^T @ g, for the pixels for which it is inside of the images.
  void gradient_by_places(const float* x, const float* g, float* dW, float* memory, long group) const {
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

  // dW of filters of one place = sum of x^T @ g over parts of the images.
  void gradient_by_parts(const float* x, const float* g, float* dW, float* memory, long group) const {
    const long C = s_.channels, c = s_.group_channels(), K = s_.filters, k = s_.group_filters();
    const long parts = image_parts(s_);
    const Range rows(-s_.pad_y, s_.step_y, s_.height, s_.high), columns(-s_.pad_x, s_.step_x, s_.width, s_.wide);
    const long wide = std::max<long>(columns.end - columns.begin, 1), band = std::max<long>(GRADIENT_PIXELS / wide, 1);
    threads_.each(parts, [&](long part) {
      const long end = s_.n * (part + 1) / parts;
      float *sums = memory + part * c * k, *panels = scratch(band * wide * k);
      bool add = false;
      for (long image = s_.n * part / parts; image < end && !columns.empty(); ++image)
        for (long y = rows.begin; y < rows.end; y += band, add = true) {
          const long lines = std::min(band, rows.end - y), pixels = lines * wide;
          for (long line = 0; line < lines; ++line) {
            const float* from = g + ((image * s_.high + y + line) * s_.wide + columns.begin) * K + group * k;
            into_panels(from - line * wide * K, K, line * wide, (line + 1) * wide, k, panels, pixels);
          }
          const float* from = x + group * c +
              ((image * s_.height + y * s_.step_y - s_.pad_y) * s_.width + columns.first) * C;
          for (long k0 = 0; k0 < k; k0 += PANEL) {
            const long width = panel_width(k0, k);
            multiply<true>(from, s_.step_x * C, {panels + k0 * pixels, width}, sums + k0, k, c, wide, add,
                           {lines, s_.step_y * s_.width * C, wide * width});
          }
        }
      if (!add) std::fill(sums, sums + c * k, 0.0f);
    });
    threads_.each(c, [&](long r) {
      for (long v = 0; v < k; v += LANES) {
        Vector sum = load(memory + r * k + v);
        for (long part = 1; part < parts; ++part) sum += load(memory + (part * c + r) * k + v);
        store(dW + r * K + group * k + v, sum);
      }
    });
  }

  // dW = patches^T @ g, some pixels at a time.
  void gradient_by_patches(const float* x, const float* g, float* dW, float* memory, long group) const {
    const long D = s_.depth(), K = s_.filters, k = s_.group_filters(), whole = whole_panels(D);
    const long block = patches_at_a_time(s_), some = pixels_at_a_time(D, PATCH_FLOATS / 4);
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

  // The products g @ W^T are patches of dx, which are added up image by image; `packed` holds W^T.
  void gradient_of_few_channels(const float* g, const float* W, float* dx, float* packed) const {
    const long D = s_.depth(), K = s_.filters, C = s_.channels, pixels = s_.high * s_.wide;
    const long columns = (D + UNIT - 1) / UNIT * UNIT, block = pixels_at_a_time(columns, PATCH_FLOATS);
    for (long d0 = 0; d0 < columns; d0 += PANEL) {
      const long width = panel_width(d0, columns);
      for (long k = 0; k < K; ++k)
        for (long v = 0; v < width; ++v)
          packed[d0 * K + k * width + v] = d0 + v < D ? W[(d0 + v) * K + k] : 0;
    }
    threads_.each(s_.n, [&](long image) {
      float *out = dx + image * s_.height * s_.width * C, *patches = scratch(block * columns);
      std::memset(out, 0, s_.height * s_.width * C * sizeof(float));
      Pixel pixel(0, s_);
      for (long first = 0; first < pixels; first += block) {
        const long count = std::min(block, pixels - first);
        for (long d0 = 0; d0 < columns; d0 += PANEL)
          multiply<false>(g + (image * pixels + first) * K, K, {packed + d0 * K, panel_width(d0, columns)},
                          patches + d0, columns, count, K);
        for (long t = 0; t < count; ++t, pixel.next(s_)) {
          const long top = pixel.row * s_.step_y - s_.pad_y, left = pixel.column * s_.step_x - s_.pad_x;
          const long begin = std::max<long>(-left, 0) * C, end = std::min(s_.columns, s_.width - left) * C;
          for (long a = 0; a < s_.rows; ++a) {
            if (top + a < 0 || top + a >= s_.height) continue;
            const float* from = patches + t * columns + a * s_.columns * C;
            float* to = out + ((top + a) * s_.width + left) * C;
            for (long v = begin; v < end; ++v) to[v] += from[v];
          }
        }
      }
    });
  }
};

}  // namespace symfer
