// Caffe's internal_thread.cpp asks which card is set, in CPU mode too. Force-included: where there is no card or no driver,
// that is no error there, so that a GPU build reads data and trains on the CPU. What wants a card still complains itself.
#ifndef PYHISTO_NO_CARD_H_
#define PYHISTO_NO_CARD_H_

#include "caffe/common.hpp"

#undef CUDA_CHECK
#define CUDA_CHECK(call)                                                                  \
  do {                                                                                    \
    cudaError_t error = call;                                                             \
    if (error != cudaErrorNoDevice && error != cudaErrorInsufficientDriver) {             \
      CHECK_EQ(error, cudaSuccess) << " " << cudaGetErrorString(error);                   \
    }                                                                                     \
  } while (0)

#endif  // PYHISTO_NO_CARD_H_
