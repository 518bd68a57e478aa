// Caffe's layers with another way to compute on the CPU. Parameters, shapes, checks and the GPU's part are Caffe's own.
#ifndef PYHISTO_CPU_LAYERS_HPP_
#define PYHISTO_CPU_LAYERS_HPP_

#include <map>
#include <memory>
#include <type_traits>
#include <vector>

#include "caffe/layers/batch_norm_layer.hpp"
#include "caffe/layers/conv_layer.hpp"
#include "caffe/layers/pooling_layer.hpp"
#include "caffe/layers/relu_layer.hpp"
#include "caffe/layers/scale_layer.hpp"

namespace pyhisto {

template <typename Dtype>
using Blobs = std::vector<caffe::Blob<Dtype>*>;

#define PYHISTO_LAYER(Name)                                                                                     \
  template <typename Dtype>                                                                                     \
  class Name : public caffe::Name<Dtype> {                                                                      \
   public:                                                                                                      \
    using caffe::Name<Dtype>::Name;                                                                             \
                                                                                                                \
   protected:                                                                                                   \
    void Forward_cpu(const Blobs<Dtype>& bottom, const Blobs<Dtype>& top) override;                             \
    void Backward_cpu(const Blobs<Dtype>& top, const std::vector<bool>& down, const Blobs<Dtype>& bottom) override; \
  }

PYHISTO_LAYER(BatchNormLayer);
PYHISTO_LAYER(PoolingLayer);
PYHISTO_LAYER(ReLULayer);
PYHISTO_LAYER(ScaleLayer);

#undef PYHISTO_LAYER

struct ConvolutionShape;
class ConvolutionSteps;

class FloatConvolutionLayer : public caffe::ConvolutionLayer<float> {
 public:
  using caffe::ConvolutionLayer<float>::ConvolutionLayer;

 protected:
  void Forward_cpu(const Blobs<float>& bottom, const Blobs<float>& top) override;
  void Backward_cpu(const Blobs<float>& top, const std::vector<bool>& down, const Blobs<float>& bottom) override;

 private:
  ConvolutionShape shape(const Blobs<float>& bottom) const;
  ConvolutionSteps& steps(const ConvolutionShape& shape);
  bool left_to_caffe() const;
  void forget_old_steps();

  std::map<std::vector<long>, std::shared_ptr<ConvolutionSteps>> steps_;  // by the numbers of a shape
};

// oneDNN has no numbers of double precision.
template <typename Dtype>
using ConvolutionLayer = std::conditional_t<std::is_same<Dtype, float>::value, FloatConvolutionLayer, caffe::ConvolutionLayer<Dtype>>;

}  // namespace pyhisto

#endif  // PYHISTO_CPU_LAYERS_HPP_
