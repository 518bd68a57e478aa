// ReLU as Caffe computes it, to the bit, without a branch per element.
#include "layers.hpp"
#include "threads.hpp"
#include "vectors.hpp"

namespace pyhisto {
namespace {

template <typename Dtype>
PYHISTO_INLINE void forward(const Dtype* in, Dtype* out, std::size_t count, Dtype slope) {
  for (std::size_t i = 0; i < count; ++i) {
    const Dtype x = in[i];
    // Caffe's formula as it stands: what it makes of NaN, infinity and -0 stays.
    out[i] = (x < 0 ? Dtype(0) : x) + slope * (0 < x ? Dtype(0) : x);
  }
}

template <typename Dtype>
PYHISTO_INLINE void backward(const Dtype* in, const Dtype* top_diff, Dtype* bottom_diff, std::size_t count, Dtype slope) {
  for (std::size_t i = 0; i < count; ++i) {
    bottom_diff[i] = top_diff[i] * ((in[i] > 0 ? Dtype(1) : Dtype(0)) + slope * (in[i] <= 0 ? Dtype(1) : Dtype(0)));
  }
}

PYHISTO_VECTORS void relu(const float* in, float* out, std::size_t count, float slope) { forward(in, out, count, slope); }
PYHISTO_VECTORS void relu(const double* in, double* out, std::size_t count, double slope) { forward(in, out, count, slope); }
PYHISTO_VECTORS void relu_diff(const float* in, const float* top_diff, float* bottom_diff, std::size_t count, float slope) {
  backward(in, top_diff, bottom_diff, count, slope);
}
PYHISTO_VECTORS void relu_diff(const double* in, const double* top_diff, double* bottom_diff, std::size_t count, double slope) {
  backward(in, top_diff, bottom_diff, count, slope);
}

}  // namespace

template <typename Dtype>
void ReLULayer<Dtype>::Forward_cpu(const Blobs<Dtype>& bottom, const Blobs<Dtype>& top) {
  const Dtype* in = bottom[0]->cpu_data();
  Dtype* out = top[0]->mutable_cpu_data();
  const Dtype slope = this->layer_param_.relu_param().negative_slope();
  for_ranges(bottom[0]->count(), 1, [&](std::size_t begin, std::size_t end) {
    relu(in + begin, out + begin, end - begin, slope);
  });
}

template <typename Dtype>
void ReLULayer<Dtype>::Backward_cpu(const Blobs<Dtype>& top, const std::vector<bool>& down, const Blobs<Dtype>& bottom) {
  if (!down[0]) return;
  const Dtype* in = bottom[0]->cpu_data();
  const Dtype* top_diff = top[0]->cpu_diff();
  Dtype* bottom_diff = bottom[0]->mutable_cpu_diff();
  const Dtype slope = this->layer_param_.relu_param().negative_slope();
  for_ranges(bottom[0]->count(), 1, [&](std::size_t begin, std::size_t end) {
    relu_diff(in + begin, top_diff + begin, bottom_diff + begin, end - begin, slope);
  });
}

template class ReLULayer<float>;
template class ReLULayer<double>;

}  // namespace pyhisto
