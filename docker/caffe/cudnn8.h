// cuDNN 7's choice of a convolution algorithm within a workspace limit, which cuDNN 8 dropped, for Caffe's
// cudnn_conv_layer.cpp and cudnn_deconv_layer.cpp: force-included, so that Caffe's tree stays as it is.
//
// cuDNN 8 has kept the _v7 calls, which return every algorithm, the fastest expected first. The fastest that works and
// whose workspace fits in the limit is what the old call gave.
//
// Arithmetic is that of the paper's cards, 32 bits throughout: left to itself, cuDNN 8 rounds the factors of a
// convolution to 10 bits of mantissa (TF32) on cards of compute capability 8.0 and later.
#ifndef PYHISTO_CUDNN8_H_
#define PYHISTO_CUDNN8_H_

#include <cudnn.h>

#include <cstddef>
#include <vector>

#if CUDNN_MAJOR != 8
#error "docker/caffe/cudnn8.h is for cuDNN 8: cuDNN 7 needs no such header, cuDNN 9 has no _v7 calls"
#endif

enum cudnnConvolutionFwdPreference_t { CUDNN_CONVOLUTION_FWD_SPECIFY_WORKSPACE_LIMIT };
enum cudnnConvolutionBwdFilterPreference_t { CUDNN_CONVOLUTION_BWD_FILTER_SPECIFY_WORKSPACE_LIMIT };
enum cudnnConvolutionBwdDataPreference_t { CUDNN_CONVOLUTION_BWD_DATA_SPECIFY_WORKSPACE_LIMIT };

namespace pyhisto {

// The first of the `found` results that works and whose workspace is at most `limit` bytes.
template <typename Result, typename Algorithm>
cudnnStatus_t first_that_fits(const std::vector<Result>& results, int found, std::size_t limit, Algorithm* algorithm) {
  for (int i = 0; i < found; ++i) {
    if (results[i].status == CUDNN_STATUS_SUCCESS && results[i].memory <= limit) {
      *algorithm = results[i].algo;
      return CUDNN_STATUS_SUCCESS;
    }
  }
  return CUDNN_STATUS_NOT_SUPPORTED;
}

// What the three calls below share. `count` is cuDNN's function for the number of algorithms; `list` calls a _v7
// function with room for so many results.
template <typename Result, typename Algorithm, typename Count, typename List>
cudnnStatus_t choose(cudnnHandle_t handle, cudnnConvolutionDescriptor_t convolution, std::size_t limit,
                     Algorithm* algorithm, Count count, List list) {
  cudnnStatus_t status = cudnnSetConvolutionMathType(convolution, CUDNN_FMA_MATH);
  if (status != CUDNN_STATUS_SUCCESS) return status;
  int room = 0;
  status = count(handle, &room);
  if (status != CUDNN_STATUS_SUCCESS) return status;
  std::vector<Result> results(room);
  int found = 0;
  status = list(room, &found, results.data());
  if (status != CUDNN_STATUS_SUCCESS) return status;
  return first_that_fits(results, found, limit, algorithm);
}

}  // namespace pyhisto

inline cudnnStatus_t cudnnGetConvolutionForwardAlgorithm(
    cudnnHandle_t handle, cudnnTensorDescriptor_t bottom, cudnnFilterDescriptor_t filter,
    cudnnConvolutionDescriptor_t convolution, cudnnTensorDescriptor_t top, cudnnConvolutionFwdPreference_t,
    std::size_t limit, cudnnConvolutionFwdAlgo_t* algorithm) {
  typedef cudnnConvolutionFwdAlgoPerf_t Result;
  return pyhisto::choose<Result>(
      handle, convolution, limit, algorithm, cudnnGetConvolutionForwardAlgorithmMaxCount,
      [&](int room, int* found, Result* results) {
        return cudnnGetConvolutionForwardAlgorithm_v7(handle, bottom, filter, convolution, top, room, found, results);
      });
}

inline cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm(
    cudnnHandle_t handle, cudnnTensorDescriptor_t bottom, cudnnTensorDescriptor_t top,
    cudnnConvolutionDescriptor_t convolution, cudnnFilterDescriptor_t filter, cudnnConvolutionBwdFilterPreference_t,
    std::size_t limit, cudnnConvolutionBwdFilterAlgo_t* algorithm) {
  typedef cudnnConvolutionBwdFilterAlgoPerf_t Result;
  return pyhisto::choose<Result>(
      handle, convolution, limit, algorithm, cudnnGetConvolutionBackwardFilterAlgorithmMaxCount,
      [&](int room, int* found, Result* results) {
        return cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, bottom, top, convolution, filter, room, found,
                                                             results);
      });
}

inline cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm(
    cudnnHandle_t handle, cudnnFilterDescriptor_t filter, cudnnTensorDescriptor_t top,
    cudnnConvolutionDescriptor_t convolution, cudnnTensorDescriptor_t bottom, cudnnConvolutionBwdDataPreference_t,
    std::size_t limit, cudnnConvolutionBwdDataAlgo_t* algorithm) {
  typedef cudnnConvolutionBwdDataAlgoPerf_t Result;
  return pyhisto::choose<Result>(
      handle, convolution, limit, algorithm, cudnnGetConvolutionBackwardDataAlgorithmMaxCount,
      [&](int room, int* found, Result* results) {
        return cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, filter, top, convolution, bottom, room, found,
                                                           results);
      });
}

#endif  // PYHISTO_CUDNN8_H_
