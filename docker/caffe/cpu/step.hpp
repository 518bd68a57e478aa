// One primitive of oneDNN between arrays in Caffe's layout (NCHW), which oneDNN converts to the layout that it computes fastest in.
#ifndef PYHISTO_CPU_STEP_HPP_
#define PYHISTO_CPU_STEP_HPP_

#include <oneapi/dnnl/dnnl.hpp>
#include <utility>
#include <vector>

namespace pyhisto {

class Step {
 public:
  enum Use { READ, WRITTEN };
  struct Argument {
    int name;                   // DNNL_ARG_SRC, ...
    dnnl::memory::desc layout;  // Caffe's
    Use use;
  };

  // Made, as it is run, with one of oneDNN's threads: the work is shared among threads outside.
  template <typename Description>
  Step(const Description& description, const std::vector<Argument>& arguments)
      : primitive_(description), scratch_(description.scratchpad_desc()) {
    for (const Argument& argument : arguments) add(argument, description.query_md(dnnl::query::exec_arg_md, argument.name));
  }

  // The arrays in the order of the arguments. Any thread may call it, several at once.
  void run(const std::vector<const void*>& arrays) const;

 private:
  struct Conversion {
    dnnl::reorder primitive;
    dnnl::memory::desc scratch;
  };
  struct Place {
    int name;
    Use use;
    dnnl::memory::desc theirs, best;
    std::vector<Conversion> conversion;  // none if both layouts are the same
  };

  void add(const Argument& argument, const dnnl::memory::desc& best);

  dnnl::primitive primitive_;
  dnnl::memory::desc scratch_;
  std::vector<Place> places_;
};

// oneDNN's only engine on a CPU.
const dnnl::engine& cpu();

// What every primitive is made with: it takes its memory from its caller, so that threads can share it.
dnnl::primitive_attr callers_memory();

// One thread for oneDNN in this thread while it lives. More would be libgomp's, which hang in a process that was forked after
// their first use.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

}  // namespace pyhisto

#endif  // PYHISTO_CPU_STEP_HPP_
