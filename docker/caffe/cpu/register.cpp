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

template <typename Dtype>
void replace() {
  auto& creators = caffe::LayerRegistry<Dtype>::Registry();
  stock_creators<Dtype>() = creators;
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
