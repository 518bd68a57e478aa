// BatchNorm, one channel after another, so that its second and third reading of a channel come from the cache, and nothing is
// spread out to the size of the data: Caffe goes over memory about thirteen times forward, this three times in and twice out.
#include <cmath>

#include "layers.hpp"
#include "threads.hpp"
#include "vectors.hpp"

namespace pyhisto {
namespace {

// A channel: `images` rows of `size` numbers, `stride` apart.
struct Rows {
  int images, size;
  std::size_t stride;
};

template <typename Dtype>
PYHISTO_INLINE double sum(const Rows& rows, const Dtype* x) {
  double total = 0;
  for (int n = 0; n < rows.images; ++n, x += rows.stride) {
    Dtype lanes[LANES] = {};
    int i = 0;
    for (; i + LANES <= rows.size; i += LANES) {
      for (int lane = 0; lane < LANES; ++lane) lanes[lane] += x[i + lane];
    }
    for (; i < rows.size; ++i) lanes[i % LANES] += x[i];
    total += sum_of_lanes(lanes);
  }
  return total;
}

template <typename Dtype>
PYHISTO_INLINE double sum_of_squares(const Rows& rows, const Dtype* x, Dtype mean) {
  double total = 0;
  for (int n = 0; n < rows.images; ++n, x += rows.stride) {
    Dtype lanes[LANES] = {};
    int i = 0;
    for (; i + LANES <= rows.size; i += LANES) {
      for (int lane = 0; lane < LANES; ++lane) lanes[lane] += (x[i + lane] - mean) * (x[i + lane] - mean);
    }
    for (; i < rows.size; ++i) lanes[i % LANES] += (x[i] - mean) * (x[i] - mean);
    total += sum_of_lanes(lanes);
  }
  return total;
}

template <typename Dtype>
PYHISTO_INLINE void normalize(const Rows& rows, const Dtype* x, Dtype mean, Dtype deviation, Dtype* y, Dtype* copy) {
  for (int n = 0; n < rows.images; ++n, x += rows.stride, y += rows.stride) {
    if (copy) {
      for (int i = 0; i < rows.size; ++i) y[i] = copy[i] = (x[i] - mean) / deviation;
      copy += rows.stride;
    } else {
      for (int i = 0; i < rows.size; ++i) y[i] = (x[i] - mean) / deviation;
    }
  }
}

// dx = (dy - mean(dy) - mean(dy y) y) / deviation; `dx` may be `dy`.
template <typename Dtype>
PYHISTO_INLINE void normalize_diff(const Rows& rows, const Dtype* y, const Dtype* dy, Dtype deviation, Dtype* dx) {
  double sum_dy = 0, sum_dy_y = 0;
  for (int n = 0; n < rows.images; ++n) {
    const Dtype *a = dy + n * rows.stride, *b = y + n * rows.stride;
    Dtype lanes[LANES] = {}, product_lanes[LANES] = {};
    int i = 0;
    for (; i + LANES <= rows.size; i += LANES) {
      for (int lane = 0; lane < LANES; ++lane) {
        lanes[lane] += a[i + lane];
        product_lanes[lane] += a[i + lane] * b[i + lane];
      }
    }
    for (; i < rows.size; ++i) {
      lanes[i % LANES] += a[i];
      product_lanes[i % LANES] += a[i] * b[i];
    }
    sum_dy += sum_of_lanes(lanes);
    sum_dy_y += sum_of_lanes(product_lanes);
  }
  const double count = double(rows.images) * rows.size;
  const Dtype mean_dy = sum_dy / count, mean_dy_y = sum_dy_y / count;
  for (int n = 0; n < rows.images; ++n, y += rows.stride, dy += rows.stride, dx += rows.stride) {
    for (int i = 0; i < rows.size; ++i) dx[i] = (dy[i] - mean_dy - mean_dy_y * y[i]) / deviation;
  }
}

template <typename Dtype>
PYHISTO_INLINE void divide(const Rows& rows, const Dtype* dy, Dtype deviation, Dtype* dx) {
  for (int n = 0; n < rows.images; ++n, dy += rows.stride, dx += rows.stride) {
    for (int i = 0; i < rows.size; ++i) dx[i] = dy[i] / deviation;
  }
}

#define PYHISTO_BATCH_NORM(Dtype)                                                                                           \
  PYHISTO_VECTORS void moments(const Rows& rows, const Dtype* x, Dtype* mean, Dtype* variance) {                            \
    const double count = double(rows.images) * rows.size;                                                                   \
    *mean = sum(rows, x) / count;                                                                                           \
    *variance = sum_of_squares(rows, x, *mean) / count;                                                                     \
  }                                                                                                                         \
  PYHISTO_VECTORS void normalized(const Rows& rows, const Dtype* x, Dtype mean, Dtype deviation, Dtype* y, Dtype* copy) {   \
    normalize(rows, x, mean, deviation, y, copy);                                                                           \
  }                                                                                                                         \
  PYHISTO_VECTORS void normalized_diff(const Rows& rows, const Dtype* y, const Dtype* dy, Dtype deviation, Dtype* dx) {     \
    normalize_diff(rows, y, dy, deviation, dx);                                                                             \
  }                                                                                                                         \
  PYHISTO_VECTORS void divided(const Rows& rows, const Dtype* dy, Dtype deviation, Dtype* dx) {                             \
    divide(rows, dy, deviation, dx);                                                                                        \
  }

PYHISTO_BATCH_NORM(float)
PYHISTO_BATCH_NORM(double)
#undef PYHISTO_BATCH_NORM

template <typename Dtype>
Rows rows_of(const caffe::Blob<Dtype>& blob, int channels) {
  const int images = blob.shape(0), size = blob.count() / (images * channels);
  return {images, size, std::size_t(channels) * size};
}

}  // namespace

template <typename Dtype>
void BatchNormLayer<Dtype>::Forward_cpu(const Blobs<Dtype>& bottom, const Blobs<Dtype>& top) {
  const int channels = this->channels_;
  const Rows rows = rows_of(*bottom[0], channels);
  const Dtype* in = bottom[0]->cpu_data();
  Dtype* out = top[0]->mutable_cpu_data();
  Dtype* mean = this->mean_.mutable_cpu_data();
  Dtype* deviation = this->variance_.mutable_cpu_data();  // kept for the backward pass
  if (this->use_global_stats_) {
    const Dtype samples = this->blobs_[2]->cpu_data()[0], factor = samples == 0 ? 0 : 1 / samples;
    const Dtype *means = this->blobs_[0]->cpu_data(), *variances = this->blobs_[1]->cpu_data();
    for_ranges(channels, std::size_t(rows.images) * rows.size, [&](std::size_t begin, std::size_t end) {
      for (std::size_t c = begin; c < end; ++c) {
        mean[c] = factor * means[c];
        deviation[c] = std::sqrt(factor * variances[c] + this->eps_);
        normalized(rows, in + c * rows.size, mean[c], deviation[c], out + c * rows.size, static_cast<Dtype*>(nullptr));
      }
    });
    return;
  }
  Dtype* normal = this->x_norm_.mutable_cpu_data();
  const Dtype fraction = this->moving_average_fraction_;
  const int samples = rows.images * rows.size;
  const Dtype unbiased = samples > 1 ? Dtype(samples) / (samples - 1) : 1;
  Dtype *means = this->blobs_[0]->mutable_cpu_data(), *variances = this->blobs_[1]->mutable_cpu_data();
  Dtype& count = this->blobs_[2]->mutable_cpu_data()[0];
  count = count * fraction + 1;
  for_ranges(channels, std::size_t(rows.images) * rows.size * 3, [&](std::size_t begin, std::size_t end) {
    for (std::size_t c = begin; c < end; ++c) {
      Dtype variance;
      moments(rows, in + c * rows.size, &mean[c], &variance);
      means[c] = mean[c] + fraction * means[c];
      variances[c] = unbiased * variance + fraction * variances[c];
      deviation[c] = std::sqrt(variance + this->eps_);
      normalized(rows, in + c * rows.size, mean[c], deviation[c], out + c * rows.size, normal + c * rows.size);
    }
  });
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Backward_cpu(const Blobs<Dtype>& top, const std::vector<bool>& down, const Blobs<Dtype>& bottom) {
  const int channels = this->channels_;
  const Rows rows = rows_of(*bottom[0], channels);
  const Dtype* deviation = this->variance_.cpu_data();
  const Dtype* top_diff = top[0]->cpu_diff();
  Dtype* bottom_diff = bottom[0]->mutable_cpu_diff();
  const Dtype* normal = this->use_global_stats_ ? nullptr : this->x_norm_.cpu_data();
  for_ranges(channels, std::size_t(rows.images) * rows.size * 2, [&](std::size_t begin, std::size_t end) {
    for (std::size_t c = begin; c < end; ++c) {
      const std::size_t at = c * rows.size;
      if (normal) {
        normalized_diff(rows, normal + at, top_diff + at, deviation[c], bottom_diff + at);
      } else {
        divided(rows, top_diff + at, deviation[c], bottom_diff + at);
      }
    }
  });
}

template class BatchNormLayer<float>;
template class BatchNormLayer<double>;

}  // namespace pyhisto
