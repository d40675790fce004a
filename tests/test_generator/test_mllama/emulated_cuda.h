// What nf4_rows.cu needs of CUDA, on a processor: a thread for each thread of a block, one block at
// a time. Products of the tensor cores are computed by the threads of a warp, each its own numbers.
#include <barrier>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#define EMULATED
#define __device__
#define __global__
#define __constant__ static const
#define __forceinline__ inline
#define __launch_bounds__(threads)
#define __align__(bytes) alignas(bytes)
#define __shared__

struct uint2 { unsigned x, y; };
struct uint4 { unsigned x, y, z, w; };
struct float2 { float x, y; };
struct Three { int x, y; };
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline unsigned __float_as_uint(float value) { unsigned bits; memcpy(&bits, &value, 4); return bits; }
static inline float __uint_as_float(unsigned bits) { float value; memcpy(&value, &bits, 4); return value; }
#define __expf std::exp
template <class Value> static inline Value __ldg(const Value* place) { return *place; }

static thread_local Three threadIdx, blockIdx;
static Three gridDim;
alignas(128) static unsigned char shared[1 << 18];
static std::unique_ptr<std::barrier<>> block_barrier;

struct Warp {
    std::barrier<> barrier{32};
    unsigned a[32][4], b[32][2];
};
static std::vector<std::unique_ptr<Warp>> warps;

static inline void __syncthreads() { block_barrier->arrive_and_wait(); }

static inline uint4 stream(const unsigned char* place) {
    uint4 found;
    memcpy(&found, place, 16);
    return found;
}

static inline float part(unsigned pair, int upper) {
    return __uint_as_float(upper ? pair & 0xFFFF0000u : pair << 16);
}

// m16n8k16, as the PTX reference lays it out
static inline void multiply(float* sum, const unsigned* a, unsigned b0, unsigned b1) {
    Warp& warp = *warps[threadIdx.x / 32];
    int lane = threadIdx.x % 32;
    memcpy(warp.a[lane], a, 16);
    warp.b[lane][0] = b0;
    warp.b[lane][1] = b1;
    warp.barrier.arrive_and_wait();
    for (int i = 0; i < 4; i++) {
        int line = lane / 4 + 8 * (i / 2), column = lane % 4 * 2 + i % 2;
        for (int k = 0; k < 16; k++) {
            unsigned left = warp.a[line % 8 * 4 + k % 8 / 2][line / 8 + 2 * (k / 8)];
            unsigned right = warp.b[column * 4 + k % 8 / 2][k / 8];
            sum[i] += part(left, k % 2) * part(right, k % 2);
        }
    }
    warp.barrier.arrive_and_wait();
}
