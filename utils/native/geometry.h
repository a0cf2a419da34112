// Which pixels of the images meet which places of the filters of a convolution.
#pragma once
#include <algorithm>

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
  bool is_product() const {  // the images are their own patches
    return rows * columns * step_y * step_x * groups == 1 && !pad_y && !pad_x && high == height && wide == width;
  }
};

// Pixels of what comes out, one after another. (A division takes as long as hundreds of products.)
struct Pixel {
  long image, row, column;
  Pixel(long at, const Convolution& s)
      : image(at / (s.high * s.wide)), row(at / s.wide % s.high), column(at % s.wide) {}
  void next(const Convolution& s) {
    if (++column < s.wide) return;
    column = 0;
    if (++row < s.high) return;
    row = 0;
    ++image;
  }
};

// The outputs for which a place of the filters is inside of the images, along one axis; for the first, at `first`.
struct Range {
  long begin, end, first;
  Range(long place, long step, long size, long outputs)
      : begin(place < 0 ? (-place + step - 1) / step : 0),
        end(place < size ? std::min((size - place - 1) / step + 1, outputs) : 0), first(begin * step + place) {}
  bool empty() const { return begin >= end; }
};

// Where the values of the pixels go: floats between two images, rows and columns.
struct Places {
  float* at;
  long image, row, column;
  float* of(const Pixel& p) const { return at + p.image * image + p.row * row + p.column * column; }
  bool is_array(const Convolution& s) const { return row == s.wide * column && image == s.high * row; }
};

// The gradient by the images, of pixels of which (row + pad_y) % step_y and (column + pad_x) % step_x are `rest`: a
// convolution of what came out with every step-th row and column of the filters, turned around.
struct Turned {
  long rest_y, rest_x, first_y, first_x;  // first row and column of such pixels
  long step_y, step_x, columns;           // of the filters
  Convolution s;
  Turned(const Convolution& of, long rest_y, long rest_x)
      : rest_y(rest_y), rest_x(rest_x), first_y(first(rest_y, of.pad_y, of.step_y)),
        first_x(first(rest_x, of.pad_x, of.step_x)), step_y(of.step_y), step_x(of.step_x), columns(of.columns),
        s{of.n, of.high, of.wide, of.filters, count(first_y, of.height, step_y), count(first_x, of.width, step_x),
          of.channels, count(rest_y, of.rows, step_y), count(rest_x, of.columns, step_x), 1, 1, 0, 0, of.groups} {
    s.pad_y = s.rows - 1 - (first_y + of.pad_y - rest_y) / step_y;
    s.pad_x = s.columns - 1 - (first_x + of.pad_x - rest_x) / step_x;
  }
  // The place among the filters, by rows, of a place of the turned ones.
  long part(long a, long b) const {
    return (rest_y + (s.rows - 1 - a) * step_y) * columns + rest_x + (s.columns - 1 - b) * step_x;
  }
  Places places(float* dx, const Convolution& of) const {
    const long C = of.channels;
    return {dx + (first_y * of.width + first_x) * C, of.height * of.width * C, step_y * of.width * C, step_x * C};
  }

 private:
  static long first(long rest, long pad, long step) { return ((rest - pad) % step + step) % step; }
  static long count(long first, long size, long step) { return first < size ? (size - first - 1) / step + 1 : 0; }
};

// What the filters of a group see of the images for some pixels.
class Patches {
  const Convolution& s_;
  const float *x_, *end_;

  // `to` has room for a vector behind the floats; what is there is written later.
  void copy(float* to, const float* from, long floats) const {
    if (from + floats + LANES > end_) {
      std::memcpy(to, from, floats * sizeof(float));
      return;
    }
    for (long v = 0; v < floats; v += LANES) store(to + v, load(from + v));
  }

 public:
  Patches(const Convolution& s, const float* x) : s_(s), x_(x), end_(x + s.n * s.height * s.width * s.channels) {}

  // depth() floats, with room for a vector behind them.
  void patch(const Pixel& p, long group, float* to) const {
    const long C = s_.channels, c = s_.group_channels();
    const long top = p.row * s_.step_y - s_.pad_y, left = p.column * s_.step_x - s_.pad_x;
    const long first = std::clamp<long>(-left, 0, s_.columns), last = std::clamp<long>(s_.width - left, 0, s_.columns);
    for (long a = 0; a < s_.rows; ++a, to += s_.columns * c) {
      if (top + a < 0 || top + a >= s_.height || first >= last) {
        std::memset(to, 0, s_.columns * c * sizeof(float));
        continue;
      }
      const float* from = x_ + ((p.image * s_.height + top + a) * s_.width + left) * C + group * c;
      if (first) std::memset(to, 0, first * c * sizeof(float));
      if (s_.groups == 1)
        copy(to + first * c, from + first * c, (last - first) * c);
      else
        for (long b = first; b < last; ++b) copy(to + b * c, from + b * C, c);
      if (last < s_.columns) std::memset(to + last * c, 0, (s_.columns - last) * c * sizeof(float));
    }
  }
};

}  // namespace symfer
