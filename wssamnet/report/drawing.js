// Draws one slice of a case: images compared, log det J over them, the grid, and landmarks as SVG above.

const LESS = [66, 135, 215], MORE = [226, 88, 62], FOLD = [255, 0, 200], PEN = [120, 226, 255];
const GRID_MM = 9, NEAR_MM = 4, SQUARE_MM = 18, WORST_MM = 10;
const SVG = "http://www.w3.org/2000/svg";

// Green for none to red for WORST_MM and more, by way of yellow.
function errorColour(error) {
  if (error === null) return "#9aa4ad";
  const stops = [[64, 214, 160], [255, 210, 63], [255, 84, 104]];
  const place = Math.min(error / WORST_MM, 1) * 2, low = Math.min(Math.floor(place), 1);
  return `rgb(${stops[low].map((value, i) => Math.round(value + (stops[low + 1][i] - value) * (place - low))).join(" ")})`;
}

function drawImages(context, show, first, second, options) {
  const { width, height } = context.canvas;
  const put = (picture) => picture && context.drawImage(picture, 0, 0, width, height);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  put(first);
  if (show === "difference") context.globalCompositeOperation = "difference";
  if (show === "swipe" || show === "checkerboard") {
    context.beginPath();
    const square = SQUARE_MM * options.scale, split = options.split * width;
    if (show === "swipe") context.rect(split, 0, width - split, height);
    for (let row = 0; show === "checkerboard" && row * square < height; row++) {
      for (let column = row % 2; column * square < width; column += 2) {
        context.rect(column * square, row * square, square, square);
      }
    }
    context.clip();
  }
  put(second);
}

// The colours of log det J: clear where the volume keeps, stronger towards half and double; folding on top.
function drawJacobian(context, slice, { folded, no_change, per_doubling }) {
  const { width, height } = context.canvas;
  for (const pass of ["change", "fold"]) {
    const small = blankCanvas(slice.width, slice.height);
    const pixels = new ImageData(slice.width, slice.height);
    slice.values.forEach((code, i) => {
      const octaves = (code - no_change) / per_doubling, fold = code === folded;
      if (code === 0 || fold !== (pass === "fold")) return;
      const colour = fold ? FOLD : octaves < 0 ? LESS : MORE;
      pixels.data.set([...colour, 255 * (fold ? 0.9 : Math.min(Math.abs(octaves), 1) * 0.8)], 4 * i);
    });
    small.getContext("2d").putImageData(pixels, 0, 0);
    context.imageSmoothingEnabled = pass === "change";
    context.drawImage(small, 0, 0, width, height);
  }
}

// The moving scan's straight grid as it comes to lie in the fixed scan: lines where x + u(x) is a multiple of GRID_MM.
function drawGrid(context, along, across, unit, extent) {
  const { width, height } = context.canvas;
  const pixels = new ImageData(width, height);
  const mm = [extent[0] / width, extent[1] / height];
  const signed = (value) => (value > 127 ? value - 256 : value) * unit;
  [along, across].forEach((slice, direction) => {
    const mapped = new Float32Array(width * height);
    for (let y = 0; y < height; y++) {
      const v = Math.min(Math.max(((y + 0.5) / height) * slice.height - 0.5, 0), slice.height - 1);
      const top = Math.min(Math.floor(v), Math.max(slice.height - 2, 0)), fv = v - top;
      const below = Math.min(top + 1, slice.height - 1);
      for (let x = 0; x < width; x++) {
        const h = Math.min(Math.max(((x + 0.5) / width) * slice.width - 0.5, 0), slice.width - 1);
        const left = Math.min(Math.floor(h), Math.max(slice.width - 2, 0)), fh = h - left;
        const right = Math.min(left + 1, slice.width - 1);
        const at = (row, column) => signed(slice.values[row * slice.width + column]);
        const u = (at(top, left) * (1 - fh) + at(top, right) * fh) * (1 - fv) +
          (at(below, left) * (1 - fh) + at(below, right) * fh) * fv;
        mapped[y * width + x] = (direction ? (y + 0.5) * mm[1] : (x + 0.5) * mm[0]) + u;
      }
    }
    for (let y = 0; y < height - 1; y++) {
      for (let x = 0; x < width - 1; x++) {
        const i = y * width + x;
        const slope = Math.hypot(mapped[i + 1] - mapped[i], mapped[i + width] - mapped[i]);
        const phase = mapped[i] / GRID_MM + 0.5;
        const away = (Math.abs(phase - Math.floor(phase) - 0.5) * GRID_MM) / Math.max(slope, 1e-3);
        const ink = 200 * Math.min(Math.max(1.1 - away, 0), 1);
        if (ink > pixels.data[4 * i + 3]) pixels.data.set([...PEN, ink], 4 * i);
      }
    }
  });
  const layer = blankCanvas(width, height);
  layer.getContext("2d").putImageData(pixels, 0, 0);
  context.drawImage(layer, 0, 0);
}

function shape(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Landmarks near a slice, each with the way it is still off: a ring in the fixed scan, a bead where it was brought.
// `unit` is the mm that a thin line takes.
function landmarkShapes(marks, axis, position, unit) {
  return marks.filter((mark) => Math.abs(mark.fixed[axis] - position) <= NEAR_MM).map((mark) => {
    const place = (point) => [point[ACROSS[axis]], point[DOWN[axis]]];
    const [x, y] = place(mark.fixed), colour = errorColour(mark.error);
    const group = shape("g", { class: "mark" + (mark.chosen ? " chosen" : ""), "data-landmark": mark.id });
    group.append(shape("title", {}, mark.words));
    if (mark.found) {
      const [u, v] = place(mark.found);
      group.append(shape("path", { d: `M${x} ${y}L${u} ${v}`, stroke: colour, "stroke-width": unit }));
      group.append(shape("circle", { cx: u, cy: v, r: 2 * unit, fill: colour, stroke: "#000", "stroke-width": unit / 2 }));
    }
    group.append(shape("circle", { cx: x, cy: y, r: 3.4 * unit, class: "halo", "stroke-width": 2 * unit }));
    group.append(shape("circle", { cx: x, cy: y, r: 3.4 * unit, class: "place", "stroke-width": (mark.chosen ? 1.6 : 0.9) * unit }));
    if (mark.chosen) group.append(shape("text", { x: x + 5 * unit, y: y - 4 * unit, "font-size": 9 * unit }, mark.label));
    return group;
  });
}
