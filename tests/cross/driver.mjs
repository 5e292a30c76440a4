// driver.c for WebAssembly in Node: node driver.mjs kernels.wasm names.txt in out (the file is described there).
import { readFileSync, writeFileSync } from "node:fs";

const [wasm, names, input, output] = process.argv.slice(2);
const module = await WebAssembly.compile(readFileSync(wasm));
const outside = WebAssembly.Module.imports(module);
if (outside.length > 0) throw new Error(`kernels import ${outside.map((i) => i.name)}`);
const { exports } = await WebAssembly.instantiate(module);
const kernels = readFileSync(names, "utf8").trim().split("\n").map((name) => exports[name]);

const file = readFileSync(input);
const base = (Number(exports.__heap_base.value) + 63) & ~63;
const room = base + file.length + 65536;
exports.memory.grow(Math.ceil(Math.max(0, room - exports.memory.buffer.byteLength) / 65536));
const memory = new Uint8Array(exports.memory.buffer);
memory.set(file, base);
const view = new DataView(exports.memory.buffer);

let at = base;
const number = () => { at += 8; return Number(view.getBigInt64(at - 8, true)); };
const results = [];
const args = base + ((file.length + 63) & ~63);
for (let cases = number(); cases > 0; --cases) {
  const [kernel, begin, end, count] = [number(), number(), number(), number()];
  const buffers = [];
  for (let i = 0; i < count; ++i) {
    const bytes = number();
    buffers.push([at, bytes]);
    view.setUint32(args + 16 + 4 * i, at, true);
    at += (bytes + 7) & ~7;
  }
  const skip = () => { const n = number(); at += 8 * n; return at - 8 * n; };
  view.setUint32(args, args + 16, true);
  view.setUint32(args + 4, skip(), true);
  view.setUint32(args + 8, skip(), true);
  if (kernels[kernel](args, BigInt(begin), BigInt(end)) !== 0) throw new Error(`kernel ${kernel} failed`);
  for (const [from, bytes] of buffers) results.push(memory.slice(from, from + bytes));
}
writeFileSync(output, Buffer.concat(results));
