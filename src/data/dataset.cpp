#include <cstring>

#include "thixo/data.h"

namespace thixo::data {
namespace {

int64_t checked(const char* what, int64_t index, int64_t size) {
  if (index >= 0 && index < size) return index;
  throw IndexError(std::string(what) + ": sample " + std::to_string(index) + " of " + std::to_string(size));
}

std::string kind_str(const Tensor& t) { return std::string(dtype_short_name(t.dtype())) + shape_str(t.shape()); }

/// A tensor of n rows of this shape and dtype.
Tensor rows(int64_t n, std::span<const Dim> row, DType dtype) {
  Shape shape{n};
  shape.append(row.begin(), row.end());
  return empty(shape, {.dtype = dtype});
}

}  // namespace

TensorList collate(const std::vector<TensorList>& samples) {
  TensorList out;
  if (samples.empty()) return out;
  auto differ = [](size_t i, const std::string& first, const std::string& other) {
    throw ShapeError("collate: samples of one batch differ")
        .got("sample 0: " + first + "   sample " + std::to_string(i) + ": " + other)
        .fix("bring them to one form, or give the loader a collate function (collate, in Python collate_fn)");
  };
  auto count = [](const TensorList& s) { return std::to_string(s.size()) + " tensors"; };
  for (size_t i = 0; i < samples.size(); ++i) {
    if (samples[i].size() != samples[0].size()) differ(i, count(samples[0]), count(samples[i]));
  }
  for (size_t k = 0; k < samples[0].size(); ++k) {
    const Tensor& first = samples[0][k];
    Tensor batch =
        rows(static_cast<int64_t>(samples.size()), {first.shape().data(), first.shape().size()}, first.dtype());
    const size_t bytes = first.nbytes();
    for (size_t i = 0; i < samples.size(); ++i) {
      const Tensor& t = samples[i][k];
      if (!(t.shape() == first.shape()) || t.dtype() != first.dtype()) differ(i, kind_str(first), kind_str(t));
      const Tensor row = t.contiguous();
      if (bytes > 0) std::memcpy(static_cast<char*>(batch.raw_data()) + i * bytes, row.raw_data(), bytes);
    }
    out.push_back(batch);
  }
  return out;
}

TensorList Dataset::batch(std::span<const int64_t> indices) const {
  std::vector<TensorList> samples;
  for (int64_t i : indices) samples.push_back(get(i));
  return collate(samples);
}

TensorDataset::TensorDataset(TensorList tensors) : tensors_(std::move(tensors)) {
  if (tensors_.empty() || tensors_[0].dim() == 0) throw ValueError("TensorDataset: it needs tensors of rank 1 or more");
  size_ = tensors_[0].size(0);
  for (Tensor& t : tensors_) {
    if (t.dim() == 0 || t.size(0) != size_) {
      throw ShapeError("TensorDataset: tensors of different length")
          .got("the first has " + std::to_string(size_) + " rows, another is " + shape_str(t.shape()))
          .need("equal first dims");
    }
    t = t.contiguous();
  }
}

TensorList TensorDataset::get(int64_t index) const {
  checked("TensorDataset", index, size_);
  TensorList out;
  for (const Tensor& t : tensors_) out.push_back(t.select(0, index));
  return out;
}

TensorList TensorDataset::batch(std::span<const int64_t> indices) const {
  TensorList out;
  for (const Tensor& t : tensors_) {
    Tensor b = rows(static_cast<int64_t>(indices.size()), {t.shape().data() + 1, t.shape().size() - 1}, t.dtype());
    const size_t bytes = size_ > 0 ? t.nbytes() / static_cast<size_t>(size_) : 0;
    auto* to = static_cast<char*>(b.raw_data());
    const auto* from = static_cast<const char*>(t.raw_data());
    for (size_t i = 0; i < indices.size(); ++i) {
      const auto row = static_cast<size_t>(checked("TensorDataset", indices[i], size_));
      if (bytes > 0) std::memcpy(to + i * bytes, from + row * bytes, bytes);
    }
    out.push_back(b);
  }
  return out;
}

Subset::Subset(Ref<Dataset> of, std::vector<int64_t> indices) : of_(std::move(of)), indices_(std::move(indices)) {
  for (int64_t i : indices_) checked("Subset", i, of_->size());
}
TensorList Subset::get(int64_t index) const {
  return of_->get(indices_[static_cast<size_t>(checked("Subset", index, size()))]);
}
TensorList Subset::batch(std::span<const int64_t> indices) const {
  std::vector<int64_t> mapped;
  for (int64_t i : indices) mapped.push_back(indices_[static_cast<size_t>(checked("Subset", i, size()))]);
  return of_->batch(mapped);
}

}  // namespace thixo::data
