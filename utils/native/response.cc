// Local response normalisation over channels with the exponent 3/4, and its gradient.
#include <cmath>

#include "handlers.h"
#include "parallel.h"

namespace symfer {

class Response {
  static constexpr long PIXELS = 256;  // of a block
  Threads threads_;
  const long channels_, half_;
  const float alpha_, k_;

  static float number(XLA_FFI_CallFrame* frame, const char* name) {
    const int64_t bits = attribute(frame, name);
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return static_cast<float>(value);
  }

  // to[c] = sum of from[c'] for c' from c - half to c + half; `from` has `half` zeros on each side.
  void sums(const float* from, float* __restrict to) const {
    for (long c = 0; c < channels_; ++c) to[c] = from[c - half_];
    for (long d = 1 - half_; d <= half_; ++d)
      for (long c = 0; c < channels_; ++c) to[c] += from[c + d];
  }

  // f(pixel, `n` rows of memory for channels with `half` zeros on each side) for each pixel.
  template <class F>
  void each_pixel(long n_pixels, long n, const F& f) {
    const long padded = channels_ + 2 * half_;
    threads_.each((n_pixels + PIXELS - 1) / PIXELS, [&](long block) {
      float* memory = scratch(n * padded);
      std::fill(memory, memory + n * padded, 0.0f);
      float* rows[3];
      for (long r = 0; r < n; ++r) rows[r] = memory + r * padded + half_;
      for (long p = block * PIXELS; p < std::min(n_pixels, (block + 1) * PIXELS); ++p) f(p * channels_, rows);
    });
  }

  // base[c] = k + alpha * sum of squares of the neighbours of channel c.
  void bases(const float* x, float* __restrict squares, float* __restrict base) const {
    for (long c = 0; c < channels_; ++c) squares[c] = x[c] * x[c];
    sums(squares, base);
    for (long c = 0; c < channels_; ++c) base[c] = k_ + alpha_ * base[c];
  }

 public:
  explicit Response(XLA_FFI_CallFrame* frame)
      : threads_(frame),
        channels_(argument(frame, 0).dims[argument(frame, 0).rank - 1]),
        half_(attribute(frame, "half")),
        alpha_(number(frame, "alpha")),
        k_(number(frame, "k")) {}

  void images(long n_pixels, const float* x, float* y) {
    each_pixel(n_pixels, 2, [&](long at, float* const* rows) {
      float *__restrict squares = rows[0], *__restrict base = rows[1], *__restrict to = y + at;
      const float* from = x + at;
      bases(from, squares, base);
      for (long c = 0; c < channels_; ++c) {
        const float root = std::sqrt(base[c]);
        to[c] = from[c] / (root * std::sqrt(root));
      }
    });
  }

  // dx[c] = g[c] base[c]^(-3/4) - 3/2 alpha x[c] * sum over its neighbours of g x base^(-7/4).
  void input_gradient(long n_pixels, const float* x, const float* g, float* dx) {
    each_pixel(n_pixels, 3, [&](long at, float* const* rows) {
      float *__restrict shares = rows[0], *__restrict base = rows[1], *__restrict scaled = rows[2];
      float* __restrict to = dx + at;
      const float *from = x + at, *gradient = g + at;
      bases(from, shares, base);
      for (long c = 0; c < channels_; ++c) {
        const float root = std::sqrt(base[c]);
        scaled[c] = gradient[c] / (root * std::sqrt(root));
        shares[c] = scaled[c] * from[c] / base[c];
      }
      sums(shares, base);
      for (long c = 0; c < channels_; ++c) to[c] = scaled[c] - 1.5f * alpha_ * from[c] * base[c];
    });
  }
};

}  // namespace symfer

// x (..., channels) -> y of the same shape.
extern "C" XLA_FFI_Error* images(XLA_FFI_CallFrame* frame) {
  using namespace symfer;
  if (is_question(frame)) return nullptr;
  Response(frame).images(leading(argument(frame, 0), 1), floats(argument(frame, 0)), floats(result(frame, 0)));
  return nullptr;
}

// x, g -> dx, all of the same shape.
extern "C" XLA_FFI_Error* input_gradient(XLA_FFI_CallFrame* frame) {
  using namespace symfer;
  if (is_question(frame)) return nullptr;
  Response(frame).input_gradient(leading(argument(frame, 0), 1), floats(argument(frame, 0)), floats(argument(frame, 1)),
                                 floats(result(frame, 0)));
  return nullptr;
}
