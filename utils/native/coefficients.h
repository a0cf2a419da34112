// Matrices of Winograd's filtering, exact, at compile time; `matrices` of utils/ops/winograd.py are the same.
#pragma once

namespace symfer {

template <int R, int C>
struct Matrix {
  static constexpr int rows = R, columns = C;
  float at[R][C];
};

template <int R, int C>
constexpr Matrix<C, R> transposed(const Matrix<R, C>& matrix) {
  Matrix<C, R> out{};
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < C; ++j) out.at[j][i] = matrix.at[i][j];
  return out;
}

// At these points and at infinity polynomials are evaluated, multiplied and interpolated (Toom and Cook).
constexpr double POINTS[] = {0, 1, -1, 2, -2, 0.5};

// B^T: row i has the coefficients of the product of (x - q) over the points q other than point i; the last, over all.
template <int m>
constexpr Matrix<m + 2, m + 2> input_matrix() {
  Matrix<m + 2, m + 2> out{};
  for (int i = 0; i < m + 2; ++i) {
    double polynomial[m + 3] = {1};
    for (int q = 0, degree = 0; q <= m; ++q) {
      if (q == i) continue;
      ++degree;
      for (int k = degree; k >= 0; --k) polynomial[k] = (k ? polynomial[k - 1] : 0) - POINTS[q] * polynomial[k];
    }
    for (int k = 0; k < m + 2; ++k) out.at[i][k] = static_cast<float>(polynomial[k]);
  }
  return out;
}

// G: powers of the points, each row divided by the product of its point's distances from the others.
template <int m>
constexpr Matrix<m + 2, 3> filter_matrix() {
  Matrix<m + 2, 3> out{};
  for (int i = 0; i <= m; ++i) {
    double scale = 1, power = 1;
    for (int q = 0; q <= m; ++q) scale *= q == i ? 1 : POINTS[i] - POINTS[q];
    for (int k = 0; k < 3; ++k, power *= POINTS[i]) out.at[i][k] = static_cast<float>(power / scale);
  }
  out.at[m + 1][2] = 1;
  return out;
}

// A: powers of the points.
template <int m>
constexpr Matrix<m + 2, m> output_matrix() {
  Matrix<m + 2, m> out{};
  for (int i = 0; i <= m; ++i) {
    double power = 1;
    for (int k = 0; k < m; ++k, power *= POINTS[i]) out.at[i][k] = static_cast<float>(power);
  }
  out.at[m + 1][m - 1] = 1;
  return out;
}

template <int m>
inline constexpr auto BT = input_matrix<m>();
template <int m>
inline constexpr auto G = filter_matrix<m>();
template <int m>
inline constexpr auto GT = transposed(filter_matrix<m>());
template <int m>
inline constexpr auto A = output_matrix<m>();
template <int m>
inline constexpr auto AT = transposed(output_matrix<m>());

}  // namespace symfer
