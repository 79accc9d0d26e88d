#include "parley/core/nn/cpu/onednn.h"

#include <omp.h>

#include <algorithm>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "parley/core/nn/cpu/kernels.h"

namespace parley::nn::onednn {

namespace {

using Desc = dnnl::memory::desc;
using Type = dnnl::memory::data_type;
using Tag = dnnl::memory::format_tag;

// An engine without devices or state: what oneDNN wants as an argument everywhere.
const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

Type type_of(DType dtype) { return dtype == DType::kBF16 ? Type::bf16 : Type::f32; }

dnnl::memory memory(const Desc& desc, const void* data) {
  return {desc, engine(), const_cast<void*>(data)};
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

// oneDNN divides its work by OpenMP's count of threads, which each thread has for itself: one,
// while this lives.
class SingleThreaded {
 public:
  SingleThreaded() { omp_set_num_threads(1); }
  ~SingleThreaded() { omp_set_num_threads(before_); }
  SingleThreaded(const SingleThreaded&) = delete;
  SingleThreaded& operator=(const SingleThreaded&) = delete;

 private:
  int before_ = omp_get_max_threads();
};

constexpr int64_t kSlice = 192;  // rows

std::byte* row_of(const Tensor& tensor, int64_t row) {
  return tensor.as<std::byte>() +
         row * tensor.row_stride * static_cast<int64_t>(size_of(tensor.dtype));
}

dnnl::cpu_isa cap_of(Isa isa) {
  switch (isa) {
    case Isa::kGeneric:
      return dnnl::cpu_isa::sse41;
    case Isa::kAvx2:
      return dnnl::cpu_isa::avx2;
    case Isa::kAvx512:
      return dnnl::cpu_isa::avx512_core;
    case Isa::kVnni:
      return dnnl::cpu_isa::avx512_core_vnni;
    case Isa::kAmx:
      return dnnl::cpu_isa::all;
  }
  return dnnl::cpu_isa::all;
}

}  // namespace

Isa limit_isa(Isa limit) {
  dnnl::set_max_cpu_isa(
      cap_of(limit));  // fails when oneDNN was used before: then its choice stands
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx512_core_amx:
      return Isa::kAmx;
    case dnnl::cpu_isa::avx512_core_vnni:
    case dnnl::cpu_isa::avx512_core_bf16:
      return Isa::kVnni;
    case dnnl::cpu_isa::avx512_core:
      return Isa::kAvx512;
    case dnnl::cpu_isa::avx2:
    case dnnl::cpu_isa::avx2_vnni:
      return Isa::kAvx2;
    default:
      return Isa::kGeneric;
  }
}

std::string version() {
  const dnnl::version_t* version = dnnl::version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

namespace {

// Without AMX oneDNN has no optimized product with a sum after another operation: such a sum is
// ours, from the results of a slice.
bool sums_apart(const Matrix::Options& options) { return options.gelu && options.accumulate; }

}  // namespace

struct Matrix::Impl {
  int64_t outputs;
  int64_t inputs;
  Desc packed = {};
  Buffer data = {};

  dnnl::matmul::primitive_desc describe(int64_t rows, int64_t x_stride, const Desc& weights,
                                        const Options& options, Type out,
                                        int64_t out_stride) const {
    const Desc x({rows, inputs}, Type::bf16, {x_stride, 1});
    const Desc y({rows, outputs}, out, {out_stride, 1});
    dnnl::primitive_attr attr = user_scratchpad();
    dnnl::post_ops post;
    if (options.gelu) post.append_eltwise(1.f, dnnl::algorithm::eltwise_gelu_erf, 0.f, 0.f);
    if (options.accumulate && !sums_apart(options)) post.append_sum();
    attr.set_post_ops(post);
    if (options.bias == nullptr) return {{x, weights, y}, attr, engine()};
    return {{x, weights, Desc({1, outputs}, Type::f32, Tag::ab), y}, attr, engine()};
  }
};

namespace {

Desc best_layout(const auto& matrix) {
  const Desc any({matrix.inputs, matrix.outputs}, Type::bf16, Tag::any);
  return matrix.describe(kSlice, matrix.inputs, any, {}, Type::bf16, matrix.outputs).weights_desc();
}

}  // namespace

Matrix::Layout Matrix::layout(int64_t outputs, int64_t inputs) {
  const SingleThreaded alone;
  const Desc desc = best_layout(Impl{outputs, inputs});
  // FNV-1a of what oneDNN calls opaque
  uint64_t hash = 14695981039346656037U;
  const std::string_view bytes(reinterpret_cast<const char*>(&desc.data), sizeof desc.data);
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 1099511628211U;
  return {desc.get_size(), std::to_string(hash)};
}

void Matrix::pack(const Tensor& weights, const Buffer& packed) {
  const SingleThreaded alone;
  const Impl matrix{weights.shape[0], weights.shape[1]};
  dnnl::memory source = memory(
      Desc({matrix.inputs, matrix.outputs}, Type::f32, {1, weights.row_stride}), weights.data);
  dnnl::memory target = memory(best_layout(matrix), packed.data());
  dnnl::stream stream(engine());
  dnnl::reorder(source, target).execute(stream, source, target);
  stream.wait();
}

Matrix::Matrix(int64_t outputs, int64_t inputs, Buffer packed)
    : impl_(std::make_unique<Impl>(Impl{outputs, inputs, {}, std::move(packed)})) {
  const SingleThreaded alone;
  impl_->packed = best_layout(*impl_);
}

Matrix::~Matrix() = default;
Matrix::Matrix(Matrix&&) noexcept = default;

void Matrix::multiply(Context& ctx, const Tensor& x, const Options& options,
                      const Tensor& out) const {
  const Scope scope(ctx);
  const SingleThreaded alone;
  const int64_t rows = x.rows();
  const int64_t slices = (rows + kSlice - 1) / kSlice;
  const bool apart = sums_apart(options);
  const int64_t out_stride = apart ? impl_->outputs : out.row_stride;
  const auto describe = [&](int64_t count) {
    return impl_->describe(count, x.row_stride, impl_->packed, options, type_of(out.dtype),
                           out_stride);
  };
  const auto whole = describe(std::min(kSlice, rows));
  const auto last = describe(rows - (slices - 1) * kSlice);
  const dnnl::matmul whole_product(whole);
  const dnnl::matmul last_product(last);
  const auto scratch_size = static_cast<int64_t>(
      std::max(whole.scratchpad_desc().get_size(), last.scratchpad_desc().get_size()));
  const Tensor scratch = ctx.allocate({ctx.threads(), (scratch_size + 63) / 64 * 64}, DType::kU8);
  const Tensor results = ctx.allocate({apart ? ctx.threads() : 0, kSlice * impl_->outputs});
  ctx.parallel(slices, [&](int64_t slice, int thread) {
    const auto& desc = slice + 1 == slices ? last : whole;
    const int64_t row = slice * kSlice;
    void* target = apart ? static_cast<void*>(results.row(thread)) : row_of(out, row);
    std::unordered_map<int, dnnl::memory> args{
        {DNNL_ARG_SRC, memory(desc.src_desc(), row_of(x, row))},
        {DNNL_ARG_WEIGHTS, memory(impl_->packed, impl_->data.data())},
        {DNNL_ARG_DST, memory(desc.dst_desc(), target)},
        {DNNL_ARG_SCRATCHPAD,
         memory(desc.scratchpad_desc(), scratch.as<uint8_t>() + thread * scratch.cols())}};
    if (options.bias != nullptr)
      args.emplace(DNNL_ARG_BIAS, memory(desc.bias_desc(), options.bias));
    dnnl::stream stream(engine());
    (slice + 1 == slices ? last_product : whole_product).execute(stream, args);
    stream.wait();
    if (!apart) return;
    for (int64_t r = 0; r < desc.dst_desc().dims()[0]; ++r)
      kernels::add_row(results.row(thread) + r * impl_->outputs, impl_->outputs, out.row(row + r));
  });
}

std::string Matrix::implementation(const Shapes& shapes, const Options& options) {
  const Impl matrix{shapes.outputs, shapes.inputs};
  return matrix
      .describe(shapes.rows, shapes.inputs, best_layout(matrix), options, type_of(shapes.out),
                shapes.outputs)
      .impl_info_str();
}

struct Product::Impl {
  dnnl::matmul::primitive_desc desc;
  dnnl::matmul matmul;
  dnnl::reorder::primitive_desc pack_desc;
  dnnl::reorder pack;

  explicit Impl(const Shapes& s)
      : desc({Desc({s.m, s.k}, Type::bf16, {s.a_stride, 1}), Desc({s.k, s.n}, Type::bf16, Tag::any),
              Desc({s.m, s.n}, type_of(s.c_type), {s.c_stride, 1})},
             user_scratchpad(), engine()),
        matmul(desc),
        pack_desc(engine(), Desc({s.k, s.n}, Type::bf16, {s.b_row_stride, s.b_column_stride}),
                  engine(), desc.weights_desc(), user_scratchpad()),
        pack(pack_desc) {}
};

Product::Product(const Shapes& shapes) {
  const SingleThreaded alone;
  impl_ = std::make_unique<Impl>(shapes);
}
Product::~Product() = default;
Product::Product(Product&&) noexcept = default;

std::string Product::implementation() const { return impl_->desc.impl_info_str(); }

size_t Product::packed_bytes() const { return impl_->desc.weights_desc().get_size(); }

size_t Product::scratch_bytes() const {
  return std::max(impl_->desc.scratchpad_desc().get_size(),
                  impl_->pack_desc.scratchpad_desc().get_size());
}

void Product::pack(const void* b, void* packed, void* scratch) const {
  const SingleThreaded alone;
  dnnl::stream stream(engine());
  impl_->pack.execute(stream,
                      {{DNNL_ARG_FROM, memory(impl_->pack_desc.src_desc(), b)},
                       {DNNL_ARG_TO, memory(impl_->pack_desc.dst_desc(), packed)},
                       {DNNL_ARG_SCRATCHPAD, memory(impl_->pack_desc.scratchpad_desc(), scratch)}});
  stream.wait();
}

void Product::run(const void* a, const void* packed, void* c, void* scratch) const {
  const SingleThreaded alone;
  dnnl::stream stream(engine());
  impl_->matmul.execute(stream,
                        {{DNNL_ARG_SRC, memory(impl_->desc.src_desc(), a)},
                         {DNNL_ARG_WEIGHTS, memory(impl_->desc.weights_desc(), packed)},
                         {DNNL_ARG_DST, memory(impl_->desc.dst_desc(), c)},
                         {DNNL_ARG_SCRATCHPAD, memory(impl_->desc.scratchpad_desc(), scratch)}});
  stream.wait();
}

struct Convolution::Impl {
  dnnl::convolution_forward::primitive_desc desc;
  dnnl::convolution_forward convolution;
  Buffer weights;

  static dnnl::convolution_forward::primitive_desc describe(const Shapes& s) {
    const int64_t x_rows = s.rows + (s.kernel - 1) * s.dilation;
    const dnnl::convolution_forward::desc operation(
        dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
        Desc({1, s.inputs, x_rows}, Type::bf16, Tag::nwc),
        Desc({s.outputs, s.inputs, s.kernel}, Type::bf16, Tag::any),
        Desc({1, s.outputs, s.rows}, Type::f32, Tag::nwc), {1}, {s.dilation - 1}, {0}, {0});
    return {operation, user_scratchpad(), engine()};
  }

  Impl(const Shapes& s, const float* values)
      : desc(describe(s)),
        convolution(desc),
        weights(Buffer::uninitialized(desc.weights_desc().get_size())) {
    dnnl::memory source =
        memory(Desc({s.outputs, s.inputs, s.kernel}, Type::f32, Tag::oiw), values);
    dnnl::memory target = memory(desc.weights_desc(), weights.data());
    dnnl::stream stream(engine());
    dnnl::reorder(source, target).execute(stream, source, target);
    stream.wait();
  }
};

Convolution::Convolution(const Shapes& shapes, const float* weights) {
  const SingleThreaded alone;
  impl_ = std::make_unique<Impl>(shapes, weights);
}
Convolution::~Convolution() = default;
Convolution::Convolution(Convolution&&) noexcept = default;

std::string Convolution::implementation(const Shapes& shapes) {
  return Impl::describe(shapes).impl_info_str();
}

size_t Convolution::bytes() const { return impl_->weights.size(); }
size_t Convolution::scratch_bytes() const { return impl_->desc.scratchpad_desc().get_size(); }

void Convolution::run(const void* x, float* sums, void* scratch) const {
  const SingleThreaded alone;
  dnnl::stream stream(engine());
  impl_->convolution.execute(
      stream, {{DNNL_ARG_SRC, memory(impl_->desc.src_desc(), x)},
               {DNNL_ARG_WEIGHTS, memory(impl_->desc.weights_desc(), impl_->weights.data())},
               {DNNL_ARG_DST, memory(impl_->desc.dst_desc(), sums)},
               {DNNL_ARG_SCRATCHPAD, memory(impl_->desc.scratchpad_desc(), scratch)}});
  stream.wait();
}

}  // namespace parley::nn::onednn
