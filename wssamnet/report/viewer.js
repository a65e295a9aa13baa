// The viewer of a case: built when the case is opened, taken away when it is closed.

const PLANE_NAMES = ["sagittal", "coronal", "axial"], SIDES = [["A", "S"], ["R", "S"], ["R", "A"]];
const DIRECTIONS = [["L", "R"], ["P", "A"], ["S", "I"]]; // of positive and negative LPS mm
const SHOWS = ["fixed", "moving", "warped", "swipe", "flicker", "checkerboard", "difference"];
const BEFORE = "before registration";
const FLICKER_MS = 700, LONGEST_PIXELS = 640;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
// what was chosen last is kept from case to case
const chosen = { method: null, show: "warped", landmarks: true, grid: false, jacobian: false, split: 0.5 };

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

const mm = (value) => (value === null || value === undefined ? "?" : value.toFixed(2)) + " mm";

class Viewer {
  constructor(details, content) {
    this.details = details;
    this.content = content;
    this.prefix = details.id;
    this.parts = new Map(); // what has been unpacked, by method
    this.size = content.shape.map((count, axis) => count * content.spacing[axis]);
    this.position = this.size.map((extent) => extent / 2);
    this.landmark = null;
    this.turn = false; // of the flicker: whether the fixed scan is up
    this.methods = [{ name: BEFORE, image: content.moving, warped: content.landmarks.moving, after: content.landmarks.before },
      ...content.methods];
    if (!this.methods.some(({ name }) => name === chosen.method)) chosen.method = this.methods.at(-1).name;
  }

  get method() {
    return this.methods.find(({ name }) => name === chosen.method);
  }

  async open() {
    this.fixed = await unpackImage(this.content.fixed);
    this.moving = await unpackImage(this.content.moving);
    if (this.closed) return;
    this.root = element("div", { class: "viewer", onkeydown: (event) => this.key(event) }, this.controls(),
      element("div", { class: "panes" }, ...[2, 1, 0].map((axis) => this.pane(axis))), this.legend(), this.list());
    this.details.append(this.root);
    this.details.classList.add("live");
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.root);
    this.timer = setInterval(() => {
      if (chosen.show !== "flicker" || document.hidden || calm.matches) return;
      this.turn = !this.turn;
      this.draw();
    }, FLICKER_MS);
    const furthest = this.marks().reduce((worst, mark) => (mark.before > (worst?.before ?? -1) ? mark : worst), null);
    if (furthest) this.position = [...furthest.fixed];
    await this.choose({});
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    this.watch?.disconnect();
    this.root?.remove();
    this.details.classList.remove("live");
  }

  // Take over choices, unpack what they need, and draw.
  async choose(choices) {
    Object.assign(chosen, choices);
    const method = this.method;
    if (!this.parts.has(method)) {
      const part = { image: method.name === BEFORE ? this.moving : await unpackImage(method.image) };
      if (method.jacobian) {
        part.jacobian = await unpack(method.jacobian);
        part.displacement = sumUp(await unpack(method.displacement), method.displacement);
      }
      this.parts.set(method, part);
    }
    if (this.closed) return;
    for (const control of this.root.querySelectorAll("[data-needs=field]")) control.disabled = !method.jacobian;
    this.root.querySelector(".split").hidden = chosen.show !== "swipe";
    this.fillList();
    this.draw();
  }

  marks() {
    const { ids = [], fixed, before } = this.content.landmarks, { warped, after } = this.method;
    return ids.map((id, i) => {
      const error = after[i] ?? null;
      const still = this.method.name === BEFORE;
      return { id, fixed: fixed[i], found: warped[i], before: before[i], error, chosen: id === this.landmark,
        label: still ? mm(before[i]) : `${mm(before[i])} → ${mm(error)}`,
        words: `landmark ${id}: ${mm(before[i])} before` + (still ? "" : `, ${mm(error)} after`) };
    });
  }

  controls() {
    const name = (part) => `${this.prefix}-${part}`;
    const radio = (show) => element("label", {}, element("input", { type: "radio", name: name("show"), value: show,
      checked: chosen.show === show, onchange: () => this.choose({ show }) }), element("span", {}, show));
    const box = (key, words, needs) => element("label", {}, element("input", { type: "checkbox", name: name(key), "data-needs": needs,
      checked: chosen[key], onchange: (event) => this.choose({ [key]: event.target.checked }) }), element("span", {}, words));
    const select = element("select", { id: name("method"), onchange: (event) => this.choose({ method: event.target.value }) },
      ...this.methods.map((method) => element("option", { value: method.name, selected: method.name === chosen.method }, method.name)));
    const step = (words, way) => element("button", { type: "button", onclick: () => this.neighbour(way) }, words);
    return element("div", { class: "controls" },
      element("label", { class: "method" }, "Method ", select),
      element("div", { class: "choice", role: "radiogroup", "aria-label": "What is shown" }, ...SHOWS.map(radio)),
      element("div", { class: "choice", role: "group", "aria-label": "What is drawn over it" },
        box("landmarks", "landmarks", ""), box("grid", "grid", "field"), box("jacobian", "log det J", "field")),
      element("label", { class: "split" }, "Swipe ", element("input", { type: "range", min: "0", max: "1", step: "0.01", value: String(chosen.split),
        "aria-label": "Where the fixed scan ends and the warped one begins", oninput: (event) => this.choose({ split: Number(event.target.value) }) })),
      element("div", { class: "steps" }, step("← previous case", -1), step("next case →", 1)));
  }

  pane(axis) {
    const width = this.size[ACROSS[axis]], height = this.size[DOWN[axis]];
    const canvas = element("canvas", { role: "img" });
    const overlay = shape("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    const slider = element("input", { type: "range", min: "0", max: String(this.content.shape[axis] - 1), step: "1",
      "aria-label": `${PLANE_NAMES[axis]} slice`, oninput: (event) => {
        this.position[axis] = (Number(event.target.value) + 0.5) * this.content.spacing[axis];
        this.draw();
      } });
    const stage = element("div", { class: "stage", style: `aspect-ratio: ${width} / ${height}`, onpointerdown: (event) => this.point(axis, event),
      onpointermove: (event) => event.buttons && chosen.show === "swipe" && this.point(axis, event) }, canvas, overlay);
    return element("figure", { class: "pane", "data-plane": PLANE_NAMES[axis], style: `flex: ${(width / height).toFixed(3)} 1 0` },
      element("figcaption", {}), stage, slider);
  }

  // A pointer on a plane: it moves the other two planes there, or the edge of the swipe.
  point(axis, event) {
    if (event.target.closest(".mark")) {
      this.goTo(Number(event.target.closest(".mark").dataset.landmark));
      return;
    }
    const box = event.currentTarget.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    if (chosen.show === "swipe") {
      this.root.querySelector(".split input").value = x;
      this.choose({ split: x });
      return;
    }
    this.position[ACROSS[axis]] = x * this.size[ACROSS[axis]];
    this.position[DOWN[axis]] = y * this.size[DOWN[axis]];
    this.draw();
  }

  key(event) {
    if (event.key.toLowerCase() !== "f" || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    event.preventDefault();
    if (chosen.show === "flicker") {
      this.turn = !this.turn;
      this.draw();
      return;
    }
    const show = chosen.show === "fixed" ? "warped" : "fixed";
    this.root.querySelector(`input[value=${show}]`).checked = true;
    this.choose({ show });
  }

  neighbour(way) {
    const cases = [...document.querySelectorAll("details.case")];
    const next = cases[(cases.indexOf(this.details) + way + cases.length) % cases.length];
    this.details.open = next === this.details;
    openCase(next);
    next.querySelector("summary").focus();
  }

  goTo(id) {
    this.landmark = this.landmark === id ? null : id;
    const mark = this.marks().find((one) => one.id === id);
    this.position = [...mark.fixed];
    this.fillList();
    this.draw();
  }

  legend() {
    const scale = element("span", { class: "scale", style: `background: linear-gradient(90deg, ${[0, 5, 10].map(errorColour).join(", ")})` });
    return element("p", { class: "keys" },
      element("span", { class: "key" }, element("span", { class: "ring" }), "landmark in the fixed scan"),
      element("span", { class: "key" }, element("span", { class: "bead" }), "where it was brought"),
      element("span", { class: "key" }, "0", scale, `${WORST_MM} mm error and more`),
      element("span", { class: "key" }, "½", element("span", { class: "ramp" }), "2 det J"),
      element("span", { class: "key" }, element("span", { class: "fold" }), "folding"),
      element("output", { class: "here" }),
      element("span", {}, "Click: the other planes go there. Arrow keys move a slider, F changes between fixed and warped."));
  }

  list() {
    return element("details", { class: "landmarks", open: false }, element("summary"), element("ul"));
  }

  fillList() {
    const marks = this.marks().sort((a, b) => (b.error ?? Infinity) - (a.error ?? Infinity));
    const list = this.root.querySelector(".landmarks");
    list.hidden = !marks.length;
    list.querySelector("summary").textContent = `${marks.length} landmarks ${this.method.name === BEFORE ? "" : "by "}${this.method.name}, the largest error first`;
    list.querySelector("ul").replaceChildren(...marks.map((mark) => element("li", {}, element("button", { type: "button",
      "aria-pressed": String(mark.chosen), "aria-label": mark.words, onclick: (event) => {
        this.goTo(mark.id);
        this.root.querySelector(`button[data-landmark="${mark.id}"]`)?.focus();
        event.preventDefault();
      }, "data-landmark": String(mark.id) },
      element("span", { class: "dot", style: `background: ${errorColour(mark.error)}` }), `${mark.id}: ${mark.label}`))));
  }

  draw() {
    const part = this.parts.get(this.method);
    if (!part || !this.root.isConnected) return;
    for (const pane of this.root.querySelectorAll(".pane")) this.drawPane(pane, PLANE_NAMES.indexOf(pane.dataset.plane), part);
    this.root.querySelector(".here").textContent = this.changeHere(part);
  }

  // What det J is where the three planes meet.
  changeHere({ jacobian }) {
    if (!jacobian) return "";
    const grid = this.method.jacobian, { folded, no_change, per_doubling } = this.content.codes;
    const [x, y, z] = this.position.map((place, axis) => cellAt(grid, axis, place));
    const code = jacobian[(z * grid.shape[1] + y) * grid.shape[0] + x];
    if (code === 0) return "";
    return `det J here: ${code === folded ? "folds" : (2 ** ((code - no_change) / per_doubling)).toFixed(2)}`;
  }

  drawPane(pane, axis, part) {
    const canvas = pane.querySelector("canvas"), stage = pane.querySelector(".stage"), place = this.position[axis];
    const extent = [this.size[ACROSS[axis]], this.size[DOWN[axis]]];
    const index = cellAt(this.content, axis, place);
    const width = Math.min(Math.round(stage.clientWidth * Math.min(devicePixelRatio, 2)), LONGEST_PIXELS);
    if (!width) return;
    canvas.width = width;
    canvas.height = Math.round((width * extent[1]) / extent[0]);
    const context = canvas.getContext("2d");
    const cut = (image) => cutImage(image, this.content, axis, index);
    const shows = { fixed: [this.fixed], moving: [this.moving], warped: [part.image], flicker: [this.turn ? this.fixed : part.image] };
    const [first, second] = (shows[chosen.show] ?? [this.fixed, part.image]).map(cut);
    context.save();
    drawImages(context, chosen.show, first, second, { split: chosen.split, scale: width / extent[0] });
    context.restore();
    if (chosen.jacobian && part.jacobian) {
      const grid = this.method.jacobian;
      drawJacobian(context, cutBytes(part.jacobian, grid.shape, axis, cellAt(grid, axis, place)), this.content.codes);
    }
    if (chosen.grid && part.displacement) {
      const grid = this.method.displacement, at = cellAt(grid, axis, place);
      const slices = [ACROSS[axis], DOWN[axis]].map((way) => cutBytes(part.displacement, grid.shape, axis, at, way));
      drawGrid(context, ...slices, grid.scale, extent);
    }
    const up = chosen.show === "flicker" ? (this.turn ? "fixed" : "warped") : chosen.show;
    this.label(pane, axis, index, up);
    const unit = Math.max(...this.size) / 190;
    const marks = chosen.landmarks ? landmarkShapes(this.marks(), axis, place, unit) : [];
    pane.querySelector("svg").replaceChildren(...this.frame(axis, extent, unit), ...marks);
  }

  // The sides' letters, ticks where the other two planes lie, and the edge of the swipe.
  frame(axis, [width, height], unit) {
    const [left, up] = SIDES[axis], x = this.position[ACROSS[axis]], y = this.position[DOWN[axis]], long = 5 * unit;
    const tick = `M${x} 0v${long}M${x} ${height}v${-long}M0 ${y}h${long}M${width} ${y}h${-long}`;
    const letter = (text, at) => shape("text", { class: "side", "font-size": 9 * unit, ...at }, text);
    const edge = shape("path", { class: "edge", "stroke-width": 0.8 * unit, d: `M${chosen.split * width} 0V${height}` });
    return [shape("path", { class: "tick", "stroke-width": unit, d: tick }), ...(chosen.show === "swipe" ? [edge] : []),
      letter(left, { x: 3 * unit, y: height / 2 - 5 * unit }), letter(up, { x: width / 2 + 4 * unit, y: 9 * unit })];
  }

  label(pane, axis, index, up) {
    const { to_lps: rows } = this.content;
    // the coordinate of the slice where the planes meet: of an oblique scan it changes along the slice
    const value = rows[axis].slice(0, 3).reduce((sum, factor, i) => sum + factor * this.position[i], rows[axis][3]);
    const side = DIRECTIONS[axis][value >= 0 ? 0 : 1], where = `${PLANE_NAMES[axis]} ${Math.abs(value).toFixed(1)} mm ${side}`;
    const slider = pane.querySelector("input[type=range]"), count = this.content.shape[axis];
    slider.value = index;
    slider.setAttribute("aria-valuetext", `${index + 1} of ${count}, ${where}`);
    pane.querySelector("figcaption").replaceChildren(element("b", {}, where), element("span", {}, `${index + 1} of ${count}`), element("span", { class: "up" }, up));
    pane.querySelector("canvas").setAttribute("aria-label", `${this.details.dataset.case}, ${this.method.name}, ${up}, ${where}`);
  }
}
