// Puts these layers in the place of Caffe's when the library is loaded: the registry's own interface, nothing else.
#include <cstdlib>
#include <string>

#include "caffe/layer_factory.hpp"
#include "layers.hpp"

namespace pyhisto {
namespace {

template <typename Dtype>
using Layer = boost::shared_ptr<caffe::Layer<Dtype>>;

template <typename Dtype>
typename caffe::LayerRegistry<Dtype>::CreatorRegistry& stock_creators() {
  static typename caffe::LayerRegistry<Dtype>::CreatorRegistry creators;
  return creators;
}

// In GPU mode, and if a network names the GPU's library, what Caffe itself makes.
template <typename Dtype, template <typename> class Ours>
Layer<Dtype> create(const caffe::LayerParameter& parameter) {
  const bool cudnn = parameter.convolution_param().engine() == caffe::ConvolutionParameter::CUDNN ||
                     parameter.pooling_param().engine() == caffe::PoolingParameter::CUDNN ||
                     parameter.relu_param().engine() == caffe::ReLUParameter::CUDNN;
  if (caffe::Caffe::mode() == caffe::Caffe::GPU || cudnn) return stock_creators<Dtype>()[parameter.type()](parameter);
  LOG_FIRST_N(INFO, 1) << "libpyhisto_cpu computes Convolution, Pooling, ReLU, BatchNorm and Scale on the CPU";
  return Layer<Dtype>(new Ours<Dtype>(parameter));
}

#ifndef CPU_ONLY
// A Caffe that was built with cuDNN makes cuDNN's layers in CPU mode too, which want a card as soon as they are set up. In CPU
// mode a layer whose engine is left to Caffe is Caffe's own, so that such a Caffe runs on machines without a card.
template <typename Dtype>
Layer<Dtype> create_without_cudnn(const caffe::LayerParameter& parameter) {
  caffe::LayerParameter own(parameter);
  if (caffe::Caffe::mode() == caffe::Caffe::CPU) {
    const std::string& type = parameter.type();
#define PYHISTO_OWN_ENGINE(Type, field, Parameter)                                              \
  if (type == Type && parameter.field().engine() == caffe::Parameter::DEFAULT) {                \
    own.mutable_##field()->set_engine(caffe::Parameter::CAFFE);                                 \
  }
    PYHISTO_OWN_ENGINE("Deconvolution", convolution_param, ConvolutionParameter)
    PYHISTO_OWN_ENGINE("LRN", lrn_param, LRNParameter)
    PYHISTO_OWN_ENGINE("Sigmoid", sigmoid_param, SigmoidParameter)
    PYHISTO_OWN_ENGINE("Softmax", softmax_param, SoftmaxParameter)
    PYHISTO_OWN_ENGINE("TanH", tanh_param, TanHParameter)
#undef PYHISTO_OWN_ENGINE
  }
  return stock_creators<Dtype>()[parameter.type()](own);
}
#endif

template <typename Dtype>
void replace() {
  auto& creators = caffe::LayerRegistry<Dtype>::Registry();
  stock_creators<Dtype>() = creators;
#ifndef CPU_ONLY
  for (const char* type : {"Deconvolution", "LRN", "Sigmoid", "Softmax", "TanH"}) {
    if (creators.count(type)) creators[type] = create_without_cudnn<Dtype>;
  }
#endif
  creators["BatchNorm"] = create<Dtype, BatchNormLayer>;
  creators["Convolution"] = create<Dtype, ConvolutionLayer>;
  creators["Pooling"] = create<Dtype, PoolingLayer>;
  creators["ReLU"] = create<Dtype, ReLULayer>;
  creators["Scale"] = create<Dtype, ScaleLayer>;
}

// `caffe` gets the library by LD_PRELOAD, as its first; what it starts itself shall not.
void keep_from_children() {
  const char* preloaded = std::getenv("LD_PRELOAD");
  if (!preloaded) return;
  const std::string all = preloaded, first = all.substr(0, all.find(':')), name = "libpyhisto_cpu.so";
  if (first.size() < name.size() || first.compare(first.size() - name.size(), name.size(), name) != 0) return;
  if (first.size() == all.size()) {
    unsetenv("LD_PRELOAD");
  } else {
    setenv("LD_PRELOAD", all.c_str() + first.size() + 1, 1);
  }
}

__attribute__((constructor)) void on_load() {
  keep_from_children();
  const char* stock = std::getenv("PYHISTO_STOCK_CAFFE");
  if (stock && std::string(stock) != "" && std::string(stock) != "0") return;
  replace<float>();
  replace<double>();
}

}  // namespace
}  // namespace pyhisto
