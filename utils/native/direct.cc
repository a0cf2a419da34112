#include "direct.h"

namespace symfer {

template <class F>
static void with_type(const Convolution&, const F& f) {
  f(static_cast<Direct*>(nullptr));
}

}  // namespace symfer

#include "convolution.h"

// a (n, d), b (d, k) -> their product (n, k).
extern "C" XLA_FFI_Error* product(XLA_FFI_CallFrame* frame) {
  using namespace symfer;
  if (is_question(frame)) return nullptr;
  const XLA_FFI_Buffer &a = argument(frame, 0), &b = argument(frame, 1);
  const long n = a.dims[0], d = b.dims[0], k = b.dims[1];
  Threads threads(frame);
  product(threads, {floats(a), d}, {floats(b), k}, floats(result(frame, 0)), k, n, d, k, false);
  return nullptr;
}
