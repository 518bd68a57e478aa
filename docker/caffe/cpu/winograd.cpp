#include "winograd.hpp"

#include <algorithm>

#include "product.hpp"
#include "threads.hpp"
#include "vectors.hpp"

namespace pyhisto {
namespace winograd {
namespace {

constexpr int PLACES = 16;  // of a transformed tile, 4x4
// Rows of tiles are computed in steps of so many. What is written beyond a row's end is overwritten by the next, or lies in the
// gap between the planes of two places.
constexpr int STEP = 8;

inline int steps(int columns) { return (columns + STEP - 1) / STEP; }
inline std::size_t plane_size(int channels, int tiles) { return std::size_t(channels) * tiles + STEP; }

// Columns 2 i and 2 i + 1 of a row that begins `pad` before the image, apart; zeros outside of it.
template <typename Dtype>
PYHISTO_INLINE void split_row(const Dtype* row, bool inside, int width, int pad, int count, Dtype* even, Dtype* odd) {
  for (int side = 0; side < 2; ++side) {
    Dtype* half = side ? odd : even;
    const int shift = side - pad, begin = shift < 0 ? (1 - shift) / 2 : 0;
    const int room = (width - shift + 1) / 2, end = room < count ? room : count;
    if (!inside || end <= begin) {
      for (int i = 0; i < count; ++i) half[i] = 0;
      continue;
    }
    for (int i = 0; i < begin; ++i) half[i] = 0;
    for (int i = begin; i < end; ++i) half[i] = row[2 * i + shift];
    for (int i = end; i < count; ++i) half[i] = 0;
  }
}

// B' d B for a channel's row of tiles; `even` and `odd`: four rows each of `length`.
template <typename Dtype>
PYHISTO_INLINE void transform_in(Dtype* __restrict even, Dtype* __restrict odd, int length, int blocks, std::size_t plane,
                                 Dtype* __restrict out) {
  for (int side = 0; side < 2; ++side) {
    Dtype* d = side ? odd : even;
    for (int i = 0; i < length; ++i) {
      const Dtype d0 = d[i], d1 = d[length + i], d2 = d[2 * length + i], d3 = d[3 * length + i];
      d[i] = d0 - d2, d[length + i] = d1 + d2, d[2 * length + i] = d2 - d1, d[3 * length + i] = d1 - d3;
    }
  }
  for (int row = 0; row < 4; ++row) {
    const Dtype *e = even + row * length, *o = odd + row * length;
    Dtype *v0 = out + 4 * row * plane, *v1 = v0 + plane, *v2 = v1 + plane, *v3 = v2 + plane;
#pragma GCC ivdep
    for (int i = 0; i < blocks * STEP; ++i) {
      v0[i] = e[i] - e[i + 1];
      v1[i] = o[i] + e[i + 1];
      v2[i] = e[i + 1] - o[i];
      v3[i] = o[i] - o[i + 1];
    }
  }
}

// A' m A for a channel's row of tiles: two rows of outputs, their even and odd columns apart.
template <typename Dtype>
PYHISTO_INLINE void transform_out(const Dtype* __restrict in, std::size_t plane, int blocks, int length, Dtype bias,
                                  Dtype* __restrict even, Dtype* __restrict odd) {
#pragma GCC ivdep
  for (int i = 0; i < blocks * STEP; ++i) {
    const Dtype* m = in + i;
    const Dtype a0 = m[0] + m[plane] + m[2 * plane], b0 = m[plane] - m[2 * plane] - m[3 * plane];
    const Dtype a1 = m[4 * plane] + m[5 * plane] + m[6 * plane], b1 = m[5 * plane] - m[6 * plane] - m[7 * plane];
    const Dtype a2 = m[8 * plane] + m[9 * plane] + m[10 * plane], b2 = m[9 * plane] - m[10 * plane] - m[11 * plane];
    const Dtype a3 = m[12 * plane] + m[13 * plane] + m[14 * plane], b3 = m[13 * plane] - m[14 * plane] - m[15 * plane];
    even[i] = a0 + a1 + a2 + bias, odd[i] = b0 + b1 + b2 + bias;
    even[length + i] = a1 - a2 - a3 + bias, odd[length + i] = b1 - b2 - b3 + bias;
  }
}

// A y A' for a channel's row of tiles of the output's gradient.
template <typename Dtype>
PYHISTO_INLINE void transform_diff(const Dtype* __restrict even, const Dtype* __restrict odd, int length, int blocks,
                                   std::size_t plane, Dtype* __restrict out) {
  for (int row = 0; row < 4; ++row) {
    Dtype *v0 = out + 4 * row * plane, *v1 = v0 + plane, *v2 = v1 + plane, *v3 = v2 + plane;
    const Dtype first = row == 3 ? 0 : 1, second = row == 0 ? 0 : row == 1 ? 1 : -1;
#pragma GCC ivdep
    for (int i = 0; i < blocks * STEP; ++i) {
      const Dtype e = first * even[i] + second * even[length + i], o = first * odd[i] + second * odd[length + i];
      v0[i] = e, v1[i] = e + o, v2[i] = e - o, v3[i] = -o;
    }
  }
}

// Rows [begin, end) of tiles. `rows`: room for split rows.
template <typename Dtype>
PYHISTO_INLINE void gather_in(const Shape& s, const Dtype* in, int begin, int end, Dtype* rows, Dtype* out) {
  const int columns = s.tile_columns(), blocks = steps(columns), length = blocks * STEP + 1, tiles = (end - begin) * columns;
  for (int c = 0; c < s.in_channels; ++c, in += s.height * s.width) {
    for (int row = begin; row < end; ++row) {
      for (int i = 0; i < 4; ++i) {
        const int h = 2 * row - s.pad + i;
        split_row(in + h * s.width, h >= 0 && h < s.height, s.width, s.pad, length, rows + i * length, rows + (4 + i) * length);
      }
      transform_in(rows, rows + 4 * length, length, blocks, plane_size(s.in_channels, tiles),
                   out + std::size_t(c) * tiles + (row - begin) * columns);
    }
  }
}

template <typename Dtype>
PYHISTO_INLINE void gather_diff(const Shape& s, const Dtype* out_diff, int begin, int end, Dtype* rows, Dtype* out) {
  const int columns = s.tile_columns(), blocks = steps(columns), length = blocks * STEP, tiles = (end - begin) * columns;
  for (int c = 0; c < s.out_channels; ++c, out_diff += s.out_height * s.out_width) {
    for (int row = begin; row < end; ++row) {
      for (int i = 0; i < 2; ++i) {
        const int h = 2 * row + i;
        split_row(out_diff + h * s.out_width, h < s.out_height, s.out_width, 0, length, rows + i * length, rows + (2 + i) * length);
      }
      transform_diff(rows, rows + 2 * length, length, blocks, plane_size(s.out_channels, tiles),
                     out + std::size_t(c) * tiles + (row - begin) * columns);
    }
  }
}

template <typename Dtype>
PYHISTO_INLINE void scatter_out(const Shape& s, const Dtype* in, const Dtype* bias, int begin, int end, Dtype* rows, Dtype* out) {
  const int columns = s.tile_columns(), blocks = steps(columns), length = blocks * STEP, tiles = (end - begin) * columns;
  for (int c = 0; c < s.out_channels; ++c, out += s.out_height * s.out_width) {
    for (int row = begin; row < end; ++row) {
      Dtype *even = rows, *odd = rows + 2 * length;
      transform_out(in + std::size_t(c) * tiles + (row - begin) * columns, plane_size(s.out_channels, tiles), blocks, length,
                    bias ? bias[c] : Dtype(0), even, odd);
      for (int i = 0; i < 2 && 2 * row + i < s.out_height; ++i) {
        Dtype* line = out + (2 * row + i) * s.out_width;
        for (int j = 0; j < s.out_width / 2; ++j) {
          line[2 * j] = even[i * length + j];
          line[2 * j + 1] = odd[i * length + j];
        }
        if (s.out_width % 2) line[s.out_width - 1] = even[i * length + s.out_width / 2];
      }
    }
  }
}

#define PYHISTO_WINOGRAD(Dtype)                                                                                             \
  PYHISTO_VECTORS void to_tiles(const Shape& s, const Dtype* in, int begin, int end, Dtype* rows, Dtype* out) {             \
    gather_in(s, in, begin, end, rows, out);                                                                                \
  }                                                                                                                         \
  PYHISTO_VECTORS void diff_to_tiles(const Shape& s, const Dtype* diff, int begin, int end, Dtype* rows, Dtype* out) {      \
    gather_diff(s, diff, begin, end, rows, out);                                                                            \
  }                                                                                                                         \
  PYHISTO_VECTORS void from_tiles(const Shape& s, const Dtype* in, const Dtype* bias, int begin, int end, Dtype* rows,      \
                                  Dtype* out) {                                                                             \
    scatter_out(s, in, bias, begin, end, rows, out);                                                                        \
  }

PYHISTO_WINOGRAD(float)
PYHISTO_WINOGRAD(double)
#undef PYHISTO_WINOGRAD

// Rows of tiles at a time: two megabytes of transformed inputs and outputs.
template <typename Dtype>
int rows_at_once(const Shape& s) {
  const std::size_t row = PLACES * sizeof(Dtype) * (s.in_channels + s.out_channels) * s.tile_columns();
  return static_cast<int>(std::min<std::size_t>(s.tile_rows(), std::max<std::size_t>(1, (std::size_t(2) << 20) / row)));
}

// A thread's memory: the tiles of inputs, those of outputs, and split rows.
template <typename Dtype>
struct Room {
  Dtype *in, *out, *rows;
  Room(const Shape& s, int tiles) {
    const std::size_t ins = PLACES * plane_size(s.in_channels, tiles), outs = PLACES * plane_size(s.out_channels, tiles);
    in = workspace<Dtype>(ins + outs + 8 * (steps(s.tile_columns()) * STEP + 1));
    out = in + ins;
    rows = out + outs;
  }
};

// A single image has its places' products shared among the threads; of several, each thread has its own already.
template <typename Body>
void for_places(const Shape& s, int tiles, const Body& body) {
  for_ranges(PLACES, std::size_t(s.in_channels) * s.out_channels * tiles, [&](std::size_t begin, std::size_t end) {
    for (std::size_t place = begin; place < end; ++place) body(place);
  });
}

}  // namespace

std::size_t Shape::weight_room() const { return std::size_t(PLACES) * out_channels * in_channels; }

template <typename Dtype>
void transform_weights(const Shape& s, const Dtype* weights, bool transposed, Dtype* transformed) {
  const std::size_t plane = std::size_t(s.out_channels) * s.in_channels;
  for_ranges(s.out_channels, std::size_t(s.in_channels) * 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t k = begin; k < end; ++k) {
      for (int c = 0; c < s.in_channels; ++c) {
        const Dtype* g = weights + 9 * (transposed ? std::size_t(c) * s.out_channels + k : k * s.in_channels + c);
        Dtype half[4][3];  // G g
        for (int j = 0; j < 3; ++j) {
          const Dtype g0 = transposed ? g[8 - j] : g[j], g1 = transposed ? g[5 - j] : g[3 + j], g2 = transposed ? g[2 - j] : g[6 + j];
          half[0][j] = g0;
          half[1][j] = (g0 + g1 + g2) / 2;
          half[2][j] = (g0 - g1 + g2) / 2;
          half[3][j] = g2;
        }
        Dtype* u = transformed + k * s.in_channels + c;
        for (int i = 0; i < 4; ++i, u += 4 * plane) {
          u[0] = half[i][0];
          u[plane] = (half[i][0] + half[i][1] + half[i][2]) / 2;
          u[2 * plane] = (half[i][0] - half[i][1] + half[i][2]) / 2;
          u[3 * plane] = half[i][2];
        }
      }
    }
  });
}

template <typename Dtype>
void convolve(const Shape& s, const Dtype* in, const Dtype* transformed, const Dtype* bias, Dtype* out) {
  const int at_once = rows_at_once<Dtype>(s);
  for (int row = 0; row < s.tile_rows(); row += at_once) {
    const int end = std::min(row + at_once, s.tile_rows()), tiles = (end - row) * s.tile_columns();
    const Room<Dtype> room(s, tiles);
    to_tiles(s, in, row, end, room.rows, room.in);
    for_places(s, tiles, [&](std::size_t place) {
      product(false, false, s.out_channels, tiles, s.in_channels, transformed + place * std::size_t(s.out_channels) * s.in_channels,
              s.in_channels, room.in + place * plane_size(s.in_channels, tiles), tiles, 0,
              room.out + place * plane_size(s.out_channels, tiles), tiles);
    });
    from_tiles(s, room.out, bias, row, end, room.rows, out);
  }
}

template <typename Dtype>
void add_gradient(const Shape& s, const Dtype* in, const Dtype* out_diff, Dtype* transformed_diff) {
  const int at_once = rows_at_once<Dtype>(s);
  for (int row = 0; row < s.tile_rows(); row += at_once) {
    const int end = std::min(row + at_once, s.tile_rows()), tiles = (end - row) * s.tile_columns();
    const Room<Dtype> room(s, tiles);
    to_tiles(s, in, row, end, room.rows, room.in);
    diff_to_tiles(s, out_diff, row, end, room.rows, room.out);
    for_places(s, tiles, [&](std::size_t place) {
      product(false, true, s.out_channels, s.in_channels, tiles, room.out + place * plane_size(s.out_channels, tiles), tiles,
              room.in + place * plane_size(s.in_channels, tiles), tiles, 1,
              transformed_diff + place * std::size_t(s.out_channels) * s.in_channels, s.in_channels);
    });
  }
}

template <typename Dtype>
void add_weight_diff(const Shape& s, const Dtype* transformed_diff, Dtype* weight_diff) {
  const std::size_t plane = std::size_t(s.out_channels) * s.in_channels;
  for (std::size_t i = 0; i < plane; ++i) {
    const Dtype* u = transformed_diff + i;
    Dtype half[3][4];  // G' u
    for (int j = 0; j < 4; ++j) {
      const Dtype u0 = u[j * plane], u1 = u[(4 + j) * plane], u2 = u[(8 + j) * plane], u3 = u[(12 + j) * plane];
      half[0][j] = u0 + (u1 + u2) / 2;
      half[1][j] = (u1 - u2) / 2;
      half[2][j] = (u1 + u2) / 2 + u3;
    }
    Dtype* g = weight_diff + 9 * i;
    for (int j = 0; j < 3; ++j) {
      g[3 * j] += half[j][0] + (half[j][1] + half[j][2]) / 2;
      g[3 * j + 1] += (half[j][1] - half[j][2]) / 2;
      g[3 * j + 2] += (half[j][1] + half[j][2]) / 2 + half[j][3];
    }
  }
}

#define PYHISTO_INSTANTIATE(Dtype)                                                                     \
  template void transform_weights(const Shape&, const Dtype*, bool, Dtype*);                           \
  template void convolve(const Shape&, const Dtype*, const Dtype*, const Dtype*, Dtype*);              \
  template void add_gradient(const Shape&, const Dtype*, const Dtype*, Dtype*);                        \
  template void add_weight_diff(const Shape&, const Dtype*, Dtype*)
PYHISTO_INSTANTIATE(float);
PYHISTO_INSTANTIATE(double);

}  // namespace winograd
}  // namespace pyhisto
