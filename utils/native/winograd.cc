// Winograd's filtering for filters of SYMFER_FILTER x SYMFER_FILTER, as XLA calls it.
#include "winograd.h"

#include "handlers.h"

using namespace symfer;

// f(kernel, first channel, first filter) for each group of the channels of x and y.
template <class F>
static XLA_FFI_Error* each_group(XLA_FFI_CallFrame* frame, const XLA_FFI_Buffer& x, const XLA_FFI_Buffer& y,
                                 const F& f) {
  const long groups = std::max<long>(attribute(frame, "groups"), 1), C = x.dims[3], K = y.dims[3];
  const Images s{x.dims[0], x.dims[1], x.dims[2], C / groups, K / groups, C, K};
  Threads threads(frame);
  const auto run = [&](auto tile) {
    const Winograd<tile, SYMFER_FILTER> kernel(threads, s);
    for (long group = 0; group < groups; ++group) f(kernel, group * s.channels, group * s.filters);
    return nullptr;
  };
  switch (attribute(frame, "tile")) {
#if SYMFER_FILTER == 5
    case 2: return run(std::integral_constant<int, 2>());
    case 3: return run(std::integral_constant<int, 3>());
#else
    case 3: return run(std::integral_constant<int, 3>());
    case 4: return run(std::integral_constant<int, 4>());
    case 5: return run(std::integral_constant<int, 5>());
#endif
  }
  return refuse(frame, "symfer: expected tiles of 3 to 5 pixels for filters of 3x3, of 2 or 3 pixels for 5x5");
}

// x (n, h, w, c), W (r, r, c / groups, k), or (r, r, k / groups, c) if mirrored -> y (n, h, w, k), transformed filters.
extern "C" XLA_FFI_Error* images(XLA_FFI_CallFrame* frame) {
  if (is_question(frame)) return nullptr;
  const auto &x = argument(frame, 0), &W = argument(frame, 1), &y = result(frame, 0);
  float* U = floats(result(frame, 1));
  const bool mirrored = attribute(frame, "mirrored");
  return each_group(frame, x, y, [&](const auto& kernel, long c, long k) {
    kernel.filters(floats(W) + (mirrored ? c : k), mirrored, U);
    kernel.images(floats(x) + c, U, floats(y) + k);
  });
}

// x (n, h, w, c), g (n, h, w, k) -> dW (r, r, c / groups, k), memory.
extern "C" XLA_FFI_Error* filter_gradient(XLA_FFI_CallFrame* frame) {
  if (is_question(frame)) return nullptr;
  const auto &x = argument(frame, 0), &g = argument(frame, 1), &dW = result(frame, 0);
  float* memory = floats(result(frame, 1));
  return each_group(frame, x, g, [&](const auto& kernel, long c, long k) {
    kernel.filter_gradient(floats(x) + c, floats(g) + k, floats(dW) + k, memory);
  });
}

// Floats of memory that `filter_gradient` needs, for a group's channels and filters.
extern "C" int64_t filter_gradient_memory(int64_t tile, int64_t channels, int64_t filters) {
  return winograd_memory((tile + SYMFER_FILTER - 1) * (tile + SYMFER_FILTER - 1), channels, filters);
}
