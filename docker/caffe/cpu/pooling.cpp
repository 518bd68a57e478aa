// MAX and AVE pooling as Caffe computes them, to the bit: each output takes its window's elements in Caffe's order, but a row of
// outputs is made at once, one element of all their windows after another, so that nothing branches on data.
#include <cfloat>
#include <limits>
#include <type_traits>

#include "layers.hpp"
#include "threads.hpp"
#include "vectors.hpp"

namespace pyhisto {
namespace {

struct Window {
  int height, width, pooled_height, pooled_width;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;

  PYHISTO_INLINE int row_begin(int ph) const { return at_least_0(ph * stride_h - pad_h); }
  PYHISTO_INLINE int row_end(int ph) const { return at_most(ph * stride_h - pad_h + kernel_h, height); }
  // The outputs of a row whose window's column `kw` lies inside the image.
  PYHISTO_INLINE int first_output(int kw) const {
    const int before = pad_w - kw;
    return before <= 0 ? 0 : (before + stride_w - 1) / stride_w;
  }
  PYHISTO_INLINE int end_output(int kw) const {
    const int room = width - 1 + pad_w - kw;
    return room < 0 ? 0 : at_most(room / stride_w + 1, pooled_width);
  }
  // What Caffe divides by: the window with the padding that lies inside the padded image.
  PYHISTO_INLINE int area(int ph, int pw) const {
    const int top = ph * stride_h - pad_h, left = pw * stride_w - pad_w;
    return (at_most(top + kernel_h, height + pad_h) - top) * (at_most(left + kernel_w, width + pad_w) - left);
  }
  static PYHISTO_INLINE int at_least_0(int value) { return value < 0 ? 0 : value; }
  static PYHISTO_INLINE int at_most(int value, int limit) { return value < limit ? value : limit; }
};

// An index as wide as a number, so that one comparison serves both.
template <typename Dtype>
using Position = typename std::conditional<sizeof(Dtype) == 8, long long, int>::type;

// A plane laid out so that the elements of neighbouring windows are neighbours, padded by what is never the largest: every
// stride_h-th row and stride_w-th column lie together, for each place in a stride that a window's element can have. The element
// (kh, kw) of all windows is then one run of numbers; what lies between two rows of outputs is computed along, and dropped.
struct Layout {
  int phases_h, phases_w, rows, columns;
  explicit Layout(const Window& window)
      : phases_h(Window::at_most(window.stride_h, window.kernel_h)),
        phases_w(Window::at_most(window.stride_w, window.kernel_w)),
        rows(window.pooled_height + (window.kernel_h - 1) / window.stride_h),
        columns(window.pooled_width + (window.kernel_w - 1) / window.stride_w) {}
  PYHISTO_INLINE int phase_size() const { return rows * columns; }
  PYHISTO_INLINE int size() const { return phases_h * phases_w * phase_size(); }
};

template <typename Dtype>
PYHISTO_INLINE void lay_out(const Window& window, const Layout& layout, const Dtype* in, Dtype* laid) {
  const Dtype never = -std::numeric_limits<Dtype>::infinity();
  for (int phase_h = 0; phase_h < layout.phases_h; ++phase_h) {
    for (int phase_w = 0; phase_w < layout.phases_w; ++phase_w) {
      const int before = window.pad_w - phase_w, room = window.width - 1 + before;
      const int begin = before <= 0 ? 0 : Window::at_most((before + window.stride_w - 1) / window.stride_w, layout.columns);
      const int inside = room < 0 ? 0 : Window::at_most(room / window.stride_w + 1, layout.columns);
      for (int row = 0; row < layout.rows; ++row, laid += layout.columns) {
        const int h = row * window.stride_h + phase_h - window.pad_h;
        const int end = h < 0 || h >= window.height || inside < begin ? begin : inside;
        const Dtype* line = in + h * window.width - before;
        for (int i = 0; i < begin; ++i) laid[i] = never;
        if (window.stride_w == 1) {
          for (int i = begin; i < end; ++i) laid[i] = line[i];
        } else if (window.stride_w == 2) {
          for (int i = begin; i < end; ++i) laid[i] = line[i * 2];
        } else {
          for (int i = begin; i < end; ++i) laid[i] = line[i * window.stride_w];
        }
        for (int i = end; i < layout.columns; ++i) laid[i] = never;
      }
    }
  }
}

// By masks: with two conditional values g++ makes a branch for each element.
template <typename Dtype>
PYHISTO_INLINE void keep_larger(const Dtype* __restrict x, Position<Dtype> offset, int count, Dtype* __restrict best,
                                Position<Dtype>* __restrict where) {
#pragma GCC ivdep
  for (int i = 0; i < count; ++i) {
    const Dtype candidate = x[i], old = best[i];
    const Position<Dtype> larger = -static_cast<Position<Dtype>>(candidate > old);  // the first of equals stays; NaN is never larger
    where[i] = (offset & larger) | (where[i] & ~larger);
    best[i] = candidate > old ? candidate : old;
  }
}

// `best` and `where`: room for the outputs, as many columns apart as the layout has. `where` is counted from a window's corner.
template <typename Dtype, typename Index>
PYHISTO_INLINE void max_plane(const Window& window, const Layout& layout, const Dtype* laid, Dtype* best, Position<Dtype>* where,
                              Dtype* out, Index* mask) {
  const int count = (window.pooled_height - 1) * layout.columns + window.pooled_width;
  for (int i = 0; i < count; ++i) best[i] = Dtype(-FLT_MAX), where[i] = -1;
  for (int kh = 0; kh < window.kernel_h; ++kh) {
    for (int kw = 0; kw < window.kernel_w; ++kw) {
      const int phase = (kh % window.stride_h) * layout.phases_w + kw % window.stride_w;
      const Dtype* run = laid + phase * layout.phase_size() + (kh / window.stride_h) * layout.columns + kw / window.stride_w;
      keep_larger<Dtype>(run, kh * window.width + kw, count, best, where);
    }
  }
  for (int ph = 0; ph < window.pooled_height; ++ph, best += layout.columns, where += layout.columns) {
    const int corner = (ph * window.stride_h - window.pad_h) * window.width - window.pad_w;
    for (int pw = 0; pw < window.pooled_width; ++pw) {
      out[pw] = best[pw];
      mask[pw] = static_cast<Index>(where[pw] < 0 ? -1 : corner + pw * window.stride_w + where[pw]);
    }
    out += window.pooled_width, mask += window.pooled_width;
  }
}

template <typename Dtype>
PYHISTO_INLINE void average_plane(const Window& window, const Dtype* in, Dtype* out) {
  for (int ph = 0; ph < window.pooled_height; ++ph, out += window.pooled_width) {
    for (int pw = 0; pw < window.pooled_width; ++pw) out[pw] = 0;
    for (int h = window.row_begin(ph); h < window.row_end(ph); ++h) {
      for (int kw = 0; kw < window.kernel_w; ++kw) {
        const int first = window.first_output(kw), end = window.end_output(kw);
        const Dtype* row = in + h * window.width - window.pad_w + kw;
        if (window.stride_w == 1) {
          for (int pw = first; pw < end; ++pw) out[pw] += row[pw];
        } else {
          for (int pw = first; pw < end; ++pw) out[pw] += row[pw * window.stride_w];
        }
      }
    }
    for (int pw = 0; pw < window.pooled_width; ++pw) out[pw] /= window.area(ph, pw);
  }
}

// One output per plane: as many planes at once as hide the time that an addition takes.
template <int planes, typename Dtype>
PYHISTO_INLINE void average_of_all(const Dtype* in, int size, int area, Dtype* out) {
  Dtype sums[planes] = {};
  for (int i = 0; i < size; ++i) {
    for (int plane = 0; plane < planes; ++plane) sums[plane] += in[plane * size + i];
  }
  for (int plane = 0; plane < planes; ++plane) out[plane] = sums[plane] / area;
}

template <typename Dtype>
PYHISTO_INLINE void average_planes(const Window& window, const Dtype* in, Dtype* out, std::size_t planes) {
  const int size = window.height * window.width, pooled = window.pooled_height * window.pooled_width;
  const bool all = pooled == 1 && window.row_begin(0) == 0 && window.row_end(0) == window.height && window.pad_w <= 0 &&
                   window.kernel_w >= window.width;
  std::size_t plane = 0;
  if (all) {
    for (; plane + 8 <= planes; plane += 8) average_of_all<8>(in + plane * size, size, window.area(0, 0), out + plane);
  }
  for (; plane < planes; ++plane) average_plane(window, in + plane * size, out + plane * pooled);
}

// `row`: room for a row of outputs. The sums at an input come in Caffe's order: outputs from left to right, thus the window's
// columns from right to left.
template <typename Dtype>
PYHISTO_INLINE void average_plane_diff(const Window& window, const Dtype* top_diff, Dtype* bottom_diff, Dtype* row) {
  for (int i = 0; i < window.height * window.width; ++i) bottom_diff[i] = 0;
  for (int ph = 0; ph < window.pooled_height; ++ph, top_diff += window.pooled_width) {
    for (int pw = 0; pw < window.pooled_width; ++pw) row[pw] = top_diff[pw] / window.area(ph, pw);
    for (int h = window.row_begin(ph); h < window.row_end(ph); ++h) {
      Dtype* line = bottom_diff + h * window.width - window.pad_w;
      if (window.pooled_width == 1) {
        const int end = Window::at_most(window.kernel_w, window.width + window.pad_w);
        for (int kw = window.pad_w; kw < end; ++kw) line[kw] += row[0];
        continue;
      }
      for (int kw = window.kernel_w - 1; kw >= 0; --kw) {
        const int first = window.first_output(kw), end = window.end_output(kw);
        if (window.stride_w == 1) {
          for (int pw = first; pw < end; ++pw) line[pw + kw] += row[pw];
        } else {
          for (int pw = first; pw < end; ++pw) line[pw * window.stride_w + kw] += row[pw];
        }
      }
    }
  }
}

template <typename Dtype, typename Index>
void max_planes_diff(const Window& window, const Dtype* top_diff, const Index* mask, Dtype* bottom_diff, std::size_t planes) {
  const int size = window.height * window.width, pooled = window.pooled_height * window.pooled_width;
  for (std::size_t plane = 0; plane < planes; ++plane, top_diff += pooled, mask += pooled, bottom_diff += size) {
    for (int i = 0; i < size; ++i) bottom_diff[i] = 0;
    for (int i = 0; i < pooled; ++i) {
      const int where = static_cast<int>(mask[i]);
      if (where >= 0) bottom_diff[where] += top_diff[i];  // -1: nothing but NaN in the window; Caffe writes before the plane
    }
  }
}

// Room for max_planes' work: a plane laid out, its outputs, and where they are.
template <typename Dtype>
std::size_t room_for_max(const Window& window) {
  const Layout layout(window);
  return std::size_t(layout.size()) + 2 * layout.phase_size();
}

template <typename Dtype, typename Index>
PYHISTO_INLINE void max_planes(const Window& window, const Dtype* in, Dtype* room, Dtype* out, Index* mask, std::size_t planes) {
  const Layout layout(window);
  const int size = window.height * window.width, pooled = window.pooled_height * window.pooled_width;
  Dtype *laid = room, *best = laid + layout.size();
  Position<Dtype>* where = reinterpret_cast<Position<Dtype>*>(best + layout.phase_size());
  for (std::size_t plane = 0; plane < planes; ++plane) {
    lay_out(window, layout, in + plane * size, laid);
    max_plane(window, layout, laid, best, where, out + plane * pooled, mask + plane * pooled);
  }
}

#define PYHISTO_POOLING(Dtype)                                                                                              \
  PYHISTO_VECTORS void max_pool(const Window& window, const Dtype* in, Dtype* room, Dtype* out, int* mask,                  \
                                std::size_t planes) {                                                                       \
    max_planes(window, in, room, out, mask, planes);                                                                        \
  }                                                                                                                         \
  PYHISTO_VECTORS void max_pool(const Window& window, const Dtype* in, Dtype* room, Dtype* out, Dtype* mask,                \
                                std::size_t planes) {                                                                       \
    max_planes(window, in, room, out, mask, planes);                                                                        \
  }                                                                                                                         \
  PYHISTO_VECTORS void average_pool(const Window& window, const Dtype* in, Dtype* out, std::size_t planes) {                \
    average_planes(window, in, out, planes);                                                                                \
  }                                                                                                                         \
  PYHISTO_VECTORS void average_pool_diff(const Window& window, const Dtype* top_diff, Dtype* bottom_diff, Dtype* row,       \
                                         std::size_t planes) {                                                              \
    for (std::size_t p = 0; p < planes; ++p) {                                                                              \
      average_plane_diff(window, top_diff + p * window.pooled_height * window.pooled_width,                                 \
                         bottom_diff + p * window.height * window.width, row);                                              \
    }                                                                                                                       \
  }

PYHISTO_POOLING(float)
PYHISTO_POOLING(double)
#undef PYHISTO_POOLING

}  // namespace

template <typename Dtype>
void PoolingLayer<Dtype>::Forward_cpu(const Blobs<Dtype>& bottom, const Blobs<Dtype>& top) {
  const auto method = this->layer_param_.pooling_param().pool();
  const bool in_place = bottom[0] == top[0];  // Caffe takes it, and computes what is left when outputs overwrite inputs
  if (in_place || (method != caffe::PoolingParameter::MAX && method != caffe::PoolingParameter::AVE)) {
    caffe::PoolingLayer<Dtype>::Forward_cpu(bottom, top);
    return;
  }
  const Window window = {this->height_, this->width_, this->pooled_height_, this->pooled_width_, this->kernel_h_, this->kernel_w_,
                         this->stride_h_, this->stride_w_, this->pad_h_, this->pad_w_};
  const std::size_t size = std::size_t(window.height) * window.width, pooled = std::size_t(window.pooled_height) * window.pooled_width;
  const Dtype* in = bottom[0]->cpu_data();
  Dtype* out = top[0]->mutable_cpu_data();
  Dtype* top_mask = top.size() > 1 ? top[1]->mutable_cpu_data() : nullptr;
  int* mask = method == caffe::PoolingParameter::MAX && !top_mask ? this->max_idx_.mutable_cpu_data() : nullptr;
  for_ranges(std::size_t(bottom[0]->num()) * this->channels_, size * 4, [&](std::size_t begin, std::size_t end) {
    if (method == caffe::PoolingParameter::AVE) {
      average_pool(window, in + begin * size, out + begin * pooled, end - begin);
      return;
    }
    Dtype* room = workspace<Dtype>(room_for_max<Dtype>(window));
    if (top_mask) {
      max_pool(window, in + begin * size, room, out + begin * pooled, top_mask + begin * pooled, end - begin);
    } else {
      max_pool(window, in + begin * size, room, out + begin * pooled, mask + begin * pooled, end - begin);
    }
  });
}

template <typename Dtype>
void PoolingLayer<Dtype>::Backward_cpu(const Blobs<Dtype>& top, const std::vector<bool>& down, const Blobs<Dtype>& bottom) {
  if (!down[0]) return;
  const auto method = this->layer_param_.pooling_param().pool();
  const bool in_place = bottom[0] == top[0];
  if (in_place || (method != caffe::PoolingParameter::MAX && method != caffe::PoolingParameter::AVE)) {
    caffe::PoolingLayer<Dtype>::Backward_cpu(top, down, bottom);
    return;
  }
  const Window window = {this->height_, this->width_, this->pooled_height_, this->pooled_width_, this->kernel_h_, this->kernel_w_,
                         this->stride_h_, this->stride_w_, this->pad_h_, this->pad_w_};
  const std::size_t size = std::size_t(window.height) * window.width, pooled = std::size_t(window.pooled_height) * window.pooled_width;
  const Dtype* top_diff = top[0]->cpu_diff();
  Dtype* bottom_diff = bottom[0]->mutable_cpu_diff();
  const Dtype* top_mask = top.size() > 1 ? top[1]->cpu_data() : nullptr;
  const int* mask = method == caffe::PoolingParameter::MAX && !top_mask ? this->max_idx_.cpu_data() : nullptr;
  for_ranges(std::size_t(bottom[0]->num()) * this->channels_, size * 2, [&](std::size_t begin, std::size_t end) {
    if (method == caffe::PoolingParameter::AVE) {
      Dtype* row = workspace<Dtype>(window.pooled_width);
      average_pool_diff(window, top_diff + begin * pooled, bottom_diff + begin * size, row, end - begin);
    } else if (top_mask) {
      max_planes_diff(window, top_diff + begin * pooled, top_mask + begin * pooled, bottom_diff + begin * size, end - begin);
    } else {
      max_planes_diff(window, top_diff + begin * pooled, mask + begin * pooled, bottom_diff + begin * size, end - begin);
    }
  });
}

template class PoolingLayer<float>;
template class PoolingLayer<double>;

}  // namespace pyhisto
