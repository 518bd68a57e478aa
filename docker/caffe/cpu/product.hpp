// The BLAS's matrix product, for both types of number: c = a b + beta c, in rows.
#ifndef PYHISTO_CPU_PRODUCT_HPP_
#define PYHISTO_CPU_PRODUCT_HPP_

#include <cblas.h>

namespace pyhisto {

inline void product(bool transpose_a, bool transpose_b, int m, int n, int k, const float* a, int lda, const float* b, int ldb,
                    float beta, float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans, m, n, k, 1, a, lda,
              b, ldb, beta, c, ldc);
}
inline void product(bool transpose_a, bool transpose_b, int m, int n, int k, const double* a, int lda, const double* b, int ldb,
                    double beta, double* c, int ldc) {
  cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans, m, n, k, 1, a, lda,
              b, ldb, beta, c, ldc);
}

}  // namespace pyhisto

#endif  // PYHISTO_CPU_PRODUCT_HPP_
