// Work shared among threads, alike for every layer.
#ifndef PYHISTO_CPU_THREADS_HPP_
#define PYHISTO_CPU_THREADS_HPP_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

namespace pyhisto {

// As many as the BLAS uses: OPENBLAS_NUM_THREADS, else OMP_NUM_THREADS, else the machine's cores.
int thread_count();

// Calls part(0) .. part(parts - 1), each once, shared among the threads; returns when all are done. Which thread runs which
// part is not fixed, what a part computes is: the same number of parts gives the same bytes. The BLAS has one thread
// meanwhile. Inside another call, or while another thread is in one, the parts run one after another.
void run_parts(int parts, const std::function<void(int)>& part);

// The bounds of part `index` when `count` things are shared among `parts`.
inline std::size_t bound(std::size_t count, int parts, int index) { return count * index / parts; }

// Into how many parts `count` things are best shared: one a thread, but what is too little to be worth a second thread stays
// together. `cost`: about how many numbers one thing touches.
inline int parts_worth(std::size_t count, std::size_t cost) {
  const std::size_t worth = std::max<std::size_t>(1, count * cost / 32768);
  return static_cast<int>(std::min<std::size_t>({static_cast<std::size_t>(thread_count()), worth, std::max<std::size_t>(1, count)}));
}

// Calls body(begin, end) for ranges that together are [0, count), in parts_worth(count, cost) parts. Only for things that do
// not depend on one another.
template <typename Body>
void for_ranges(std::size_t count, std::size_t cost, const Body& body) {
  const int parts = parts_worth(count, cost);
  if (parts == 1) {
    body(std::size_t(0), count);
    return;
  }
  run_parts(parts, [&](int part) { body(bound(count, parts, part), bound(count, parts, part + 1)); });
}

// Memory of a thread's own, kept from layer to layer.
template <typename Dtype>
Dtype* workspace(std::size_t count) {
  thread_local std::vector<Dtype> memory;
  if (memory.size() < count) memory.resize(count);
  return memory.data();
}

}  // namespace pyhisto

#endif  // PYHISTO_CPU_THREADS_HPP_
