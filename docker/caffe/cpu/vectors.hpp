// Loops that the compiler makes vector code of, for every width of vector that a processor may have.
#ifndef PYHISTO_CPU_VECTORS_HPP_
#define PYHISTO_CPU_VECTORS_HPP_

#include <cstddef>

// A function so marked is compiled once for each of these, and the loader takes the best that the processor has. What it calls
// must be PYHISTO_INLINE, so that it is compiled along. Elsewhere than on x86-64 the compiler's baseline has vectors already.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define PYHISTO_VECTORS __attribute__((target_clones("default", "arch=haswell", "arch=skylake-avx512")))
#else
#define PYHISTO_VECTORS
#endif
#define PYHISTO_INLINE inline __attribute__((always_inline))

namespace pyhisto {

// Sums are made in as many lanes, whatever the processor's width: the same numbers on every one.
constexpr int LANES = 16;

template <typename Dtype>
PYHISTO_INLINE double sum_of_lanes(const Dtype* lanes) {
  double sum = 0;
  for (int i = 0; i < LANES; ++i) sum += lanes[i];
  return sum;
}

}  // namespace pyhisto

#endif  // PYHISTO_CPU_VECTORS_HPP_
