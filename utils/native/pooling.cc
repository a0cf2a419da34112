// Maximum over windows that may overlap, and its gradient.
#include <limits>

#include "handlers.h"
#include "parallel.h"

namespace symfer {

class Pooling {
  Threads threads_;
  const long rows_, columns_, step_y_, step_x_;  // of the windows
  const long n_, height_, width_, high_, wide_, channels_;

  static long axis(const XLA_FFI_Buffer& buffer, int from_last) { return buffer.dims[buffer.rank - from_last]; }

 public:
  Pooling(XLA_FFI_CallFrame* frame, const XLA_FFI_Buffer& images, const XLA_FFI_Buffer& pooled)
      : threads_(frame),
        rows_(attribute(frame, "rows")),
        columns_(attribute(frame, "columns")),
        step_y_(attribute(frame, "step_y")),
        step_x_(attribute(frame, "step_x")),
        n_(leading(images, 3)),
        height_(axis(images, 3)),
        width_(axis(images, 2)),
        high_(axis(pooled, 3)),
        wide_(axis(pooled, 2)),
        channels_(axis(images, 1)) {}

  // The maximum and the number of its pixel, by rows of the window; the first of equal ones; NaN if there is one.
  void images(const float* x, float* y, uint8_t* index) {
    const long C = channels_;
    threads_.each_in_order(n_ * high_, high_, [&](long line) {
      const long image = line / high_, top = line % high_ * step_y_, bottom = std::min(top + rows_, height_);
      float* __restrict number = scratch(C);
      for (long j = 0; j < wide_; ++j) {
        const long left = j * step_x_, right = std::min(left + columns_, width_);
        float* __restrict best = y + (line * wide_ + j) * C;
        std::fill(number, number + C, 0.0f);
        std::fill(best, best + C, -std::numeric_limits<float>::infinity());
        for (long a = top; a < bottom; ++a)
          for (long b = left; b < right; ++b) {
            const float* pixel = x + ((image * height_ + a) * width_ + b) * C;
            const float k = static_cast<float>((a - top) * columns_ + b - left);
            for (long c = 0; c < C; ++c) {
              number[c] = pixel[c] > best[c] ? k : number[c];
              best[c] = pixel[c] > best[c] || pixel[c] != pixel[c] ? pixel[c] : best[c];
            }
          }
        uint8_t* to = index + (line * wide_ + j) * C;
        for (long c = 0; c < C; ++c) to[c] = static_cast<uint8_t>(number[c]);
      }
    });
  }

  // To each pixel, the gradients of the windows whose maximum it is.
  void input_gradient(const float* g, const uint8_t* index, float* dx) {
    const long C = channels_;
    threads_.each_in_order(n_ * height_, height_, [&](long line) {
      const long image = line / height_, row = line % height_;
      float* to = dx + line * width_ * C;
      std::fill(to, to + width_ * C, 0.0f);
      // Rows of windows that contain this row.
      const long first = row < rows_ ? 0 : (row - rows_) / step_y_ + 1, last = std::min(row / step_y_, high_ - 1);
      for (long i = first; i <= last; ++i)
        for (long j = 0; j < wide_; ++j) {
          const long at = ((image * high_ + i) * wide_ + j) * C, left = j * step_x_;
          const long right = std::min(left + columns_, width_), before = (row - i * step_y_) * columns_;
          for (long b = left; b < right; ++b) {
            const float* gradient = g + at;
            const uint8_t *number = index + at, k = static_cast<uint8_t>(before + b - left);
            float* __restrict pixel = to + b * C;
            for (long c = 0; c < C; ++c) pixel[c] += number[c] == k ? gradient[c] : 0.0f;
          }
        }
    });
  }
};

}  // namespace symfer

// x (..., h, w, c) -> y (..., h', w', c), index of the same shape.
extern "C" XLA_FFI_Error* images(XLA_FFI_CallFrame* frame) {
  using namespace symfer;
  if (is_question(frame)) return nullptr;
  const XLA_FFI_Buffer &x = argument(frame, 0), &y = result(frame, 0);
  Pooling(frame, x, y).images(floats(x), floats(y), static_cast<uint8_t*>(result(frame, 1).data));
  return nullptr;
}

// g (..., h', w', c), index -> dx (..., h, w, c).
extern "C" XLA_FFI_Error* input_gradient(XLA_FFI_CallFrame* frame) {
  using namespace symfer;
  if (is_question(frame)) return nullptr;
  const XLA_FFI_Buffer &g = argument(frame, 0), &dx = result(frame, 0);
  const auto* index = static_cast<const uint8_t*>(argument(frame, 1).data);
  Pooling(frame, dx, g).input_gradient(floats(g), index, floats(dx));
  return nullptr;
}
