// The last few values by key, safe to use from any thread.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace thixo::cpu {

/// What is made for a list of numbers (a shape).
template <class V> class LruCache {
 public:
  using Key = std::vector<int64_t>;
  explicit LruCache(size_t capacity) : capacity_(capacity) {}

  template <class F> std::shared_ptr<const V> get(const Key& key, F make) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (auto it = index_.find(key); it != index_.end()) {
        order_.splice(order_.begin(), order_, it->second);
        return it->second->second;
      }
    }
    // Made outside the lock: two threads may make the same one, and the second to come is dropped.
    std::shared_ptr<const V> value = make();
    std::lock_guard<std::mutex> lock(mutex_);
    if (auto it = index_.find(key); it != index_.end()) return it->second->second;
    order_.emplace_front(key, value);
    index_[key] = order_.begin();
    if (order_.size() > capacity_) {
      index_.erase(order_.back().first);
      order_.pop_back();
    }
    return value;
  }

 private:
  struct Hash {
    size_t operator()(const Key& key) const {
      uint64_t h = 0xcbf29ce484222325u;
      for (int64_t v : key) h = (h ^ static_cast<uint64_t>(v)) * 0x9e3779b97f4a7c15u + (h >> 29);
      return static_cast<size_t>(h);
    }
  };
  using Entry = std::pair<Key, std::shared_ptr<const V>>;
  size_t capacity_;
  std::mutex mutex_;
  std::list<Entry> order_;
  std::unordered_map<Key, typename std::list<Entry>::iterator, Hash> index_;
};

}  // namespace thixo::cpu
