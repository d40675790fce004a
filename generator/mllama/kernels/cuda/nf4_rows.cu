// A few rows times a weight in NF4 as bitsandbytes stores it, by the tensor cores.
//
// Two inputs a byte, the first in the upper half. The scale of a block of 64 inputs is
// code[absmax] * nested[block / 256] + offset[block / 256].
//
// A warp takes TILES times 16 outputs, or 16 gates and the 16 upward projections beside them, over
// every WARPS-th group of PAIRS pairs of blocks. Of a pair, a lane holds 16 bytes of an output: the
// lower half of a quad's lanes the first block, the upper half the second. A table in shared memory
// turns a byte into a pair of bfloat16; each lane has its own copy, so that no two meet in a bank.
// Four rows are a group of eight columns of the tensor cores' product: columns 0 to 3 are the rows'
// products with first blocks, 4 to 7 those with second blocks, because a lane gives zeros for the
// block that it does not hold. So a product of 16 x 8 has one scale for each of its numbers.
//
// Compiled with WARPS, TILES, COLUMNS (groups of four rows), PAIRS, AHEAD (whether a group is read
// while the one before it is multiplied), GATED, RANK and PARTS.

typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

#define LINE 128
#define TABLE (256 * LINE)

__device__ __forceinline__ u32 rounded(float value) {
    u32 bits = __float_as_uint(value);
    return (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
}

__device__ __forceinline__ float widened(u16 bits) { return __uint_as_float((u32)bits << 16); }

#ifndef EMULATED
__device__ __forceinline__ uint4 stream(const u8* place) {
    uint4 found;
    asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(found.x), "=r"(found.y), "=r"(found.z), "=r"(found.w)
                 : "l"(place));
    return found;
}

// (16 outputs, 16 inputs) times (16 inputs, 8 columns)
__device__ __forceinline__ void multiply(float* sum, const u32* a, u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#endif

__constant__ float CODES[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
    -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
    0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

struct Group {
    uint4 packed[TILES][2][PAIRS];
};

// inputs (rows, width) bfloat16; out (splits, rows, outputs) float32, or with GATED
// (1, rows, outputs / 2) bfloat16. lora_in (rows, PARTS * RANK) float32, lora_up (outputs, RANK)
// bfloat16; outputs from first and second on belong to the second and the third part.
extern "C" __global__ void __launch_bounds__(32 * WARPS) nf4_rows(
    const u16* __restrict__ inputs, const u8* __restrict__ packed, const u8* __restrict__ absmax,
    const float* __restrict__ nested, const float* __restrict__ offset,
    const float* __restrict__ code, const float* __restrict__ lora_in,
    const u16* __restrict__ lora_up, void* __restrict__ out, int rows, int outputs, int width,
    int first, int second) {
    extern __shared__ __align__(128) u8 shared[];  // the table, then the scales of (pairs, TILES, 32)
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const int member = lane >> 2, quarter = lane & 3, half = quarter >> 1;
    const int middle = outputs / 2;
    const int base = blockIdx.x * (GATED ? 16 : 16 * TILES);
    const int pairs = width / 128 / gridDim.y, groups = pairs / PAIRS;
    const int begin = blockIdx.y * pairs;

    const u8* bytes = packed + (size_t)(base + member) * (width / 2) + begin * 64 + quarter * 16;
    const size_t eight = (size_t)8 * (width / 2);
    const size_t tiles = (GATED ? (size_t)middle : (size_t)16) * (width / 2);

    auto read = [&](Group& group, int number) {
#pragma unroll
        for (int tile = 0; tile < TILES; tile++)
#pragma unroll
            for (int side = 0; side < 2; side++)
#pragma unroll
                for (int pair = 0; pair < PAIRS; pair++)
                    group.packed[tile][side][pair] =
                        stream(bytes + tile * tiles + side * eight + (number * PAIRS + pair) * 64);
    };

#if AHEAD
    Group now, next;
#else
    Group now;
#endif
    if (warp < groups) read(now, warp);

    for (int place = threadIdx.x; place < 256 * 8; place += 32 * WARPS) {
        int byte = place >> 3;
        u32 pair = rounded(CODES[byte >> 4]) | (rounded(CODES[byte & 15]) << 16);
        *(uint4*)(shared + byte * LINE + (place & 7) * 16) = make_uint4(pair, pair, pair, pair);
    }
    // scales of two pairs of an output at once: (pair, tile, block, member, side)
    float* scales = (float*)(shared + TABLE);
    for (int place = threadIdx.x; place < TILES * 16 * (pairs / 2); place += 32 * WARPS) {
        int row = place & 15, tile = (place >> 4) % TILES, both = (place >> 4) / TILES;
        int output = base + row + (GATED ? tile * middle : tile * 16);
        int block = output * (width / 64) + (begin + 2 * both) * 2;
        u32 levels = *(const u32*)(absmax + block);
        float wide = nested[block >> 8], least = offset[block >> 8];
#pragma unroll
        for (int one = 0; one < 4; one++)
            scales[((2 * both + (one >> 1)) * TILES + tile) * 32 + (one & 1) * 16 + (row & 7) * 2 +
                   (row >> 3)] = __ldg(code + ((levels >> (8 * one)) & 255u)) * wide + least;
    }
    __syncthreads();

    float total[TILES][COLUMNS][4];
#pragma unroll
    for (int tile = 0; tile < TILES; tile++)
#pragma unroll
        for (int column = 0; column < COLUMNS; column++)
#pragma unroll
            for (int i = 0; i < 4; i++) total[tile][column][i] = 0;

    const u8* table = shared + lane * 4;
    const u16* given = inputs + (size_t)(member & 3) * width + begin * 128 + quarter * 32;
    const bool holds = (member >> 2) == half;
    const float2* scale_of = (const float2*)(scales + half * 16 + member * 2);

    for (int number = warp; number < groups; number += WARPS) {
#if AHEAD
        if (number + WARPS < groups) read(next, number + WARPS);
#else
        if (number != warp) read(now, number);
#endif
#pragma unroll
        for (int pair = 0; pair < PAIRS; pair++) {
            const int at = number * PAIRS + pair;
            float sum[TILES][COLUMNS][4];
#pragma unroll
            for (int tile = 0; tile < TILES; tile++)
#pragma unroll
                for (int column = 0; column < COLUMNS; column++)
#pragma unroll
                    for (int i = 0; i < 4; i++) sum[tile][column][i] = 0;
#pragma unroll
            for (int word = 0; word < 4; word++) {
                uint4 x[COLUMNS];
#pragma unroll
                for (int column = 0; column < COLUMNS; column++) {
                    x[column] = make_uint4(0, 0, 0, 0);
                    if (holds && column * 4 + (member & 3) < rows)
                        x[column] = *(const uint4*)(given + (size_t)column * 4 * width + at * 128 +
                                                    word * 8);
                }
#pragma unroll
                for (int tile = 0; tile < TILES; tile++) {
                    u32 a[2][4];
#pragma unroll
                    for (int side = 0; side < 2; side++) {
                        uint4 all = now.packed[tile][side][pair];
                        u32 four = word == 0 ? all.x : word == 1 ? all.y : word == 2 ? all.z : all.w;
                        a[0][side] = *(const u32*)(table + (four << 7 & 0x7F80u));
                        a[0][side + 2] = *(const u32*)(table + (four >> 1 & 0x7F80u));
                        a[1][side] = *(const u32*)(table + (four >> 9 & 0x7F80u));
                        a[1][side + 2] = *(const u32*)(table + (four >> 17 & 0x7F80u));
                    }
#pragma unroll
                    for (int column = 0; column < COLUMNS; column++) {
                        multiply(sum[tile][column], a[0], x[column].x, x[column].y);
                        multiply(sum[tile][column], a[1], x[column].z, x[column].w);
                    }
                }
            }
#pragma unroll
            for (int tile = 0; tile < TILES; tile++) {
                float2 scale = scale_of[(at * TILES + tile) * 16];
#pragma unroll
                for (int column = 0; column < COLUMNS; column++) {
                    total[tile][column][0] += scale.x * sum[tile][column][0];
                    total[tile][column][1] += scale.x * sum[tile][column][1];
                    total[tile][column][2] += scale.y * sum[tile][column][2];
                    total[tile][column][3] += scale.y * sum[tile][column][3];
                }
            }
        }
#if AHEAD
        now = next;
#endif
    }

    // (WARPS, TILES, 16 outputs, COLUMNS, 8), where the table was
    __syncthreads();
    float* sums = (float*)shared;
#pragma unroll
    for (int tile = 0; tile < TILES; tile++)
#pragma unroll
        for (int column = 0; column < COLUMNS; column++)
#pragma unroll
            for (int side = 0; side < 2; side++)
                *(float2*)(sums + (((warp * TILES + tile) * 16 + member + 8 * side) * COLUMNS + column) * 8 +
                           quarter * 2) =
                    make_float2(total[tile][column][2 * side], total[tile][column][2 * side + 1]);
    __syncthreads();

    auto summed = [&](int tile, int output, int row) {
        float value = 0;
#pragma unroll
        for (int one = 0; one < WARPS; one++) {
            const float* both =
                sums + (((one * TILES + tile) * 16 + output) * COLUMNS + (row >> 2)) * 8 + (row & 3);
            value += both[0] + both[4];
        }
        if (RANK > 0 && blockIdx.y == 0) {
            int whole = base + output + (GATED ? tile * middle : tile * 16);
            int part = (whole >= first) + (whole >= second);
            const u16* up = lora_up + (size_t)whole * RANK;
            const float* low = lora_in + row * (PARTS * RANK) + part * RANK;
#pragma unroll
            for (int one = 0; one < RANK; one++) value += widened(up[one]) * low[one];
        }
        return value;
    };
    for (int place = threadIdx.x; place < (GATED ? 1 : TILES) * 16 * rows; place += 32 * WARPS) {
        int output = place & 15;
        if (GATED) {
            int row = place >> 4;
            float gate = summed(0, output, row), up = summed(TILES - 1, output, row);
            float value = gate / (1.0f + __expf(-gate)) * up;
            ((u16*)out)[(size_t)row * middle + base + output] = (u16)rounded(value);
        } else {
            int tile = (place >> 4) % TILES, row = (place >> 4) / TILES;
            size_t line = (size_t)(blockIdx.y * rows + row) * outputs;
            ((float*)out)[line + base + tile * 16 + output] = summed(tile, output, row);
        }
    }
}
