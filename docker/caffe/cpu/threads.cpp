#include "threads.hpp"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

// OpenBLAS's own; absent if Caffe was linked with another BLAS.
extern "C" {
int openblas_get_num_threads(void) __attribute__((weak));
void openblas_set_num_threads(int) __attribute__((weak));
}

namespace pyhisto {
namespace {

// Threads that wait for parts. libgomp's would do, but hang in a process that was forked after their first use, as Python's
// multiprocessing does.
class Pool {
 public:
  void run(int parts, const std::function<void(int)>& part) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (workers_ < parts - 1) {
      std::thread([this] { work(); }).detach();
      ++workers_;
    }
    part_ = &part;
    next_ = 0;
    parts_ = unfinished_ = parts;
    wake_.notify_all();
    take_parts(lock);
    done_.wait(lock, [this] { return unfinished_ == 0; });
  }

 private:
  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return next_ < parts_; });
      take_parts(lock);
    }
  }

  void take_parts(std::unique_lock<std::mutex>& lock) {
    while (next_ < parts_) {
      const int index = next_++;
      const std::function<void(int)>& part = *part_;
      lock.unlock();
      part(index);
      lock.lock();
      if (--unfinished_ == 0) done_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int)>* part_ = nullptr;
  int workers_ = 0, next_ = 0, parts_ = 0, unfinished_ = 0;
};

// Never destroyed: its threads may wait still when the process ends. A forked child has no threads and gets a new one.
std::atomic<Pool*> pool(nullptr);
std::atomic<bool> busy(false);
std::atomic<int> threads_outside(1);  // what thread_count said before the BLAS was set to one thread

void forget_pool() {
  pool = nullptr;
  busy = false;
}

const int fork_handler = pthread_atfork(nullptr, nullptr, forget_pool);

}  // namespace

int thread_count() {
  if (!busy) {
    threads_outside = openblas_get_num_threads ? std::max(1, openblas_get_num_threads())
                                               : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  }
  return threads_outside;
}

void run_parts(int parts, const std::function<void(int)>& part) {
  const int threads = thread_count();
  if (parts == 1 || threads == 1 || busy.exchange(true)) {
    for (int index = 0; index < parts; ++index) part(index);
    return;
  }
  if (!pool) pool = new Pool;
  if (openblas_set_num_threads) openblas_set_num_threads(1);
  pool.load()->run(parts, part);
  if (openblas_set_num_threads) openblas_set_num_threads(threads);
  busy = false;
}

}  // namespace pyhisto
