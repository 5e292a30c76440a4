/* Runs kernels on data from a file and writes what the buffers hold afterwards: the half of cross_test.cpp that
 * runs on another processor. Every number is little endian, as on all targets; the file is
 *   int64 cases; then for each case
 *   int64 kernel, begin, end, buffers, then per buffer int64 bytes and the data padded to 8,
 *   int64 ints and the ints, int64 params and the params (doubles). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  void* const* buffers;
  const int64_t* ints;
  const double* params;
} KernelArgs;
typedef int (*KernelFn)(const KernelArgs*, int64_t, int64_t);
extern const KernelFn kernel_table[]; /* written by the test, beside the object */

static const char* at;
static int64_t number(void) {
  int64_t v;
  memcpy(&v, at, 8);
  at += 8;
  return v;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  FILE* in = fopen(argv[1], "rb");
  FILE* out = fopen(argv[2], "wb");
  if (!in || !out) return 3;
  fseek(in, 0, SEEK_END);
  size_t size = (size_t)ftell(in);
  rewind(in);
  char* file = malloc(size + 8);
  if (fread(file, 1, size, in) != size) return 4;
  at = file;
  for (int64_t cases = number(); cases > 0; --cases) {
    int64_t kernel = number(), begin = number(), end = number(), count = number();
    void* buffers[16];
    int64_t bytes[16];
    for (int64_t i = 0; i < count; ++i) {
      bytes[i] = number();
      buffers[i] = (void*)at;
      at += (bytes[i] + 7) / 8 * 8;
    }
    KernelArgs args = {buffers, 0, 0};
    int64_t ints = number();
    args.ints = (const int64_t*)at;
    at += ints * 8;
    int64_t params = number();
    args.params = (const double*)at;
    at += params * 8;
    if (kernel_table[kernel](&args, begin, end) != 0) return 5;
    for (int64_t i = 0; i < count; ++i) fwrite(buffers[i], 1, (size_t)bytes[i], out);
  }
  return fclose(out) == 0 ? 0 : 6;
}
