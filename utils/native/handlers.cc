// What XLA calls.
#include "narrow.h"
#include "winograd.h"

namespace symfer {

static const XLA_FFI_Buffer& argument(XLA_FFI_CallFrame* frame, int k) {
  return *static_cast<XLA_FFI_Buffer*>(frame->args.args[k]);
}
static const XLA_FFI_Buffer& result(XLA_FFI_CallFrame* frame, int k) {
  return *static_cast<XLA_FFI_Buffer*>(frame->rets.rets[k]);
}
static float* floats(const XLA_FFI_Buffer& buffer) { return static_cast<float*>(buffer.data); }

static int64_t attribute(XLA_FFI_CallFrame* frame, const char* name) {
  for (int64_t k = 0; k < frame->attrs.size; ++k)
    if (frame->attrs.names[k]->len == std::strlen(name) &&
        !std::memcmp(frame->attrs.names[k]->ptr, name, frame->attrs.names[k]->len))
      return *static_cast<int64_t*>(static_cast<XLA_FFI_Scalar*>(frame->attrs.attrs[k])->value);
  return 0;
}

static XLA_FFI_Error* refuse(XLA_FFI_CallFrame* frame, const char* message) {
  XLA_FFI_Error_Create_Args args{XLA_FFI_Error_Create_Args_STRUCT_SIZE, nullptr, message,
                                 XLA_FFI_Error_Code_INVALID_ARGUMENT};
  return frame->api->XLA_FFI_Error_Create(&args);
}

// XLA asks each handler once for which version of its interface it was compiled.
static bool is_question(XLA_FFI_CallFrame* frame) {
  auto* extension = frame->extension_start;
  if (!extension || extension->type != XLA_FFI_Extension_Metadata) return false;
  auto* metadata = reinterpret_cast<XLA_FFI_Metadata_Extension*>(extension)->metadata;
  metadata->api_version.major_version = XLA_FFI_API_MAJOR;
  metadata->api_version.minor_version = XLA_FFI_API_MINOR;
  metadata->traits = 0;
  return true;
}

// f(kernel, first channel, first filter) for each group of the channels of x and y; W holds the filters.
template <class F>
static XLA_FFI_Error* with_tiles(XLA_FFI_CallFrame* frame, const XLA_FFI_Buffer& x, const XLA_FFI_Buffer& y,
                                 const XLA_FFI_Buffer& W, const F& f) {
  const long groups = std::max<long>(attribute(frame, "groups"), 1), C = x.dims[3], K = y.dims[3];
  const Images s{x.dims[0], x.dims[1], x.dims[2], C / groups, K / groups, C, K};
  Threads threads(frame);
  const auto run = [&](auto m, auto r) {
    const Winograd<m, r> kernel(threads, s);
    for (long group = 0; group < groups; ++group) f(kernel, group * s.channels, group * s.filters);
    return nullptr;
  };
  constexpr std::integral_constant<int, 2> two;
  constexpr std::integral_constant<int, 3> three;
  constexpr std::integral_constant<int, 4> four;
  constexpr std::integral_constant<int, 5> five;
  switch (10 * W.dims[0] + attribute(frame, "tile")) {
    case 33: return run(three, three);
    case 34: return run(four, three);
    case 35: return run(five, three);
    case 52: return run(two, five);
    case 53: return run(three, five);
  }
  return refuse(frame, "symfer: expected tiles of 3 to 5 pixels for filters of 3x3, of 2 or 3 pixels for 5x5");
}

// f for the kernel of groups that share a vector, or else h.
template <class F, class H>
static void by_group(const Convolution& s, const F& f, const H& h) {
  const long size = s.group_channels() == s.group_filters() && s.groups > 1 ? s.group_channels() : 0;
  switch (size) {
    case 1: f(std::integral_constant<int, 1>()); break;
    case 2: f(std::integral_constant<int, 2>()); break;
    case 4: f(std::integral_constant<int, 4>()); break;
    case 8: f(std::integral_constant<int, 8>()); break;
    default: h();
  }
}

// f(kernel, a, b, result, memory) for a convolution or gradient of it. Its two arguments and its result are the images,
// what comes out of them, and the filters; these say which is which.
template <class F>
static XLA_FFI_Error* convolve(XLA_FFI_CallFrame* frame, int images, int outputs, int filters, const F& f) {
  if (is_question(frame)) return nullptr;
  const XLA_FFI_Buffer* of[] = {&argument(frame, 0), &argument(frame, 1), &result(frame, 0)};
  const int64_t *x = of[images]->dims, *y = of[outputs]->dims, *W = of[filters]->dims;
  const Convolution s{x[0], x[1], x[2], x[3], y[1], y[2], y[3], W[0], W[1],
                      attribute(frame, "step_y"), attribute(frame, "step_x"),
                      attribute(frame, "pad_y"), attribute(frame, "pad_x"), attribute(frame, "groups")};
  Threads threads(frame);
  const auto run = [&](const auto& kernel) {
    f(kernel, floats(*of[0]), floats(*of[1]), floats(*of[2]), floats(result(frame, 1)));
  };
  by_group(s, [&](auto size) { run(Narrow<size>(threads, s)); }, [&] { run(Direct(threads, s)); });
  return nullptr;
}

}  // namespace symfer

using namespace symfer;

// x (n, h, w, c), W (r, r, c / groups, k), or (r, r, k / groups, c) if mirrored -> y (n, h, w, k), transformed filters.
extern "C" XLA_FFI_Error* symfer_winograd(XLA_FFI_CallFrame* frame) {
  if (is_question(frame)) return nullptr;
  const auto &x = argument(frame, 0), &W = argument(frame, 1), &y = result(frame, 0);
  float* U = floats(result(frame, 1));
  const bool mirrored = attribute(frame, "mirrored");
  return with_tiles(frame, x, y, W, [&](const auto& kernel, long c, long k) {
    kernel.filters(floats(W) + (mirrored ? c : k), mirrored, U);
    kernel.images(floats(x) + c, U, floats(y) + k);
  });
}

// x (n, h, w, c), g (n, h, w, k) -> dW (r, r, c / groups, k), memory.
extern "C" XLA_FFI_Error* symfer_winograd_filter_gradient(XLA_FFI_CallFrame* frame) {
  if (is_question(frame)) return nullptr;
  const auto &x = argument(frame, 0), &g = argument(frame, 1), &dW = result(frame, 0);
  float* memory = floats(result(frame, 1));
  return with_tiles(frame, x, g, dW, [&](const auto& kernel, long c, long k) {
    kernel.filter_gradient(floats(x) + c, floats(g) + k, floats(dW) + k, memory);
  });
}

// Floats of memory that `symfer_winograd_filter_gradient` needs; `side` of a transformed tile.
extern "C" int64_t symfer_winograd_memory(int64_t side, int64_t channels, int64_t filters) {
  return winograd_memory(side * side, channels, filters);
}

// x (n, h, w, c), W (rows, columns, c / groups, k) -> y (n, h', w', k), memory of the size of W.
extern "C" XLA_FFI_Error* symfer_convolution(XLA_FFI_CallFrame* frame) {
  return convolve(frame, 0, 2, 1, [](const auto& kernel, auto... of) { kernel.images(of...); });
}

// g (n, h', w', k), W -> dx (n, h, w, c), memory of the size of W.
extern "C" XLA_FFI_Error* symfer_input_gradient(XLA_FFI_CallFrame* frame) {
  return convolve(frame, 2, 0, 1, [](const auto& kernel, auto... of) { kernel.input_gradient(of...); });
}

// x, g -> dW, memory.
extern "C" XLA_FFI_Error* symfer_filter_gradient(XLA_FFI_CallFrame* frame) {
  return convolve(frame, 0, 1, 2, [](const auto& kernel, auto... of) { kernel.filter_gradient(of...); });
}

// Floats of memory that `symfer_filter_gradient` needs for images x, gradients g and filters of these sizes.
extern "C" int64_t symfer_filter_gradient_memory(const int64_t* x, const int64_t* g, const int64_t* filters,
                                                 int64_t groups) {
  const Convolution s{x[0], x[1], x[2], x[3], g[1], g[2], g[3], filters[0], filters[1], 1, 1, 0, 0, groups};
  int64_t out = 0;
  by_group(s, [&](auto size) { out = Narrow<size>::memory(s); }, [&] { out = Direct::memory(s); });
  return out;
}

// The widest group that shares a vector with others.
extern "C" int64_t symfer_lanes() { return LANES; }
