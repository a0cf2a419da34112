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
template <int side>
constexpr Matrix<side, side> input_matrix() {
  Matrix<side, side> out{};
  for (int i = 0; i < side; ++i) {
    double polynomial[side + 1] = {1};
    for (int q = 0, degree = 0; q < side - 1; ++q) {
      if (q == i) continue;
      ++degree;
      for (int k = degree; k >= 0; --k) polynomial[k] = (k ? polynomial[k - 1] : 0) - POINTS[q] * polynomial[k];
    }
    for (int k = 0; k < side; ++k) out.at[i][k] = static_cast<float>(polynomial[k]);
  }
  return out;
}

// Powers of the points, up to `size` - 1; for G each row divided by the product of its point's distances from others.
template <int side, int size, bool divided>
constexpr Matrix<side, size> powers() {
  Matrix<side, size> out{};
  for (int i = 0; i < side - 1; ++i) {
    double scale = 1, power = 1;
    for (int q = 0; q < side - 1; ++q) scale *= q == i || !divided ? 1 : POINTS[i] - POINTS[q];
    for (int k = 0; k < size; ++k, power *= POINTS[i]) out.at[i][k] = static_cast<float>(power / scale);
  }
  out.at[side - 1][size - 1] = 1;
  return out;
}

// For tiles of m pixels, filters of r, and their sides of m + r - 1.
template <int side>
inline constexpr auto BT = input_matrix<side>();
template <int side, int r>
inline constexpr auto G = powers<side, r, true>();
template <int side, int r>
inline constexpr auto GT = transposed(powers<side, r, true>());
template <int side, int m>
inline constexpr auto A = powers<side, m, false>();
template <int side, int m>
inline constexpr auto AT = transposed(powers<side, m, false>());

}  // namespace symfer
