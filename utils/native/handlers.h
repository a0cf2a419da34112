// What XLA hands to a kernel.
#pragma once
#include <cstring>

#include "xla/ffi/api/c_api.h"

namespace symfer {

static const XLA_FFI_Buffer& argument(XLA_FFI_CallFrame* frame, int k) {
  return *static_cast<XLA_FFI_Buffer*>(frame->args.args[k]);
}
static const XLA_FFI_Buffer& result(XLA_FFI_CallFrame* frame, int k) {
  return *static_cast<XLA_FFI_Buffer*>(frame->rets.rets[k]);
}
static float* floats(const XLA_FFI_Buffer& buffer) { return static_cast<float*>(buffer.data); }

// The product of all axes but the last ones.
[[maybe_unused]] static long leading(const XLA_FFI_Buffer& buffer, int last) {
  long n = 1;
  for (int64_t k = 0; k + last < buffer.rank; ++k) n *= buffer.dims[k];
  return n;
}

static int64_t attribute(XLA_FFI_CallFrame* frame, const char* name) {
  for (int64_t k = 0; k < frame->attrs.size; ++k)
    if (frame->attrs.names[k]->len == std::strlen(name) &&
        !std::memcmp(frame->attrs.names[k]->ptr, name, frame->attrs.names[k]->len))
      return *static_cast<int64_t*>(static_cast<XLA_FFI_Scalar*>(frame->attrs.attrs[k])->value);
  return 0;
}

[[maybe_unused]] static XLA_FFI_Error* refuse(XLA_FFI_CallFrame* frame, const char* message) {
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

}  // namespace symfer
