// In CPU mode, a layer whose network names no engine is Caffe's own. With cuDNN built in, Caffe would make it cuDNN's, which
// computes on the CPU all the same, but wants a card as soon as it is made: nothing would run on a machine without one.
// Part of libcaffe's GPU build, after every file that registers layers.
#include "caffe/layer_factory.hpp"
#include "caffe/layers/conv_layer.hpp"
#include "caffe/layers/deconv_layer.hpp"
#include "caffe/layers/lrn_layer.hpp"
#include "caffe/layers/pooling_layer.hpp"
#include "caffe/layers/relu_layer.hpp"
#include "caffe/layers/sigmoid_layer.hpp"
#include "caffe/layers/softmax_layer.hpp"
#include "caffe/layers/tanh_layer.hpp"

namespace {

using caffe::LayerParameter;

template <typename Dtype>
typename caffe::LayerRegistry<Dtype>::CreatorRegistry& stock_creators() {
  static typename caffe::LayerRegistry<Dtype>::CreatorRegistry creators;
  return creators;
}

template <typename Dtype, template <typename> class Own, typename Settings, const Settings& (LayerParameter::*settings)() const>
caffe::shared_ptr<caffe::Layer<Dtype>> create(const LayerParameter& layer) {
  if (caffe::Caffe::mode() == caffe::Caffe::CPU && (layer.*settings)().engine() == Settings::DEFAULT) {
    return caffe::shared_ptr<caffe::Layer<Dtype>>(new Own<Dtype>(layer));
  }
  return stock_creators<Dtype>()[layer.type()](layer);
}

template <typename Dtype>
void replace() {
  using namespace caffe;
  auto& creators = LayerRegistry<Dtype>::Registry();
  stock_creators<Dtype>() = creators;
  creators["Convolution"] = create<Dtype, ConvolutionLayer, ConvolutionParameter, &LayerParameter::convolution_param>;
  creators["Deconvolution"] = create<Dtype, DeconvolutionLayer, ConvolutionParameter, &LayerParameter::convolution_param>;
  creators["LRN"] = create<Dtype, LRNLayer, LRNParameter, &LayerParameter::lrn_param>;
  creators["Pooling"] = create<Dtype, PoolingLayer, PoolingParameter, &LayerParameter::pooling_param>;
  creators["ReLU"] = create<Dtype, ReLULayer, ReLUParameter, &LayerParameter::relu_param>;
  creators["Sigmoid"] = create<Dtype, SigmoidLayer, SigmoidParameter, &LayerParameter::sigmoid_param>;
  creators["Softmax"] = create<Dtype, SoftmaxLayer, SoftmaxParameter, &LayerParameter::softmax_param>;
  creators["TanH"] = create<Dtype, TanHLayer, TanHParameter, &LayerParameter::tanh_param>;
}

__attribute__((constructor)) void on_load() {
  replace<float>();
  replace<double>();
}

}  // namespace
