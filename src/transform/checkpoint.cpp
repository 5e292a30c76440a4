#include "transform/checkpoint.h"

#include "ir/dispatch.h"
#include "thixo/autograd.h"
#include "thixo/generator.h"
#include "transform/node.h"
#include "transform/write.h"

namespace thixo {

THIXO_FAST_TLS Keeper* t_keeper = nullptr;

namespace {

class ActiveKeeper {
 public:
  explicit ActiveKeeper(Keeper* k) : before_(std::exchange(t_keeper, k)) {}
  ~ActiveKeeper() { t_keeper = before_; }
  ActiveKeeper(const ActiveKeeper&) = delete;

 private:
  Keeper* before_;
};

/// The default generator as it was, for a scope.
class RandomStateOf {
 public:
  explicit RandomStateOf(const Generator::State& then) : now_(default_generator().state()) {
    default_generator().go_to(then);
  }
  ~RandomStateOf() { default_generator().go_to(now_); }
  RandomStateOf(const RandomStateOf&) = delete;

 private:
  Generator::State now_;
};

/// One checkpointed call: what it takes to run it again, and the values once that was done.
class Segment final : public Object {
 public:
  Segment(autograd::Fn f, const TensorList& inputs)
      : f_(std::move(f)), inputs_(inputs), random_(default_generator().state()) {
    for (const Tensor& t : inputs_) versions_.push_back(t.defined() ? version_of(t) : 0);
  }
  size_t next() { return tickets_++; }
  Tensor value(size_t i) {
    if (!ran_) run_again();
    if (i < values_.size() && values_.size() == tickets_) return values_[i];
    throw ValueError("checkpoint: the function did not do the same when it ran again")
        .got(std::to_string(tickets_) + " values were needed, then " + std::to_string(values_.size()))
        .fix("let it depend on its arguments and on parameters alone");
  }
  void drop(size_t i) {
    if (i < values_.size()) values_[i] = Tensor();
  }

 private:
  class Collector final : public Keeper {
   public:
    explicit Collector(std::vector<Tensor>& out) : out_(out) {}
    Ref<Ticket> keep(const Tensor& t) override {
      out_.push_back(alias(t));
      return {};
    }

   private:
    std::vector<Tensor>& out_;
  };

  void run_again() {
    TensorList inputs;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const Tensor& t = inputs_[i];
      if (t.defined() && version_of(t) != versions_[i]) {
        throw ValueError("checkpoint: input " + std::to_string(i) + " was overwritten before backward")
            .got(describe(t));
      }
      inputs.push_back(t.defined() ? alias(t) : t);
      if (t.defined() && t.requires_grad()) inputs.back().requires_grad_();
    }
    std::vector<Tensor> values;
    {
      RandomStateOf then(random_);
      GradMode on(true);
      Collector collector(values);
      ActiveKeeper active(&collector);
      f_(inputs);
    }
    values_ = std::move(values);
    ran_ = true;
  }

  autograd::Fn f_;
  TensorList inputs_;
  std::vector<uint32_t> versions_;
  Generator::State random_;
  size_t tickets_ = 0;
  bool ran_ = false;
  std::vector<Tensor> values_;
};

class SegmentTicket final : public Ticket {
 public:
  SegmentTicket(Ref<Segment> s, size_t i) : segment_(std::move(s)), index_(i) {}
  ~SegmentTicket() override { segment_->drop(index_); }
  Tensor value() override { return segment_->value(index_); }

 private:
  Ref<Segment> segment_;
  size_t index_;
};

class SegmentKeeper final : public Keeper {
 public:
  explicit SegmentKeeper(Ref<Segment> s) : segment_(std::move(s)) {}
  Ref<Ticket> keep(const Tensor&) override { return make_ref<SegmentTicket>(segment_, segment_->next()); }

 private:
  Ref<Segment> segment_;
};

}  // namespace

TensorList autograd::checkpoint(const Fn& f, const TensorList& inputs) {
  if (!is_grad_enabled()) return f(inputs);
  SegmentKeeper keeper(make_ref<Segment>(f, inputs));
  ActiveKeeper active(&keeper);
  return f(inputs);
}

}  // namespace thixo
