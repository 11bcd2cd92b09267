/**
 * LiteRT, Google's runtime for .tflite networks, in WebAssembly on the processor; twin of `sansface/faces/tflite.py`.
 *
 * This speaks to the program itself, which the package @litertjs/core holds, and not by the package's index.js:
 * that imports another package by its bare name, which no worker can resolve. The program is pinned by its
 * checksum, so that what is spoken to here stays as it is.
 */

const LITTLE = "the models' runtime cannot work in this browser";

/** The loader is a script, not a module: it hands itself to `define`, as AMD (asynchronous module definition) says. */
async function factoryAt(address) {
  let factory = null;
  const define = (_, make) => (factory = make());
  globalThis.define = Object.assign(define, { amd: true });
  try {
    await import(address);
  } finally {
    delete globalThis.define;
  }
  if (factory === null) throw new Error(LITTLE);
  return factory;
}

export class Runtime {
  #program;
  #environment;

  constructor(program) {
    this.#program = program;
    this.#environment = program.LiteRtEnvironment.create(null); // no WebGPU
  }

  /**
   * @param {string} address of the program's loader, litert.js
   * @param {Uint8Array} wasmBinary the program, litert.wasm
   * @returns {Promise<Runtime>}
   */
  static async open(address, wasmBinary) {
    const factory = await factoryAt(address);
    const quiet = () => {}; // it tells the console what it delegates to what
    return new Runtime(await factory({ wasmBinary, print: quiet, printErr: quiet }));
  }

  /**
   * A network, ready to run.
   * @param {Uint8Array} bytes of the .tflite file
   * @returns {Promise<(input: Float32Array) => Promise<Float32Array[]>>} from the input's values, row by row, to
   *   each output's
   */
  async network(bytes) {
    const program = this.#program;
    const place = program._malloc(bytes.length); // it is read as long as the network lives
    program.HEAPU8.set(bytes, place);
    const model = program.loadModel(this.#environment, place, bytes.length);
    const options = { accelerator: "wasm", cpuOptions: { numThreads: 1 }, gpuOptions: {}, webNNOptions: {} };
    const compiled = await program.compileModel(this.#environment, model, options);
    return async (values) => {
      const type = model.getInputTensorType(0, 0);
      if (type.bytes() !== values.byteLength) throw new Error("the network takes an input of another size");
      const { HOST_MEMORY } = program.LiteRtTensorBufferType;
      const input = program.LiteRtTensorBuffer.createManaged(this.#environment, HOST_MEMORY, type, values.byteLength);
      const to = input.lock(program.LiteRtTensorBufferLockMode.WRITE);
      program.HEAPU8.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), to);
      input.unlock();
      const outputs = await compiled.run(0, [input]);
      input.delete();
      type.delete();
      const found = outputs.map((output) => {
        const from = output.lock(program.LiteRtTensorBufferLockMode.READ);
        const bytes = program.HEAPU8.slice(from, from + output.packedSize());
        output.unlock();
        output.delete();
        return new Float32Array(bytes.buffer);
      });
      // What is no number is larger than no threshold: it would pass for a picture without a face.
      if (!found.every((one) => one.every(Number.isFinite))) throw new Error("a network gave no numbers");
      return found;
    };
  }
}
