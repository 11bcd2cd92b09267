/**
 * A mesh in WebGL2: turned by mouse, touch and keyboard, with points and curves on it.
 *
 * The camera looks at the middle of the mesh's box from `yaw` and `pitch`, `far` times the box's half diagonal
 * away; +y is up. Nothing moves by itself, and a picture is drawn only when something changed.
 */

import { firstHit } from "./measure.js";
import { add, cross, dot, scale, subtract, unit } from "./vector.js";

const FIELD_OF_VIEW = 0.6;
const START = { yaw: 0.4, pitch: 0.1, far: 3 };
const [NEAREST, FARTHEST] = [1.15, 12];
const STEP = Math.PI / 24;

const SURFACE_VERTEX = `#version 300 es
uniform mat4 view, projection;
in vec3 position, normal;
out vec3 turned, place;
void main() {
  turned = mat3(view) * normal;
  place = (view * vec4(position, 1.0)).xyz;
  gl_Position = projection * vec4(place, 1.0);
}`;

// A lamp at the eye, a second one above on the left, and light from all sides, more of it from above.
const SURFACE_FRAGMENT = `#version 300 es
precision highp float;
in vec3 turned, place;
out vec4 colour;
void main() {
  vec3 n = normalize(turned), eye = normalize(-place);
  if (!gl_FrontFacing) n = -n;
  float lamp = max(dot(n, eye), 0.0), key = max(dot(n, normalize(vec3(-0.5, 0.75, 0.55))), 0.0);
  float shine = pow(max(dot(n, normalize(eye + normalize(vec3(-0.5, 0.75, 0.55)))), 0.0), 24.0);
  vec3 clay = gl_FrontFacing ? vec3(0.72, 0.69, 0.66) : vec3(0.45, 0.42, 0.40);
  vec3 light = vec3(0.2 + 0.1 * n.y) + 0.45 * lamp + 0.55 * key * vec3(1.0, 0.98, 0.95);
  colour = vec4(pow(clay * light + 0.06 * shine, vec3(1.0 / 1.25)), 1.0);
}`;

// A stretch is two triangles of a few pixels' width; ends are a little nearer to the eye than the surface.
const LINE_VERTEX = `#version 300 es
uniform mat4 view, projection;
uniform vec2 size;
uniform float width;
in vec3 from, to;
in vec2 corner;
void main() {
  vec4 a = projection * view * vec4(from, 1.0), b = projection * view * vec4(to, 1.0);
  vec2 way = (b.xy / b.w - a.xy / a.w) * size;
  way = length(way) > 1e-6 ? normalize(way) : vec2(1.0, 0.0);
  vec4 end = corner.x < 0.5 ? a : b;
  vec2 off = vec2(-way.y, way.x) * corner.y;
  end.xy += off * width / size * end.w;
  end.z -= 0.002 * end.w;
  gl_Position = end;
}`;

const DOT_VERTEX = `#version 300 es
uniform mat4 view, projection;
uniform float width;
in vec3 position;
void main() {
  gl_Position = projection * view * vec4(position, 1.0);
  gl_Position.z -= 0.03 * gl_Position.w;
  gl_PointSize = width;
}`;

const FLAT_FRAGMENT = `#version 300 es
precision highp float;
uniform vec3 tint;
uniform bool round;
out vec4 colour;
void main() {
  float off = round ? length(gl_PointCoord - 0.5) : 0.0;
  if (off > 0.5) discard;
  colour = vec4(off > 0.36 ? vec3(1.0) : tint, 1.0);
}`;

const TINT = [0.1, 0.36, 0.78];

/** Shows one mesh on a canvas. */
export class Viewer {
  /**
   * @param {HTMLCanvasElement} canvas
   * @throws {Error} one sentence: the browser has no WebGL 2.
   */
  constructor(canvas) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl2", { antialias: true, alpha: true });
    if (!this.gl) throw new Error("This browser cannot show the head, for it has no WebGL 2; download the mesh instead.");
    this.mesh = null;
    this.marks = { points: [], curves: [] };
    this.onPick = null;
    this.pending = 0;
    this.leave = new AbortController();
    Object.assign(this, START);
    this.#prepare();
    this.#listen();
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(canvas);
  }

  /** @param {Mesh} mesh as in mesh.js */
  show(mesh) {
    this.mesh = mesh;
    const [low, high] = [[Infinity, Infinity, Infinity], [-Infinity, -Infinity, -Infinity]];
    mesh.positions.forEach((value, i) => {
      low[i % 3] = Math.min(low[i % 3], value);
      high[i % 3] = Math.max(high[i % 3], value);
    });
    this.middle = scale(add(low, high), 0.5);
    this.reach = Math.hypot(...subtract(high, low)) / 2 || 1;
    this.#upload();
    this.draw();
  }

  /**
   * Points and curves on the surface.
   * @param {number[][]} points
   * @param {{points: number[][], closed: boolean}[]} curves
   */
  mark(points, curves) {
    this.marks = { points, curves };
    this.#uploadMarks();
    this.draw();
  }

  /** @param {number} right @param {number} up radians by which the head is turned */
  turn(right, up) {
    this.yaw -= right;
    this.pitch = Math.min(1.5, Math.max(-1.5, this.pitch + up));
    this.draw();
  }

  /** @param {number} factor more than 1: farther away */
  move(factor) {
    this.far = Math.min(FARTHEST, Math.max(NEAREST, this.far * factor));
    this.draw();
  }

  /** As it was in the beginning. */
  reset() {
    Object.assign(this, START);
    this.draw();
  }

  /**
   * What lies under a place of the canvas.
   * @param {number} x @param {number} y CSS pixels from the canvas's upper left corner
   * @returns {{point: number[], normal: number[]} | null}
   */
  at(x, y) {
    if (!this.mesh) return null;
    const { eye, right, up, back } = this.#camera();
    const tan = Math.tan(FIELD_OF_VIEW / 2);
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const across = ((2 * x) / width - 1) * tan * this.#wide(width / height);
    const upward = (1 - (2 * y) / height) * tan * this.#high(width / height);
    return firstHit(this.mesh, eye, subtract(add(scale(right, across), scale(up, upward)), back));
  }

  /** Draw in the next frame. */
  draw() {
    this.pending ||= requestAnimationFrame(() => {
      this.pending = 0;
      this.#paint();
    });
  }

  /** Stop listening and let the graphics memory go. */
  close() {
    cancelAnimationFrame(this.pending);
    this.leave.abort();
    this.sizes.disconnect();
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
    this.mesh = null;
  }

  // The shorter side of the canvas sees FIELD_OF_VIEW.
  #wide(aspect) {
    return Math.max(1, aspect);
  }

  #high(aspect) {
    return Math.max(1, 1 / aspect);
  }

  #camera() {
    const back = [
      Math.sin(this.yaw) * Math.cos(this.pitch), Math.sin(this.pitch), Math.cos(this.yaw) * Math.cos(this.pitch),
    ];
    const right = unit(cross([0, 1, 0], back));
    const up = cross(back, right);
    return { eye: add(this.middle, scale(back, this.far * this.reach)), right, up, back };
  }

  #prepare() {
    const { gl } = this;
    const program = (vertex, fragment) => {
      const made = gl.createProgram();
      for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
        const shader = gl.createShader(kind);
        gl.shaderSource(shader, source);
        gl.compileShader(shader);
        gl.attachShader(made, shader);
      }
      gl.linkProgram(made);
      return made;
    };
    this.surface = program(SURFACE_VERTEX, SURFACE_FRAGMENT);
    this.lines = program(LINE_VERTEX, FLAT_FRAGMENT);
    this.dots = program(DOT_VERTEX, FLAT_FRAGMENT);
    this.shapes = {};
    gl.enable(gl.DEPTH_TEST);
  }

  /** A vertex array of float attributes {name: [components, values]}, all in buffers of their own. */
  #shape(program, attributes, indices) {
    const { gl } = this;
    const array = gl.createVertexArray();
    const buffers = [];
    const fill = (target, values) => {
      const buffer = gl.createBuffer();
      buffers.push(buffer);
      gl.bindBuffer(target, buffer);
      gl.bufferData(target, values, gl.STATIC_DRAW);
    };
    gl.bindVertexArray(array);
    for (const [name, [components, values]] of Object.entries(attributes)) {
      fill(gl.ARRAY_BUFFER, values);
      const place = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, components, gl.FLOAT, false, 0, 0);
    }
    if (indices) fill(gl.ELEMENT_ARRAY_BUFFER, indices);
    gl.bindVertexArray(null);
    const drop = () => {
      buffers.forEach((buffer) => gl.deleteBuffer(buffer));
      gl.deleteVertexArray(array);
    };
    const first = Object.values(attributes)[0];
    return { array, count: indices?.length ?? first[1].length / first[0], drop };
  }

  #replace(name, program, attributes, indices) {
    this.shapes[name]?.drop();
    this.shapes[name] = this.#shape(program, attributes, indices);
  }

  #upload() {
    const positions = new Float32Array(this.mesh.positions.length);
    this.mesh.positions.forEach((value, i) => { positions[i] = value - this.middle[i % 3]; });
    const attributes = { position: [3, positions], normal: [3, this.mesh.normals] };
    this.#replace("surface", this.surface, attributes, this.mesh.faces);
    this.#uploadMarks();
  }

  #uploadMarks() {
    if (!this.mesh) return;
    const near = (point) => subtract(point, this.middle);
    const [from, to, corner] = [[], [], []];
    for (const { points, closed } of this.marks.curves) {
      for (let i = 0; i < points.length - (closed ? 0 : 1); i++) {
        const [a, b] = [near(points[i]), near(points[(i + 1) % points.length])];
        for (const place of [[0, -1], [1, -1], [1, 1], [0, -1], [1, 1], [0, 1]]) {
          from.push(...a);
          to.push(...b);
          corner.push(...place);
        }
      }
    }
    const floats = (values) => new Float32Array(values);
    this.#replace("lines", this.lines, { from: [3, floats(from)], to: [3, floats(to)], corner: [2, floats(corner)] });
    this.#replace("dots", this.dots, { position: [3, floats(this.marks.points.flatMap(near))] });
  }

  #paint() {
    const { gl, canvas } = this;
    if (!this.mesh || gl.isContextLost() || !canvas.clientWidth) return;
    const ratio = Math.min(2, devicePixelRatio || 1);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((size) => Math.round(size * ratio));
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const { eye, right, up, back } = this.#camera();
    const from = subtract(eye, this.middle);
    const view = [
      right[0], up[0], back[0], 0, right[1], up[1], back[1], 0, right[2], up[2], back[2], 0,
      -dot(right, from), -dot(up, from), -dot(back, from), 1,
    ];
    const [aspect, cot] = [width / height, 1 / Math.tan(FIELD_OF_VIEW / 2)];
    const [near, far] = [Math.max(0.02, this.far - 1.5) * this.reach, (this.far + 1.5) * this.reach];
    const projection = [
      cot / this.#wide(aspect), 0, 0, 0, 0, cot / this.#high(aspect), 0, 0,
      0, 0, (far + near) / (near - far), -1, 0, 0, (2 * far * near) / (near - far), 0,
    ];
    const begin = (program) => {
      gl.useProgram(program);
      gl.uniformMatrix4fv(gl.getUniformLocation(program, "view"), false, view);
      gl.uniformMatrix4fv(gl.getUniformLocation(program, "projection"), false, projection);
      gl.uniform3fv(gl.getUniformLocation(program, "tint"), TINT);
    };
    begin(this.surface);
    gl.bindVertexArray(this.shapes.surface.array);
    gl.drawElements(gl.TRIANGLES, this.shapes.surface.count, gl.UNSIGNED_INT, 0);
    begin(this.lines);
    gl.uniform2f(gl.getUniformLocation(this.lines, "size"), width, height);
    gl.uniform1f(gl.getUniformLocation(this.lines, "width"), 3 * ratio);
    gl.bindVertexArray(this.shapes.lines.array);
    gl.drawArrays(gl.TRIANGLES, 0, this.shapes.lines.count);
    begin(this.dots);
    gl.uniform1i(gl.getUniformLocation(this.dots, "round"), 1);
    gl.uniform1f(gl.getUniformLocation(this.dots, "width"), 14 * ratio);
    gl.bindVertexArray(this.shapes.dots.array);
    gl.drawArrays(gl.POINTS, 0, this.shapes.dots.count);
    gl.bindVertexArray(null);
  }

  #listen() {
    const { canvas } = this;
    const { signal } = this.leave;
    const on = (name, does, options) => canvas.addEventListener(name, does, { signal, ...options });
    const held = new Map();
    let path = 0;
    on("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      held.set(event.pointerId, [event.clientX, event.clientY]);
      if (held.size === 1) path = 0;
    });
    on("pointermove", (event) => {
      const before = held.get(event.pointerId);
      if (!before) return;
      const now = [event.clientX, event.clientY];
      const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
      const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
      path += Math.hypot(dx, dy);
      held.set(event.pointerId, now);
      if (other) {
        const gap = (point) => Math.max(8, Math.hypot(point[0] - other[0], point[1] - other[1]));
        this.move(gap(before) / gap(now));
      } else {
        const turn = 4 / Math.min(canvas.clientWidth, canvas.clientHeight);
        this.turn(dx * turn, dy * turn);
      }
    });
    on("pointerup", (event) => {
      const alone = held.size === 1 && held.delete(event.pointerId);
      held.delete(event.pointerId);
      if (alone && path < 5) this.#pick(event.offsetX, event.offsetY);
    });
    on("pointercancel", (event) => held.delete(event.pointerId));
    on("wheel", (event) => {
      event.preventDefault();
      this.move(Math.exp(Math.sign(event.deltaY) * Math.min(0.3, Math.abs(event.deltaY) / 500)));
    }, { passive: false });
    const keys = {
      ArrowLeft: () => this.turn(-STEP, 0), ArrowRight: () => this.turn(STEP, 0),
      ArrowUp: () => this.turn(0, -STEP), ArrowDown: () => this.turn(0, STEP),
      "+": () => this.move(0.85), "=": () => this.move(0.85), "-": () => this.move(1 / 0.85), Home: () => this.reset(),
      Enter: () => this.#pick(canvas.clientWidth / 2, canvas.clientHeight / 2),
    };
    on("keydown", (event) => {
      if (!Object.hasOwn(keys, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    on("webglcontextlost", (event) => event.preventDefault());
    on("webglcontextrestored", () => {
      this.#prepare();
      if (this.mesh) this.#upload();
      this.draw();
    });
  }

  #pick(x, y) {
    const hit = this.at(x, y);
    if (hit) this.onPick?.(hit);
  }
}
