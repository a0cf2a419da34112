// Work in blocks on XLA's own threads.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <thread>

#include "xla/ffi/api/c_api.h"

namespace symfer {

class Threads {
 public:
  explicit Threads(XLA_FFI_CallFrame* frame) : api_(frame->api), context_(frame->ctx) {
    int64_t n = 1;
    XLA_FFI_ThreadPool_NumThreads_Args args{XLA_FFI_ThreadPool_NumThreads_Args_STRUCT_SIZE, nullptr, context_, &n};
    if (failed(api_->XLA_FFI_ThreadPool_NumThreads(&args))) n = 1;
    n_ = n;
  }

  long count() const { return n_; }

  // How many of n things a block should have, at most `most`, so that all threads have about the same to do.
  long share(long n, long most) const {
    const long blocks = ((n + most - 1) / most + n_ - 1) / n_ * n_;
    return std::min(most, ((n + blocks - 1) / blocks + 3) / 4 * 4);
  }

  // f(k) for k = 0 ... n - 1, each once, in any order, on any thread; over when all are.
  //
  // The calling thread works too, and waits only for blocks that another has begun: nothing depends on whether, or
  // when, the pool runs what it is given.
  template <class F>
  void each(long n, const F& f) {
    if (n_ <= 1 || n <= 1) {
      for (long k = 0; k < n; ++k) f(k);
      return;
    }
    auto work = std::make_shared<Work>();
    work->n = n;
    work->context = &f;
    work->call = [](const void* g, long k) { (*static_cast<const F*>(g))(k); };
    for (long t = 1; t < std::min<long>(n_, n); ++t) {
      auto* held = new std::shared_ptr<Work>(work);
      XLA_FFI_ThreadPool_Schedule_Args args{XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE, nullptr, context_, help, held};
      if (failed(api_->XLA_FFI_ThreadPool_Schedule(&args))) delete held;
    }
    work->run();
    while (work->done.load(std::memory_order_acquire) < n) std::this_thread::yield();
  }

  // The same, with at most `some` following ones after another on one thread, which read the same memory.
  template <class F>
  void each_in_order(long n, long some, const F& f) {
    some = std::max<long>(1, std::min(some, n / (4 * n_)));
    each((n + some - 1) / some, [&](long block) {
      for (long k = block * some; k < std::min(n, (block + 1) * some); ++k) f(k);
    });
  }

 private:
  struct Work {
    std::atomic<long> next{0}, done{0};
    long n;
    const void* context;
    void (*call)(const void*, long);
    void run() {
      for (long k; (k = next.fetch_add(1)) < n; done.fetch_add(1, std::memory_order_release)) call(context, k);
    }
  };

  static void help(void* data) {
    auto* work = static_cast<std::shared_ptr<Work>*>(data);
    (*work)->run();
    delete work;
  }

  bool failed(XLA_FFI_Error* error) const {
    if (!error) return false;
    XLA_FFI_Error_Destroy_Args args{XLA_FFI_Error_Destroy_Args_STRUCT_SIZE, nullptr, error};
    api_->XLA_FFI_Error_Destroy(&args);
    return true;
  }

  const XLA_FFI_Api* api_;
  XLA_FFI_ExecutionContext* context_;
  int64_t n_;
};

// Memory of a thread that stays for its next block.
static inline float* scratch(size_t floats) {
  struct Memory {
    float* at = nullptr;
    size_t size = 0;
    ~Memory() { std::free(at); }
  };
  thread_local Memory memory;
  if (memory.size < floats) {
    std::free(memory.at);
    memory.at = static_cast<float*>(std::aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64));
    memory.size = memory.at ? floats : 0;
  }
  return memory.at;
}

}  // namespace symfer
