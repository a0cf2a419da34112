// A convolution and its gradients by a kernel, as XLA calls them. The file that includes this one has
// `with_type(s, f)`, which calls f(pointer to the type of the kernel for a convolution s).
#pragma once
#include "geometry.h"
#include "handlers.h"

namespace symfer {

// Of the two arguments and the result: which are the images, what comes out of them, and the filters.
template <class F>
static XLA_FFI_Error* convolve(XLA_FFI_CallFrame* frame, int images, int outputs, int filters, const F& f) {
  if (is_question(frame)) return nullptr;
  const XLA_FFI_Buffer* of[] = {&argument(frame, 0), &argument(frame, 1), &result(frame, 0)};
  const int64_t *x = of[images]->dims, *y = of[outputs]->dims, *W = of[filters]->dims;
  const Convolution s{x[0], x[1], x[2], x[3], y[1], y[2], y[3], W[0], W[1],
                      attribute(frame, "step_y"), attribute(frame, "step_x"),
                      attribute(frame, "pad_y"), attribute(frame, "pad_x"), attribute(frame, "groups")};
  Threads threads(frame);
  with_type(s, [&](auto* type) {
    const std::remove_pointer_t<decltype(type)> kernel(threads, s);
    f(kernel, floats(*of[0]), floats(*of[1]), floats(*of[2]), floats(result(frame, 1)));
  });
  return nullptr;
}

}  // namespace symfer

// x (n, h, w, c), W (rows, columns, c / groups, k) -> y (n, h', w', k), memory for the filters.
extern "C" XLA_FFI_Error* images(XLA_FFI_CallFrame* frame) {
  return symfer::convolve(frame, 0, 2, 1, [](const auto& kernel, auto... of) { kernel.images(of...); });
}

// g (n, h', w', k), W -> dx (n, h, w, c), memory for the filters.
extern "C" XLA_FFI_Error* input_gradient(XLA_FFI_CallFrame* frame) {
  return symfer::convolve(frame, 2, 0, 1, [](const auto& kernel, auto... of) { kernel.input_gradient(of...); });
}

// x, g -> dW, memory.
extern "C" XLA_FFI_Error* filter_gradient(XLA_FFI_CallFrame* frame) {
  return symfer::convolve(frame, 0, 1, 2, [](const auto& kernel, auto... of) { kernel.filter_gradient(of...); });
}

// Floats of memory that `filter_gradient` needs for images x, gradients g and filters of these shapes.
extern "C" int64_t filter_gradient_memory(const int64_t* x, const int64_t* g, const int64_t* W, int64_t groups) {
  const symfer::Convolution s{x[0], x[1], x[2], x[3], g[1], g[2], g[3], W[0], W[1], 1, 1, 0, 0, groups};
  int64_t out = 0;
  symfer::with_type(s, [&](auto* type) { out = type->memory(s); });
  return out;
}
