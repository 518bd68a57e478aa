// Scale with its bias in one pass over memory, forward and backward; forward as Caffe, but for the sign of a zero.
#include <algorithm>

#include "layers.hpp"
#include "threads.hpp"
#include "vectors.hpp"

namespace pyhisto {
namespace {

template <typename Dtype>
PYHISTO_INLINE void forward(const Dtype* x, int count, Dtype factor, const Dtype* bias, Dtype* y, Dtype* copy) {
  if (copy) std::copy(x, x + count, copy);
  if (bias) {
    const Dtype shift = *bias;
    for (int i = 0; i < count; ++i) y[i] = x[i] * factor + shift;
  } else {
    for (int i = 0; i < count; ++i) y[i] = x[i] * factor;
  }
}

// Adds to `sum` and `sum_product` the sums of dy and dy x; dx = dy factor, in place or not, unless dx is null.
template <typename Dtype>
PYHISTO_INLINE void backward(const Dtype* x, const Dtype* dy, int count, Dtype factor, Dtype* dx, double* sum, double* sum_product) {
  Dtype lanes[LANES] = {}, product_lanes[LANES] = {};
  int i = 0;
  for (; i + LANES <= count; i += LANES) {
    for (int lane = 0; lane < LANES; ++lane) {
      lanes[lane] += dy[i + lane];
      product_lanes[lane] += dy[i + lane] * x[i + lane];
    }
  }
  for (; i < count; ++i) {
    lanes[i % LANES] += dy[i];
    product_lanes[i % LANES] += dy[i] * x[i];
  }
  *sum += sum_of_lanes(lanes);
  *sum_product += sum_of_lanes(product_lanes);
  if (!dx) return;
  for (int j = 0; j < count; ++j) dx[j] = dy[j] * factor;
}

#define PYHISTO_SCALE(Dtype)                                                                                                \
  PYHISTO_VECTORS void scaled(const Dtype* x, int count, Dtype factor, const Dtype* bias, Dtype* y, Dtype* copy) {          \
    forward(x, count, factor, bias, y, copy);                                                                               \
  }                                                                                                                         \
  PYHISTO_VECTORS void scaled_diff(const Dtype* x, const Dtype* dy, int count, Dtype factor, Dtype* dx, double* sum,        \
                                   double* sum_product) {                                                                   \
    backward(x, dy, count, factor, dx, sum, sum_product);                                                                   \
  }

PYHISTO_SCALE(float)
PYHISTO_SCALE(double)
#undef PYHISTO_SCALE

}  // namespace

template <typename Dtype>
void ScaleLayer<Dtype>::Forward_cpu(const Blobs<Dtype>& bottom, const Blobs<Dtype>& top) {
  const Dtype* in = bottom[0]->cpu_data();
  const Dtype* factors = (bottom.size() > 1 ? bottom[1] : this->blobs_[0].get())->cpu_data();
  const Dtype* biases = this->bias_layer_ ? this->blobs_[this->bias_param_id_]->cpu_data() : nullptr;
  Dtype* copy = bottom[0] == top[0] ? this->temp_.mutable_cpu_data() : nullptr;  // the backward pass needs what is overwritten
  Dtype* out = top[0]->mutable_cpu_data();
  const std::size_t size = this->inner_dim_, factor_count = this->scale_dim_;
  for_ranges(this->outer_dim_ * factor_count, size, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t d = i % factor_count;
      scaled(in + i * size, size, factors[d], biases ? biases + d : nullptr, out + i * size, copy ? copy + i * size : nullptr);
    }
  });
}

template <typename Dtype>
void ScaleLayer<Dtype>::Backward_cpu(const Blobs<Dtype>& top, const std::vector<bool>& down, const Blobs<Dtype>& bottom) {
  const bool learned = bottom.size() == 1;
  // Without a run of numbers that share a factor there is nothing to gain.
  if (this->inner_dim_ < LANES || this->scale_dim_ == 1) {
    caffe::ScaleLayer<Dtype>::Backward_cpu(top, down, bottom);
    return;
  }
  caffe::Blob<Dtype>* scale = learned ? this->blobs_[0].get() : bottom[1];
  const bool want_scale = learned ? this->param_propagate_down_[0] : down[1];
  const bool want_bias = this->bias_layer_ && this->param_propagate_down_[this->param_propagate_down_.size() - 1];
  const bool in_place = bottom[0] == top[0];
  const Dtype* in = (in_place ? &this->temp_ : bottom[0])->cpu_data();
  const Dtype* top_diff = top[0]->cpu_diff();
  const Dtype* factors = scale->cpu_data();
  Dtype* bottom_diff = down[0] ? bottom[0]->mutable_cpu_diff() : nullptr;
  Dtype* scale_diff = want_scale ? scale->mutable_cpu_diff() : nullptr;
  Dtype* bias_diff = want_bias ? this->blobs_[this->bias_param_id_]->mutable_cpu_diff() : nullptr;
  const std::size_t size = this->inner_dim_, factor_count = this->scale_dim_, images = this->outer_dim_;
  // As Caffe: a learned factor's gradient is added to what is there, except if no axis comes before its own.
  const bool add = learned && images != 1;
  for_ranges(factor_count, images * size * 2, [&](std::size_t begin, std::size_t end) {
    for (std::size_t d = begin; d < end; ++d) {
      double sum = 0, sum_product = 0;
      for (std::size_t n = 0; n < images; ++n) {
        const std::size_t at = (n * factor_count + d) * size;
        scaled_diff(in + at, top_diff + at, size, factors[d], bottom_diff ? bottom_diff + at : nullptr, &sum, &sum_product);
      }
      if (scale_diff) scale_diff[d] = (add ? scale_diff[d] : Dtype(0)) + Dtype(sum_product);
      if (bias_diff) bias_diff[d] += Dtype(sum);
    }
  });
}

template class ScaleLayer<float>;
template class ScaleLayer<double>;

}  // namespace pyhisto
