// Convolution of two spatial axes by oneDNN. Its threads are not used: images, or the outputs of a single image, are shared among
// threads here, so that as many threads always give the same bytes.
#include <algorithm>
#include <memory>

#include "layers.hpp"
#include "step.hpp"
#include "threads.hpp"
#include "vectors.hpp"

namespace pyhisto {

using dnnl::memory;

struct ConvolutionShape {
  long images, groups;
  long in_channels, out_channels;  // of one group
  long height, width, out_height, out_width;
  long kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;

  std::size_t in_size() const { return std::size_t(groups) * in_channels * height * width; }  // of an image
  std::size_t out_size() const { return std::size_t(groups) * out_channels * out_height * out_width; }
  std::size_t weights() const { return std::size_t(groups) * out_channels * in_channels * kernel_h * kernel_w; }
  std::size_t biases() const { return std::size_t(groups) * out_channels; }

  // Multiplications of a forward pass.
  std::size_t work() const { return images * weights() * out_height * out_width; }

  std::vector<long> numbers() const {
    return {images, groups, in_channels, out_channels, height, width, out_height, out_width,
            kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w};
  }
};

using Shape = ConvolutionShape;

namespace {

// How Caffe lays out the arrays of a convolution, and how oneDNN may.
struct Layouts {
  memory::desc in, weights, bias, out;

  Layouts(const Shape& s, bool caffes, bool with_bias) {
    const auto layout = [caffes](const memory::dims& dims, memory::format_tag tag) {
      return memory::desc(dims, memory::data_type::f32, caffes ? tag : memory::format_tag::any);
    };
    in = layout({s.images, s.groups * s.in_channels, s.height, s.width}, memory::format_tag::nchw);
    out = layout({s.images, s.groups * s.out_channels, s.out_height, s.out_width}, memory::format_tag::nchw);
    weights = s.groups == 1 ? layout({s.out_channels, s.in_channels, s.kernel_h, s.kernel_w}, memory::format_tag::oihw)
                            : layout({s.groups, s.out_channels, s.in_channels, s.kernel_h, s.kernel_w}, memory::format_tag::goihw);
    if (with_bias) bias = memory::desc({s.groups * s.out_channels}, memory::data_type::f32, memory::format_tag::x);
  }
};

// Along which axis a forward pass is shared among threads: images; of a single image, groups; of a single group, outputs. And
// how many numbers of each array belong to one of them.
struct Shares {
  long Shape::*axis;
  std::size_t in, weights, bias, out;

  explicit Shares(const Shape& s) {
    if (s.images > 1) {
      *this = {&Shape::images, s.in_size(), 0, 0, s.out_size()};
    } else if (s.groups > 1) {
      *this = {&Shape::groups, s.in_size() / s.groups, s.weights() / s.groups, std::size_t(s.out_channels), s.out_size() / s.groups};
    } else {
      *this = {&Shape::out_channels, 0, s.weights() / s.out_channels, 1, s.out_size() / s.out_channels};
    }
  }

 private:
  Shares(long Shape::*axis, std::size_t in, std::size_t weights, std::size_t bias, std::size_t out)
      : axis(axis), in(in), weights(weights), bias(bias), out(out) {}
};

// oneDNN chooses between direct convolution and Winograd's (Lavin and Gray 2016).
constexpr auto ALGORITHM = dnnl::algorithm::convolution_auto;

PYHISTO_VECTORS void add(const float* x, std::size_t count, float* y) {
  for (std::size_t i = 0; i < count; ++i) y[i] += x[i];
}

}  // namespace

// The steps of one shape, made when they are first asked for, in one thread.
class ConvolutionSteps {
 public:
  ConvolutionSteps(const Shape& shape, bool with_bias)
      : caffes_(shape, true, with_bias), best_(shape, false, with_bias), with_bias_(with_bias),
        strides_{shape.stride_h, shape.stride_w}, dilations_{shape.dilation_h - 1, shape.dilation_w - 1},
        padding_{shape.pad_h, shape.pad_w}, forward_description_(forward_description()) {}

  // In, weights, bias if there is one, out.
  const Step& forward() {
    if (!forward_) {
      std::vector<Step::Argument> arguments{{DNNL_ARG_SRC, caffes_.in, Step::READ}, {DNNL_ARG_WEIGHTS, caffes_.weights, Step::READ}};
      if (with_bias_) arguments.push_back({DNNL_ARG_BIAS, caffes_.bias, Step::READ});
      arguments.push_back({DNNL_ARG_DST, caffes_.out, Step::WRITTEN});
      forward_.reset(new Step(forward_description_, arguments));
    }
    return *forward_;
  }

  // The gradient of out, weights, the gradient of in.
  const Step& backward_data() {
    if (!backward_data_) {
      const dnnl::convolution_backward_data::desc wanted(ALGORITHM, best_.in, best_.weights, best_.out, strides_, dilations_, padding_, padding_);
      const dnnl::convolution_backward_data::primitive_desc found(wanted, callers_memory(), cpu(), forward_description_);
      backward_data_.reset(new Step(found, {{DNNL_ARG_DIFF_DST, caffes_.out, Step::READ},
                                            {DNNL_ARG_WEIGHTS, caffes_.weights, Step::READ},
                                            {DNNL_ARG_DIFF_SRC, caffes_.in, Step::WRITTEN}}));
    }
    return *backward_data_;
  }

  // In, the gradient of out, the gradient of weights, the gradient of bias if there is one.
  const Step& backward_weights() {
    if (!backward_weights_) {
      const dnnl::convolution_backward_weights::desc wanted(ALGORITHM, best_.in, best_.weights, best_.bias, best_.out, strides_, dilations_, padding_, padding_);
      const dnnl::convolution_backward_weights::primitive_desc found(wanted, callers_memory(), cpu(), forward_description_);
      std::vector<Step::Argument> arguments{{DNNL_ARG_SRC, caffes_.in, Step::READ},
                                            {DNNL_ARG_DIFF_DST, caffes_.out, Step::READ},
                                            {DNNL_ARG_DIFF_WEIGHTS, caffes_.weights, Step::WRITTEN}};
      if (with_bias_) arguments.push_back({DNNL_ARG_DIFF_BIAS, caffes_.bias, Step::WRITTEN});
      backward_weights_.reset(new Step(found, arguments));
    }
    return *backward_weights_;
  }

 private:
  dnnl::convolution_forward::primitive_desc forward_description() const {
    const dnnl::convolution_forward::desc wanted(dnnl::prop_kind::forward_training, ALGORITHM, best_.in, best_.weights, best_.bias, best_.out, strides_, dilations_, padding_, padding_);
    return {wanted, callers_memory(), cpu()};
  }

  Layouts caffes_, best_;
  bool with_bias_;
  memory::dims strides_, dilations_, padding_;
  dnnl::convolution_forward::primitive_desc forward_description_;
  std::unique_ptr<Step> forward_, backward_data_, backward_weights_;
};

// As Reshape found it: a pooling in place has since given the top its own shape.
Shape FloatConvolutionLayer::shape(const Blobs<float>& bottom) const {
  const int h = channel_axis_ + 1, w = h + 1;
  const int *kernel = kernel_shape_.cpu_data(), *stride = stride_.cpu_data();
  const int *pad = pad_.cpu_data(), *dilation = dilation_.cpu_data();
  return {num_,      group_,    channels_ / group_,  num_output_ / group_, bottom[0]->shape(h), bottom[0]->shape(w),
          output_shape_[0], output_shape_[1], kernel[0], kernel[1], stride[0], stride[1],
          pad[0],    pad[1],    dilation[0],         dilation[1]};
}

ConvolutionSteps& FloatConvolutionLayer::steps(const Shape& shape) {
  std::shared_ptr<ConvolutionSteps>& found = steps_[shape.numbers()];
  if (!found) found.reset(new ConvolutionSteps(shape, bias_term_));
  return *found;
}

// What Caffe's own layer shall do: other numbers of axes, and no images at all. Of two axes, one that is forced to be computed
// as any number of them (force_nd_im2col) gives the same as one that is not, as in Caffe.
bool FloatConvolutionLayer::left_to_caffe() const { return num_spatial_axes_ != 2 || num_ == 0; }

// A layer whose input changes its shape again and again keeps the steps of a few shapes.
void FloatConvolutionLayer::forget_old_steps() {
  if (steps_.size() > 16) steps_.clear();
}

void FloatConvolutionLayer::Forward_cpu(const Blobs<float>& bottom, const Blobs<float>& top) {
  if (left_to_caffe()) {
    caffe::ConvolutionLayer<float>::Forward_cpu(bottom, top);
    return;
  }
  forget_old_steps();
  const OneThread one;
  const Shape whole = shape(bottom);
  const Shares shares(whole);
  const float* weights = blobs_[0]->cpu_data();
  const float* bias = bias_term_ ? blobs_[1]->cpu_data() : nullptr;
  const std::size_t count = whole.*shares.axis;
  const int parts = parts_worth(count, whole.work() / count);
  std::vector<const Step*> made;
  for (int part = 0; part < parts; ++part) {
    Shape piece = whole;
    piece.*shares.axis = bound(count, parts, part + 1) - bound(count, parts, part);
    made.push_back(&steps(piece).forward());
  }
  for (std::size_t b = 0; b < bottom.size(); ++b) {
    const float* in = bottom[b]->cpu_data();
    float* out = top[b]->mutable_cpu_data();
    run_parts(parts, [&](int part) {
      const std::size_t begin = bound(count, parts, part);
      std::vector<const void*> arrays{in + begin * shares.in, weights + begin * shares.weights};
      if (bias) arrays.push_back(bias + begin * shares.bias);
      arrays.push_back(out + begin * shares.out);
      made[part]->run(arrays);
    });
  }
}

void FloatConvolutionLayer::Backward_cpu(const Blobs<float>& top, const std::vector<bool>& down, const Blobs<float>& bottom) {
  if (left_to_caffe()) {
    caffe::ConvolutionLayer<float>::Backward_cpu(top, down, bottom);
    return;
  }
  forget_old_steps();
  const OneThread one;
  const Shape whole = shape(bottom);
  const float* weights = blobs_[0]->cpu_data();
  float* weight_diff = param_propagate_down_[0] ? blobs_[0]->mutable_cpu_diff() : nullptr;
  float* bias_diff = bias_term_ && param_propagate_down_[1] ? blobs_[1]->mutable_cpu_diff() : nullptr;
  // Images are shared out; each part has gradients of the parameters of its own, which are added in order.
  const int parts = parts_worth(whole.images, whole.work() / whole.images);
  const std::size_t gradients = whole.weights() + whole.biases();
  std::vector<float> sums(weight_diff || bias_diff ? gradients * parts : 0);
  const bool for_input = std::find(down.begin(), down.end(), true) != down.end();
  std::vector<const Step*> data, gradient;
  for (int part = 0; part < parts; ++part) {
    Shape piece = whole;
    piece.images = bound(whole.images, parts, part + 1) - bound(whole.images, parts, part);
    if (for_input) data.push_back(&steps(piece).backward_data());
    if (!sums.empty()) gradient.push_back(&steps(piece).backward_weights());
  }
  for (std::size_t b = 0; b < top.size(); ++b) {
    const float *out_diff = top[b]->cpu_diff(), *in = bottom[b]->cpu_data();
    float* in_diff = down[b] ? bottom[b]->mutable_cpu_diff() : nullptr;
    run_parts(parts, [&](int part) {
      const std::size_t begin = bound(whole.images, parts, part);
      const float* part_diff = out_diff + begin * whole.out_size();
      if (in_diff) data[part]->run({part_diff, weights, in_diff + begin * whole.in_size()});
      if (sums.empty()) return;
      float* own = sums.data() + gradients * part;
      std::vector<const void*> arrays{in + begin * whole.in_size(), part_diff, own};
      if (bias_term_) arrays.push_back(own + whole.weights());
      gradient[part]->run(arrays);
    });
    for (std::size_t part = 0; part * gradients < sums.size(); ++part) {
      const float* own = sums.data() + gradients * part;
      if (weight_diff) add(own, whole.weights(), weight_diff);
      if (bias_diff) add(own + whole.weights(), whole.biases(), bias_diff);
    }
  }
}

}  // namespace pyhisto
