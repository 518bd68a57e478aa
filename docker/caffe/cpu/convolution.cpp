// Convolution of two spatial axes by matrix products, as Caffe does it, but image by image in parallel, and few rows of outputs
// at a time, so that the columns of im2col stay in the cache; they are never written out for a whole image.
#include <cstring>

#include "caffe/util/math_functions.hpp"
#include "layers.hpp"
#include "product.hpp"
#include "threads.hpp"
#include "vectors.hpp"
#include "winograd.hpp"

namespace pyhisto {

struct ConvolutionShape {
  int images, groups;
  int in_channels, out_channels;  // of one group
  int height, width, out_height, out_width;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;

  int in_size() const { return height * width; }
  int out_size() const { return out_height * out_width; }
  int depth() const { return in_channels * kernel_h * kernel_w; }
  bool columns_are_input() const {
    return kernel_h == 1 && kernel_w == 1 && stride_h == 1 && stride_w == 1 && pad_h == 0 && pad_w == 0;
  }
  // By Winograd's products: if there are channels and tiles enough for the transformations to pay.
  bool by_winograd() const {
    return groups == 1 && kernel_h == 3 && kernel_w == 3 && stride_h == 1 && stride_w == 1 && dilation_h == 1 && dilation_w == 1 &&
           pad_h == pad_w && pad_h <= 2 && in_channels >= 16 && out_channels >= 16 && images * out_size() >= 500;
  }
  winograd::Shape winograd_shape() const { return {in_channels, out_channels, height, width, out_height, out_width, pad_h}; }
  // The outputs of a row whose kernel's column `kw` lies inside the image: [first, end).
  int first_output(int kw) const {
    const int before = pad_w - kw * dilation_w;
    return before <= 0 ? 0 : std::min((before + stride_w - 1) / stride_w, out_width);
  }
  int end_output(int kw) const {
    const int room = width - 1 + pad_w - kw * dilation_w;
    return room < 0 ? 0 : std::min(room / stride_w + 1, out_width);
  }
  // Rows of outputs at a time: columns of about a megabyte, half of a core's cache.
  template <typename Dtype>
  int rows_at_once() const {
    if (columns_are_input()) return out_height;
    const long long row = (long long)(depth()) * out_width * sizeof(Dtype);
    const int rows = static_cast<int>(std::max(1LL, (1LL << 20) / row));
    return rows >= out_height ? out_height : rows;
  }
};

using Shape = ConvolutionShape;

namespace {

// The part of im2col that belongs to the rows [begin, end) of outputs: depth() rows of (end - begin) * out_width.
template <typename Dtype>
void rows_to_columns(const Shape& s, const Dtype* in, int begin, int end, Dtype* columns) {
  for (int c = 0; c < s.in_channels; ++c, in += s.in_size()) {
    for (int kh = 0; kh < s.kernel_h; ++kh) {
      for (int kw = 0; kw < s.kernel_w; ++kw) {
        const int first = s.first_output(kw), last = std::max(first, s.end_output(kw));
        for (int row = begin; row < end; ++row, columns += s.out_width) {
          const int h = row * s.stride_h - s.pad_h + kh * s.dilation_h;
          if (h < 0 || h >= s.height) {
            std::memset(columns, 0, sizeof(Dtype) * s.out_width);
            continue;
          }
          const Dtype* line = in + h * s.width - s.pad_w + kw * s.dilation_w;
          for (int i = 0; i < first; ++i) columns[i] = 0;
          if (s.stride_w == 1) {
            std::memcpy(columns + first, line + first, sizeof(Dtype) * (last - first));
          } else {
            for (int i = first; i < last; ++i) columns[i] = line[i * s.stride_w];
          }
          for (int i = last; i < s.out_width; ++i) columns[i] = 0;
        }
      }
    }
  }
}

// Its reverse: adds to `in`.
template <typename Dtype>
void add_columns_to_rows(const Shape& s, const Dtype* columns, int begin, int end, Dtype* in) {
  for (int c = 0; c < s.in_channels; ++c, in += s.in_size()) {
    for (int kh = 0; kh < s.kernel_h; ++kh) {
      for (int kw = 0; kw < s.kernel_w; ++kw) {
        const int first = s.first_output(kw), last = s.end_output(kw);
        for (int row = begin; row < end; ++row, columns += s.out_width) {
          const int h = row * s.stride_h - s.pad_h + kh * s.dilation_h;
          if (h < 0 || h >= s.height) continue;
          Dtype* line = in + h * s.width - s.pad_w + kw * s.dilation_w;
          if (s.stride_w == 1) {
            for (int i = first; i < last; ++i) line[i] += columns[i];
          } else {
            for (int i = first; i < last; ++i) line[i * s.stride_w] += columns[i];
          }
        }
      }
    }
  }
}

// One image and group: out = weights * columns + bias.
template <typename Dtype>
void forward(const Shape& s, const Dtype* in, const Dtype* weights, const Dtype* bias, Dtype* out) {
  const int at_once = s.rows_at_once<Dtype>(), depth = s.depth();
  for (int row = 0; row < s.out_height; row += at_once) {
    const int rows = std::min(at_once, s.out_height - row), size = rows * s.out_width;
    const Dtype* columns = in;
    if (!s.columns_are_input()) {
      Dtype* made = workspace<Dtype>(std::size_t(depth) * size);
      rows_to_columns(s, in, row, row + rows, made);
      columns = made;
    }
    Dtype* part = out + row * s.out_width;
    product(false, false, s.out_channels, size, depth, weights, depth, columns, size, 0, part, s.out_size());
    if (!bias) continue;
    for (int c = 0; c < s.out_channels; ++c) {
      for (int i = 0; i < size; ++i) part[c * s.out_size() + i] += bias[c];
    }
  }
}

// One image and group: adds the weights' gradient to weight_diff, unless null; writes the input's to in_diff, unless null.
template <typename Dtype>
void backward(const Shape& s, const Dtype* in, const Dtype* weights, const Dtype* out_diff, Dtype* weight_diff, Dtype* in_diff) {
  const int at_once = s.rows_at_once<Dtype>(), depth = s.depth();
  const bool direct = s.columns_are_input();
  if (in_diff && !direct) std::memset(in_diff, 0, sizeof(Dtype) * s.in_channels * s.in_size());
  for (int row = 0; row < s.out_height; row += at_once) {
    const int rows = std::min(at_once, s.out_height - row), size = rows * s.out_width;
    const Dtype* part = out_diff + row * s.out_width;
    Dtype* made = direct ? nullptr : workspace<Dtype>(std::size_t(depth) * size);
    if (weight_diff) {
      if (!direct) rows_to_columns(s, in, row, row + rows, made);
      product(false, true, s.out_channels, depth, size, part, s.out_size(), direct ? in : made, size, 1, weight_diff, depth);
    }
    if (in_diff) {
      product(true, false, depth, size, s.out_channels, weights, depth, part, s.out_size(), 0, direct ? in_diff : made, size);
      if (!direct) add_columns_to_rows(s, made, row, row + rows, in_diff);
    }
  }
}

template <typename Dtype>
PYHISTO_INLINE void add_row_sums(const Dtype* x, int images, int size, std::size_t stride, Dtype* sum) {
  for (int n = 0; n < images; ++n, x += stride) {
    Dtype lanes[LANES] = {};
    int i = 0;
    for (; i + LANES <= size; i += LANES) {
      for (int lane = 0; lane < LANES; ++lane) lanes[lane] += x[i + lane];
    }
    for (; i < size; ++i) lanes[i % LANES] += x[i];
    *sum += static_cast<Dtype>(sum_of_lanes(lanes));
  }
}

template <typename Dtype>
PYHISTO_INLINE void add_all(const Dtype* x, std::size_t count, Dtype* y) {
  for (std::size_t i = 0; i < count; ++i) y[i] += x[i];
}

PYHISTO_VECTORS void add_sums(const float* x, int images, int size, std::size_t stride, float* sum) { add_row_sums(x, images, size, stride, sum); }
PYHISTO_VECTORS void add_sums(const double* x, int images, int size, std::size_t stride, double* sum) { add_row_sums(x, images, size, stride, sum); }
PYHISTO_VECTORS void add(const float* x, std::size_t count, float* y) { add_all(x, count, y); }
PYHISTO_VECTORS void add(const double* x, std::size_t count, double* y) { add_all(x, count, y); }

}  // namespace

// What Caffe's own layer shall do: other numbers of axes, and what somebody wants computed in that way.
template <typename Dtype>
static bool left_to_caffe(const caffe::LayerParameter& parameter, int spatial_axes) {
  return spatial_axes != 2 || parameter.convolution_param().force_nd_im2col();
}

template <typename Dtype>
Shape ConvolutionLayer<Dtype>::shape(const Blobs<Dtype>& bottom, const Blobs<Dtype>& top) {
  const int h = this->channel_axis_ + 1, w = h + 1;
  const int *kernel = this->kernel_shape_.cpu_data(), *stride = this->stride_.cpu_data();
  const int *pad = this->pad_.cpu_data(), *dilation = this->dilation_.cpu_data();
  return {this->num_,         this->group_,       this->channels_ / this->group_, this->num_output_ / this->group_,
          bottom[0]->shape(h), bottom[0]->shape(w), top[0]->shape(h),              top[0]->shape(w),
          kernel[0],          kernel[1],          stride[0],                      stride[1],
          pad[0],             pad[1],             dilation[0],                    dilation[1]};
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Forward_cpu(const Blobs<Dtype>& bottom, const Blobs<Dtype>& top) {
  if (left_to_caffe<Dtype>(this->layer_param_, this->num_spatial_axes_)) {
    caffe::ConvolutionLayer<Dtype>::Forward_cpu(bottom, top);
    return;
  }
  const Shape s = shape(bottom, top);
  const Dtype* weights = this->blobs_[0]->cpu_data();
  const Dtype* bias = this->bias_term_ ? this->blobs_[1]->cpu_data() : nullptr;
  const std::size_t in_step = std::size_t(s.in_channels) * s.in_size(), out_step = std::size_t(s.out_channels) * s.out_size();
  const std::size_t weight_step = std::size_t(s.out_channels) * s.depth();
  const winograd::Shape tiled = s.winograd_shape();
  std::vector<Dtype> transformed(s.by_winograd() ? tiled.weight_room() : 0);
  if (s.by_winograd()) winograd::transform_weights(tiled, weights, false, transformed.data());
  for (std::size_t b = 0; b < bottom.size(); ++b) {
    const Dtype* in = bottom[b]->cpu_data();
    Dtype* out = top[b]->mutable_cpu_data();
    for_ranges(std::size_t(s.images) * s.groups, weight_step * s.out_size(), [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        if (s.by_winograd()) {
          winograd::convolve(tiled, in + i * in_step, transformed.data(), bias, out + i * out_step);
          continue;
        }
        const std::size_t g = i % s.groups;
        forward(s, in + i * in_step, weights + g * weight_step, bias ? bias + g * s.out_channels : nullptr, out + i * out_step);
      }
    });
  }
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Backward_cpu(const Blobs<Dtype>& top, const std::vector<bool>& down, const Blobs<Dtype>& bottom) {
  if (left_to_caffe<Dtype>(this->layer_param_, this->num_spatial_axes_)) {
    caffe::ConvolutionLayer<Dtype>::Backward_cpu(top, down, bottom);
    return;
  }
  const Shape s = shape(bottom, top);
  const Dtype* weights = this->blobs_[0]->cpu_data();
  const std::size_t in_step = std::size_t(s.in_channels) * s.in_size(), out_step = std::size_t(s.out_channels) * s.out_size();
  const std::size_t weight_step = std::size_t(s.out_channels) * s.depth(), weight_count = weight_step * s.groups;
  const winograd::Shape tiled = s.winograd_shape();
  std::vector<Dtype> turned;
  for (std::size_t b = 0; b < top.size(); ++b) {
    const Dtype* out_diff = top[b]->cpu_diff();
    const Dtype* in = bottom[b]->cpu_data();
    if (this->bias_term_ && this->param_propagate_down_[1]) {
      Dtype* bias_diff = this->blobs_[1]->mutable_cpu_diff();
      for_ranges(this->num_output_, std::size_t(s.images) * s.out_size(), [&](std::size_t begin, std::size_t end) {
        for (std::size_t c = begin; c < end; ++c) {
          add_sums(out_diff + c * s.out_size(), s.images, s.out_size(), out_step * s.groups, bias_diff + c);
        }
      });
    }
    Dtype* weight_diff = this->param_propagate_down_[0] ? this->blobs_[0]->mutable_cpu_diff() : nullptr;
    Dtype* in_diff = down[b] ? bottom[b]->mutable_cpu_diff() : nullptr;
    if (!weight_diff && !in_diff) continue;
    if (s.groups > 1) {
      // Group by group: each has weights of its own.
      for_ranges(s.groups, s.images * weight_step * s.out_size(), [&](std::size_t begin, std::size_t end) {
        for (std::size_t g = begin; g < end; ++g) {
          for (int n = 0; n < s.images; ++n) {
            const std::size_t i = std::size_t(n) * s.groups + g;
            backward(s, in + i * in_step, weights + g * weight_step, out_diff + i * out_step,
                     weight_diff ? weight_diff + g * weight_step : nullptr, in_diff ? in_diff + i * in_step : nullptr);
          }
        }
      });
      continue;
    }
    // Image by image: each part but the first sums the weights' gradient on its own; then they are added in order.
    const int parts = std::min(thread_count(), s.images);
    std::vector<Dtype> sums(weight_diff ? weight_count * (parts - 1) : 0);
    if (s.by_winograd() && in_diff && turned.empty()) {
      turned.resize(tiled.weight_room());
      winograd::transform_weights(tiled.transposed(), weights, true, turned.data());
    }
    run_parts(parts, [&](int part) {
      Dtype* own = !weight_diff || part == 0 ? weight_diff : sums.data() + weight_count * (part - 1);
      if (s.by_winograd()) {
        std::vector<Dtype> transformed_diff(own ? tiled.weight_room() : 0);
        for (std::size_t n = bound(s.images, parts, part); n < bound(s.images, parts, part + 1); ++n) {
          if (own) winograd::add_gradient(tiled, in + n * in_step, out_diff + n * out_step, transformed_diff.data());
          if (in_diff) winograd::convolve(tiled.transposed(), out_diff + n * out_step, turned.data(), static_cast<Dtype*>(nullptr), in_diff + n * in_step);
        }
        if (own) winograd::add_weight_diff(tiled, transformed_diff.data(), own);
        return;
      }
      for (std::size_t n = bound(s.images, parts, part); n < bound(s.images, parts, part + 1); ++n) {
        backward(s, in + n * in_step, weights, out_diff + n * out_step, own, in_diff ? in_diff + n * in_step : nullptr);
      }
    });
    for (int part = 1; part < parts && weight_diff; ++part) add(sums.data() + weight_count * (part - 1), weight_count, weight_diff);
  }
}

template class ConvolutionLayer<float>;
template class ConvolutionLayer<double>;

}  // namespace pyhisto
