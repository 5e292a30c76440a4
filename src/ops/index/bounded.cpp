// Checks of index values as an op of the graph.
#include "ops/batching.h"
#include "ops/index/index.h"

namespace thixo::ops {

void def_bounded_index(Op& op) {
  op.schema(
        "bounded_index(input: Index, of: string, operand: string, dim: int, size: int, negative: bool, except: int?) "
        "-> "
        "Index @private")
      .doc(
          "The same integers, in the same memory, after a check that they lie where the op `of` wants its `operand`. "
          "Written down while a composite with bounds is recorded: what it is made of does not check.")
      .view([](const Call& c) { return ViewSpec{c.shape(0), c.in[0].strides(), c.in[0].storage_offset()}; })
      .index_bounds([](const Call& c) {
        std::optional<int64_t> except;
        if (!c.none("except")) except = c.integer("except").value();
        return std::vector<IndexBound>{
            {0, static_cast<int>(c.integer("dim").value()), c.integer("size"), c.flag("negative"), except}};
      })
      .no_grad()
      .batch(batch_leading)
      .samples([] {
        auto with = [](int64_t size, bool negative) {
          return std::vector<std::pair<std::string, Attr>>{{"of", std::string("gather")},
                                                           {"operand", std::string("index")},
                                                           {"dim", Dim(1)},
                                                           {"size", Dim(size)},
                                                           {"negative", negative},
                                                           {"except", Dim(-100)}};
        };
        return std::vector<Sample>{{.in = {indices({3}, {1, 0, -100})}, .attrs = with(2, false)},
                                   {.in = {indices({2, 2}, {1, 0, -1, -2})}, .attrs = with(2, true)},
                                   {.in = {indices({0}, {})}, .attrs = with(2, false)},
                                   {.in = {indices({3}, {0, 2, 1})},
                                    .attrs = with(2, false),
                                    .bad = "gather: index 2 is out of range for dim 1 of size 2"}};
      });
}

}  // namespace thixo::ops
