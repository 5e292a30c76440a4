#include <gtest/gtest.h>

#include <cstdio>

#include "base/error_text.h"
#include "thixo/nn.h"

namespace thixo::nn {
namespace {

struct BlockImpl : Module {
  BlockImpl(int64_t in, int64_t out) : fc(this, "fc", in, out) {}
  Linear fc;
  Tensor forward(const Tensor& x) override { return relu(fc(x)); }
};
using Block = Handle<BlockImpl, int64_t, int64_t>;

struct NetImpl : Module {
  Block first{this, "first", 4, 3};
  Linear head{this, "head", 3, 2, {.bias = false}};
  Parameter scale{this, "scale", ones({2})};
  Buffer calls{this, "calls", zeros({}, {.dtype = int64})};
  Buffer scratch{this, "scratch", zeros({1}), /*persistent=*/false};
  Tensor forward(const Tensor& x) override { return head(first(x)) * scale; }
};
using Net = Handle<NetImpl>;

std::vector<std::string> names(const std::vector<Named<Tensor>>& list) {
  std::vector<std::string> out;
  for (const auto& [name, t] : list) out.push_back(name);
  return out;
}

using test::error_of;

using Strings = std::vector<std::string>;

TEST(Module, NamesFollowTheMembers) {
  Net net;
  EXPECT_EQ(names(net->named_parameters()), (Strings{"scale", "first.fc.weight", "first.fc.bias", "head.weight"}));
  EXPECT_EQ(names(net->named_parameters(false)), Strings{"scale"});
  EXPECT_EQ(names(net->named_buffers()), (Strings{"calls", "scratch"}));
  EXPECT_EQ(names(net->state_dict()), (Strings{"scale", "calls", "first.fc.weight", "first.fc.bias", "head.weight"}));
  Strings modules;
  for (const auto& [name, m] : net->named_modules()) modules.push_back(name);
  EXPECT_EQ(modules, (Strings{"", "first", "first.fc", "head"}));
  EXPECT_EQ(net->head->parameter_names(), (Strings{"weight", "bias"}));
}

TEST(Module, ParametersAreLeavesThatWantAGradient) {
  Net net;
  for (const Tensor& p : net->parameters()) EXPECT_TRUE(p.requires_grad() && p.is_leaf());
  net->requires_grad_(false);
  EXPECT_FALSE(net->scale.requires_grad());
}

TEST(Module, RegisteredParametersAreLeaves) {
  Module one, two;
  one.register_parameter("w", ones({2}), /*requires_grad=*/false);
  two.register_parameter("w", *one.find_tensor("w"), false);
  EXPECT_FALSE(one.find_tensor("w")->requires_grad());
  EXPECT_TRUE(one.find_tensor("w")->is_same(*two.find_tensor("w")));
  one.register_parameter("counts", zeros({2}, {.dtype = int64}), false);
  try {
    one.register_parameter("v", ones({1}).requires_grad_() * 2);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("Module: 'v' was computed with a gradient"), std::string::npos) << e.what();
  }
}

TEST(Module, TrainingIsSetHereOrBelow) {
  Net net;
  net->set_training(false);
  EXPECT_TRUE(!net->training() && net->head->training());
  net->eval();
  EXPECT_FALSE(net->head->training());
}

TEST(Module, ModesTellWhatACompiledFunctionDependsOn) {
  Sequential net(Linear(1, 1), Dropout(0.5));
  const uint64_t first = net->modes();
  net[1]->eval();
  const uint64_t second = net->modes();
  EXPECT_NE(second, first);
  net[1]->train();
  EXPECT_EQ(net->modes(), first);
  net[0]->register_parameter("weight", zeros({1, 1}));
  EXPECT_TRUE(net->modes() != first && net->modes() != second);
}

TEST(Module, KnowsWhatItsMembersHold) {
  Net net;
  net->register_parameter("extra", ones({1}));
  EXPECT_TRUE(net->is_member("scale") && net->is_member("head") && net->is_member("calls"));
  EXPECT_FALSE(net->is_member("extra") || net->is_member("nothing"));
}

TEST(Module, SharedTensorsAppearOnce) {
  Net net;
  net->first->fc->weight = net->head->weight;
  EXPECT_EQ(net->parameters().size(), 3u);
  EXPECT_EQ(net->named_parameters(true, /*remove_duplicate=*/false).size(), 4u);
  EXPECT_EQ(net->state_dict().size(), 5u);
}

TEST(Module, AssignmentToMembersReachesTheModule) {
  Net net;
  net->scale = full({2}, 3.0).requires_grad_();
  EXPECT_EQ(net->named_parameters()[0].second.to_vector<float>(), (std::vector<float>{3, 3}));
  Linear other(3, 2, {.bias = false});
  net->head = other;
  EXPECT_EQ(net->named_children()[1].second.get(), other.get());
  net->register_parameter("scale", full({2}, 5.0));
  EXPECT_EQ(net->scale.to_vector<float>(), (std::vector<float>{5, 5}));
  net->register_module("head", Linear(3, 7));
  EXPECT_EQ(net->head->out_features, 7);
}

TEST(Module, ValuesOutliveMembersThatGo) {
  struct LooseImpl : Module {
    LooseImpl() {
      Linear local(this, "local", 2, 2);
      Parameter p(this, "p", ones({1}));
    }
  };
  Handle<LooseImpl> m;
  EXPECT_EQ(m->parameters().size(), 3u);
}

TEST(Module, RefusesNamesThatClash) {
  Net net;
  EXPECT_EQ(error_of([&] { net->register_buffer("scale", ones({1})); }),
            "ValueError: Net: 'scale' is the name of a parameter already");
  EXPECT_EQ(error_of([&] { net->register_buffer("a.b", ones({1})); }).substr(0, 46),
            "ValueError: Net: the name 'a.b' contains a dot");
  EXPECT_NE(error_of([&] { net->register_module("head", ReLU()); }).find("its member 'head' cannot hold a ReLU"),
            std::string::npos);
}

TEST(Module, PrintsAsPyTorch) {
  Net net;
  EXPECT_EQ(net->str(),
            "Net(\n"
            "  (first): Block(\n"
            "    (fc): Linear(in_features=4, out_features=3, bias=True)\n"
            "  )\n"
            "  (head): Linear(in_features=3, out_features=2, bias=False)\n"
            ")");
  Sequential s(Conv2d(1, 8, 3, {.stride = 2, .padding = 1, .bias = false}), BatchNorm2d(8), ReLU(), MaxPool2d(2),
               Flatten(), Dropout(0.25), GELU({.approximate = "tanh"}), LayerNorm(4),
               Embedding(10, 4, {.padding_idx = -1}), Softmax(-1));
  EXPECT_EQ(s->str(),
            "Sequential(\n"
            "  (0): Conv2d(1, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)\n"
            "  (1): BatchNorm2d(8, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)\n"
            "  (2): ReLU()\n"
            "  (3): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)\n"
            "  (4): Flatten(start_dim=1, end_dim=-1)\n"
            "  (5): Dropout(p=0.25, inplace=False)\n"
            "  (6): GELU(approximate='tanh')\n"
            "  (7): LayerNorm((4,), eps=1e-05, elementwise_affine=True)\n"
            "  (8): Embedding(10, 4, padding_idx=9)\n"
            "  (9): Softmax(dim=-1)\n"
            ")");
  ModuleList list{ReLU(), ReLU(), Tanh()};
  EXPECT_EQ(list->str(), "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Tanh()\n)");
}

TEST(Module, TrainAndEvalGoDown) {
  Net net;
  net->eval();
  EXPECT_FALSE(net->training() || net->first->fc->training());
  net->train();
  EXPECT_TRUE(net->first->fc->training());
}

TEST(Module, ApplyVisitsChildrenFirst) {
  Net net;
  Strings seen;
  net->apply([&](Module& m) { seen.push_back(m.type_name()); });
  EXPECT_EQ(seen, (Strings{"Linear", "Block", "Linear", "Net"}));
}

TEST(Module, SubmodulesByPath) {
  Net net;
  EXPECT_EQ(&net->get_submodule("first.fc"), net->first->fc.get());
  EXPECT_EQ(error_of([&] { net->get_submodule("first.fcc"); }),
            "ValueError: get_submodule: Block has no child 'fcc'\n  fix   did you mean 'fc'?");
}

TEST(Module, StateRoundTrip) {
  Net a, b;
  b->load_state_dict(a->state_dict());
  for (size_t i = 0; i < a->parameters().size(); ++i) {
    EXPECT_EQ(a->parameters()[i].to_vector<float>(), b->parameters()[i].to_vector<float>());
    EXPECT_FALSE(a->parameters()[i].is_same(b->parameters()[i]));
  }
  const std::string path = testing::TempDir() + "thixo_module_test.safetensors";
  a->save(path);
  Net c;
  const Tensor before = c->scale;
  c->load(path);
  std::remove(path.c_str());
  EXPECT_TRUE(before.is_same(c->scale));
  EXPECT_EQ(a->head->weight.to_vector<float>(), c->head->weight.to_vector<float>());
}

TEST(Module, StateErrorsListEverything) {
  Net net;
  const std::vector<float> before = net->head->weight.to_vector<float>();
  StateDict state = net->state_dict();
  state[4].second = ones({2, 5});
  state[3].first = "first.fc.bais";
  EXPECT_EQ(error_of([&] { net->load_state_dict(state); }),
            "ValueError: load_state_dict: the state does not fit this Net\n"
            "  got   missing: first.fc.bias\n"
            "  got   unexpected: first.fc.bais (did you mean first.fc.bias?)\n"
            "  got   mismatched: head.weight is [2, 3] here and [2, 5] in the state\n"
            "  fix   make the module with the sizes that the state was saved with");
  EXPECT_EQ(net->head->weight.to_vector<float>(), before);
  state.pop_back();
  const LoadReport report = net->load_state_dict(state, /*strict=*/false);
  EXPECT_EQ(report.missing, (Strings{"first.fc.bias", "head.weight"}));
  EXPECT_EQ(report.unexpected, Strings{"first.fc.bais"});
}

TEST(Module, ToKeepsTheTensors) {
  Net net;
  const Tensor weight = net->head->weight;
  const std::vector<float> values = weight.to_vector<float>();
  net->to(float64);
  EXPECT_EQ(weight.dtype(), float64);
  EXPECT_TRUE(weight.is_same(net->head->weight) && weight.requires_grad());
  EXPECT_EQ(weight.to_vector<double>()[2], static_cast<double>(values[2]));
  EXPECT_EQ(net->calls.dtype(), int64);
  EXPECT_THROW(net->to(int32), Error);
}

TEST(Module, ErrorsNameTheModule) {
  Net net;
  Sequential outer(Identity(), net);
  const std::string text = error_of([&] { outer(ones({2, 5})); });
  EXPECT_NE(text.find("\n  at    1.first.fc"), std::string::npos) << text;
  struct AbstractImpl : Module {};
  Handle<AbstractImpl> none;
  EXPECT_NE(error_of([&] { none(ones({1})); }).find("Abstract: forward of one tensor is not defined"),
            std::string::npos);
}

TEST(Module, ZeroGrad) {
  Net net;
  net(ones({2, 4})).sum().backward();
  EXPECT_TRUE(net->scale.grad().defined());
  net->zero_grad(/*set_to_none=*/false);
  EXPECT_EQ(net->scale.grad().to_vector<float>(), (std::vector<float>{0, 0}));
  net->zero_grad();
  EXPECT_FALSE(net->scale.grad().defined());
}

TEST(Containers, SequentialRunsInOrder) {
  Sequential s(Linear(2, 2, {.bias = false}), ReLU());
  init::eye_(static_cast<LinearImpl*>(s[0].get())->weight);
  EXPECT_EQ(s(tensor(std::vector<float>{-1, 2}, {1, 2})).to_vector<float>(), (std::vector<float>{0, 2}));
  EXPECT_EQ(names(s->named_parameters()), Strings{"0.weight"});
  EXPECT_EQ(s[-1]->type_name(), "ReLU");
  EXPECT_EQ(error_of([&] { s[2]; }), "IndexError: Sequential: index 2 is out of range for 2 modules");
  Sequential copy(s);
  EXPECT_EQ(copy.get(), s.get());
  Sequential named(Sequential::NamedList{{"fc", Linear(2, 3)}, {"act", Tanh()}});
  EXPECT_EQ(names(named->named_parameters()), (Strings{"fc.weight", "fc.bias"}));
}

}  // namespace
}  // namespace thixo::nn
