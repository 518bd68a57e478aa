// Included before Caffe's own tests of these layers, which make them by name: the names are ours then.
#include "caffe/layer_factory.hpp"
#include "layers.hpp"

#define BatchNormLayer ::pyhisto::BatchNormLayer
#define ConvolutionLayer ::pyhisto::ConvolutionLayer
#define PoolingLayer ::pyhisto::PoolingLayer
#define ReLULayer ::pyhisto::ReLULayer
#define ScaleLayer ::pyhisto::ScaleLayer
