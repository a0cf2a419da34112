// Convolutions with any filters, strides and groups, as products with patches of the images.
#pragma once
#include <vector>

#include "filter_gradient.h"
#include "product.h"

namespace symfer {

// A part of an image with rows and columns of zeros around it: all that some convolutions see.
struct Frame {
  long top, left, height, width;
  static Frame seen_by(const Convolution& s) {
    return {s.pad_y, s.pad_x, (s.high - 1) * s.step_y + s.rows, (s.wide - 1) * s.step_x + s.columns};
  }
  // The frame for both.
  Frame& operator+=(const Frame& other) {
    const long y = std::max(top, other.top), x = std::max(left, other.left);
    height = std::max(y - top + height, y - other.top + other.height);
    width = std::max(x - left + width, x - other.left + other.width);
    top = y;
    left = x;
    return *this;
  }
  // Whether an image has everything in the frame.
  bool within(const Convolution& s) const {
    return top <= 0 && left <= 0 && height - top <= s.height && width - left <= s.width;
  }
};

class Direct {
  static constexpr long PATCH_FLOATS = 1 << 16, PACKED_ROWS = 128;
  // Without patches: fewest images, most floats of a framed image, fewest products for a value that is added.
  static constexpr long LEAST_IMAGES = 32, FRAMED_FLOATS = 1 << 17, LEAST_PRODUCTS = 64;
  static constexpr long MOST_PIXELS = 512;  // for which the filters are put into panels a part at a time
  Threads& threads_;
  const Convolution s_;

  // Whether lines of pixels are multiplied with filters where they are, in a framed image.
  static bool by_lines(const Convolution& s, const Frame& frame) {
    const long c = s.group_channels();
    return s.wide % ROWS == 0 && c % UNIT == 0 && s.columns * c >= LEAST_PRODUCTS && s.n >= LEAST_IMAGES &&
           s.rows > 0 && frame.height * frame.width * c <= FRAMED_FLOATS;
  }

  // A group's channels of an image in a frame.
  static void framed(const Convolution& s, const Frame& frame, const float* image, long group, float* to) {
    const long c = s.group_channels();
    const long begin = std::clamp<long>(frame.left, 0, frame.width);
    const long end = std::clamp<long>(frame.left + s.width, begin, frame.width);
    for (long row = 0; row < frame.height; ++row, to += frame.width * c) {
      const long y = row - frame.top;
      const bool inside = y >= 0 && y < s.height;
      const long first = inside ? begin : frame.width, last = inside ? end : frame.width;
      std::fill(to, to + first * c, 0.0f);
      const float* from = image + (y * s.width + first - frame.left) * s.channels + group * c;
      for (long column = first; column < last; ++column, from += s.channels)
        for (long v = 0; v < c; v += LANES) store(to + column * c + v, load(from + v));
      std::fill(to + last * c, to + frame.width * c, 0.0f);
    }
  }

  // A convolution of images in a frame, with filters(group, first filter).
  template <class Filters>
  struct Part {
    Convolution s;
    Filters filters;
    Places y;
  };

  // Products of lines of a group's framed image with the filters.
  template <class Filters>
  static void lines(const Part<Filters>& part, const Frame& frame, const float* framed, long group, long image) {
    const Convolution& s = part.s;
    const long c = s.group_channels(), k = s.group_filters(), depth = s.columns * c;
    float* to = part.y.at + image * part.y.image + group * k;
    if (!s.rows || !s.columns) {  // pixels that no filter sees
      for (long t = 0; t < s.high * s.wide; ++t)
        std::memset(to + t / s.wide * part.y.row + t % s.wide * part.y.column, 0, k * sizeof(float));
      return;
    }
    framed += ((frame.top - s.pad_y) * frame.width + frame.left - s.pad_x) * c;
    for (long k0 = 0; k0 < k; k0 += PANEL) {
      const Panel panel = part.filters(group, k0);
      for (long line = 0; line < s.high; ++line)
        multiply<false>(framed + line * s.step_y * frame.width * c, s.step_x * c, panel, to + line * part.y.row + k0,
                        part.y.column, s.wide, depth, false, {s.rows, frame.width * c, depth * panel.width});
    }
  }

  // Convolutions of the same images; whether they could be computed by lines, image by image.
  template <class Filters>
  bool products_of_lines(const std::vector<Part<Filters>>& parts, const float* x) const {
    Frame frame = Frame::seen_by(parts[0].s);
    for (const auto& part : parts) frame += Frame::seen_by(part.s);
    for (const auto& part : parts)
      if (part.s.depth() && !by_lines(part.s, frame)) return false;
    const Convolution& s = parts[0].s;
    const long floats = s.height * s.width * s.channels;
    const bool as_it_is = s.groups == 1 && frame.within(s);
    threads_.each(s.n, [&](long image) {
      const float* from = x + image * floats;
      if (as_it_is) {
        for (const auto& part : parts) lines(part, {0, 0, s.height, s.width}, from, 0, image);
        return;
      }
      float* to = scratch(frame.height * frame.width * s.group_channels());
      for (long group = 0; group < s.groups; ++group) {
        framed(s, frame, from, group, to);
        for (const auto& part : parts) lines(part, frame, to, group, image);
      }
    });
    return true;
  }

  // y = patches @ W for so few pixels that all of their patches have room where the filters would have it.
  void products_of_few_pixels(const float* x, const float* W, float* y, float* patches) const {
    const long D = s_.depth(), K = s_.filters, k = s_.group_filters();
    const Patches images(s_, x);
    for (long g = 0; g < s_.groups; ++g) {
      if (!s_.is_product())
        threads_.each((s_.outputs() + ROWS - 1) / ROWS, [&](long block) {
          const long first = block * ROWS, end = std::min(first + ROWS, s_.outputs());
          Pixel pixel(first, s_);
          for (long t = first; t < end; ++t, pixel.next(s_)) images.patch(pixel, g, patches + t * D);
          std::memset(patches + end * D, 0, (first + ROWS - end) * D * sizeof(float));
        });
      const Matrix rows{s_.is_product() ? x : patches, D};
      product(threads_, rows, {W + g * k, K}, y + g * k, K, s_.outputs(), D, k, !s_.is_product());
    }
  }
  bool of_few_pixels() const {
    const long most = std::min(MOST_PIXELS, s_.group_filters());
    return s_.is_product() ? s_.outputs() <= MOST_PIXELS
                           : s_.group_channels() % UNIT == 0 && (s_.outputs() + ROWS - 1) / ROWS * ROWS <= most;
  }

  // Products of patches with filters(group, first filter).
  template <class Filters>
  void products(const Part<Filters>& part, const float* x) const {
    const Convolution& s = part.s;
    const Places& y = part.y;
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
          const Panel panel = part.filters(g, k0);
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
    if (of_few_pixels()) return products_of_few_pixels(x, W, y, packed);
    const long D = s_.depth(), K = s_.filters, k = s_.group_filters(), parts = (D + PACKED_ROWS - 1) / PACKED_ROWS;
    threads_.each(s_.groups * parts, [&](long b) {
      const long g = b / parts, begin = b % parts * PACKED_ROWS;
      into_panels(W + g * k, K, begin, std::min(begin + PACKED_ROWS, D), k, packed + g * D * k, D);
    });
    const auto filters = [&](long g, long k0) { return Panel{packed + g * D * k + k0 * D, panel_width(k0, k)}; };
    const Part<decltype(filters)> part{s_, filters, {y, s_.high * s_.wide * K, s_.wide * K, K}};
    if (s_.is_product() || !products_of_lines(std::vector{part}, x)) products(part, x);
  }

  // dx = patches of g @ W^T. Pixels whose places differ by whole steps see the same parts of the filters.
  void input_gradient(const float* g, const float* W, float* dx, float* packed) const {
    if (s_.group_channels() % UNIT) return gradient_of_few_channels(g, W, dx, packed);
    const long c = s_.group_channels();
    const auto of = [c](const float* at, long D) {
      return [=](long group, long c0) { return Panel{at + group * D * c + c0 * D, panel_width(c0, c)}; };
    };
    std::vector<Part<decltype(of(packed, 0))>> parts;
    for (long y = 0; y < s_.step_y; ++y)
      for (long x = 0; x < s_.step_x; ++x) {
        const Turned turned(s_, y, x);
        const long D = turned.s.depth();
        if (!turned.s.outputs()) continue;
        pack(turned, W, packed);
        parts.push_back({turned.s, of(packed, D), turned.places(dx, s_)});
        packed += s_.groups * D * c;
      }
    if ((parts.size() == 1 && parts[0].s.is_product()) || !products_of_lines(parts, g))
      for (const auto& part : parts) products(part, g);
  }

  static long memory(const Convolution& s) { return FilterGradient::memory(s); }

  void filter_gradient(const float* x, const float* g, float* dW, float* memory) const {
    FilterGradient(threads_, s_).into(dW, x, g, memory);
  }

 private:
  // The filters of a group with rows (part, filter) and columns channels, in panels.
  void pack(const Turned& turned, const float* W, float* packed) const {
    const long c = s_.group_channels(), K = s_.filters, k = s_.group_filters(), D = turned.s.depth();
    threads_.each(s_.groups * turned.s.rows, [&](long p) {
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
