// Convolution 3x3 of stride 1 by Winograd's F(2x2, 3x3): 16 products for four outputs where the plain way takes 36.
// Lavin and Gray 2016, Fast Algorithms for Convolutional Neural Networks; the weights' gradient is the same sum, transposed.
#ifndef PYHISTO_CPU_WINOGRAD_HPP_
#define PYHISTO_CPU_WINOGRAD_HPP_

#include <cstddef>

namespace pyhisto {
namespace winograd {

// One image and group.
struct Shape {
  int in_channels, out_channels, height, width, out_height, out_width, pad;

  int tile_rows() const { return (out_height + 1) / 2; }
  int tile_columns() const { return (out_width + 1) / 2; }
  // The convolution that makes the input's gradient of the output's.
  Shape transposed() const { return {out_channels, in_channels, out_height, out_width, height, width, 2 - pad}; }
  std::size_t weight_room() const;  // numbers of transformed weights, or of their gradient
};

// Weights of 3x3 transformed; for the transposed shape, those of the original, turned round.
template <typename Dtype>
void transform_weights(const Shape& shape, const Dtype* weights, bool transposed, Dtype* transformed);

// out = transformed weights * in + bias, unless null.
template <typename Dtype>
void convolve(const Shape& shape, const Dtype* in, const Dtype* transformed, const Dtype* bias, Dtype* out);

// Adds an image's part to the transformed weights' gradient, and at the end that to the weights' own.
template <typename Dtype>
void add_gradient(const Shape& shape, const Dtype* in, const Dtype* out_diff, Dtype* transformed_diff);
template <typename Dtype>
void add_weight_diff(const Shape& shape, const Dtype* transformed_diff, Dtype* weight_diff);

}  // namespace winograd
}  // namespace pyhisto

#endif  // PYHISTO_CPU_WINOGRAD_HPP_
