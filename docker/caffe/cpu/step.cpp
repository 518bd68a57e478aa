#include "step.hpp"

#include <omp.h>

#include <cstdint>
#include <unordered_map>

#include "threads.hpp"

namespace pyhisto {
namespace {

constexpr std::size_t LINE = 64;  // bytes: a line of the cache, and a vector

std::size_t room(const dnnl::memory::desc& layout) { return (layout.get_size() + LINE - 1) / LINE * LINE; }

// Hands out a thread's own memory piece by piece.
class Pieces {
 public:
  explicit Pieces(std::size_t bytes) {
    const std::uintptr_t start = reinterpret_cast<std::uintptr_t>(workspace<char>(bytes + LINE));
    next_ = reinterpret_cast<char*>((start + LINE - 1) / LINE * LINE);
  }
  dnnl::memory take(const dnnl::memory::desc& layout) {
    void* piece = next_;
    next_ += room(layout);
    return dnnl::memory(layout, cpu(), piece);
  }

 private:
  char* next_;
};

}  // namespace

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::primitive_attr callers_memory() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

OneThread::OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
OneThread::~OneThread() { omp_set_num_threads(before_); }

void Step::add(const Argument& argument, const dnnl::memory::desc& best) {
  Place place{argument.name, argument.use, argument.layout, best, {}};
  if (best != argument.layout) {
    const dnnl::memory::desc &from = argument.use == READ ? argument.layout : best, &to = argument.use == READ ? best : argument.layout;
    const dnnl::reorder::primitive_desc description(cpu(), from, cpu(), to, callers_memory());
    place.conversion.push_back({dnnl::reorder(description), description.scratchpad_desc()});
  }
  places_.push_back(std::move(place));
}

void Step::run(const std::vector<const void*>& arrays) const {
  const OneThread one;
  dnnl::stream stream(cpu());
  std::size_t bytes = room(scratch_);
  for (const Place& place : places_) {
    for (const Conversion& conversion : place.conversion) bytes += room(place.best) + room(conversion.scratch);
  }
  Pieces pieces(bytes);
  std::unordered_map<int, dnnl::memory> arguments{{DNNL_ARG_SCRATCHPAD, pieces.take(scratch_)}};
  const auto convert = [&](const Place& place, const dnnl::memory& from, const dnnl::memory& to) {
    for (const Conversion& conversion : place.conversion) {
      conversion.primitive.execute(stream, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, pieces.take(conversion.scratch)}});
    }
  };
  std::vector<dnnl::memory> theirs;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const Place& place = places_[i];
    theirs.emplace_back(place.theirs, cpu(), const_cast<void*>(arrays[i]));
    arguments[place.name] = place.conversion.empty() ? theirs[i] : pieces.take(place.best);
    if (place.use == READ) convert(place, theirs[i], arguments[place.name]);
  }
  primitive_.execute(stream, arguments);
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].use == WRITTEN) convert(places_[i], arguments[places_[i].name], theirs[i]);
  }
  stream.wait();
}

}  // namespace pyhisto
