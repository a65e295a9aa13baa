// The small volumes of a case, as viewer.py packs them. Voxel (0, 0, 0) is right, anterior, superior;
// x runs to the patient's left, y to posterior, z to inferior. Axis 0, 1, 2: a sagittal, coronal, axial slice.

const ACROSS = [1, 0, 0], DOWN = [2, 2, 1];

// Bytes from {data}: base64, deflated.
async function unpack({ data }) {
  const packed = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Values from their differences along x, then y, modulo 256; in place.
function sumUp(values, { shape: [nx, ny] }) {
  for (let start = 0; start < values.length; start += nx * ny) {
    const end = start + nx * ny;
    for (let at = start + nx; at < end; at++) values[at] += values[at - nx];
    for (let row = start; row < end; row += nx) {
      for (let at = row + 1; at < row + nx; at++) values[at] += values[at - 1];
    }
  }
  return values;
}

async function unpackImage(data) {
  const image = new Image();
  image.src = "data:image/webp;base64," + data;
  await image.decode();
  return image;
}

function blankCanvas(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

// One slice of a sprite of axial slices, a pixel a voxel. Only drawn, never read back: some browsers forbid that.
function cutImage(image, { shape: [nx, ny, nz], columns }, axis, index) {
  const canvas = blankCanvas(...[[ny, nz], [nx, nz], [nx, ny]][axis]);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  const left = (z) => (z % columns) * nx, top = (z) => Math.floor(z / columns) * ny;
  if (axis === 2) {
    context.drawImage(image, left(index), top(index), nx, ny, 0, 0, nx, ny);
    return canvas;
  }
  if (axis === 0) context.setTransform(0, 1, 1, 0, 0, 0); // a column of the axial slice becomes a row
  for (let z = 0; z < nz; z++) {
    if (axis === 1) context.drawImage(image, left(z), top(z) + index, nx, 1, 0, z, nx, 1);
    else context.drawImage(image, left(z) + index, top(z), 1, ny, z, 0, 1, ny);
  }
  return canvas;
}

// The cell of `grid` that a position in mm lies in, along one axis.
function cellAt(grid, axis, mm) {
  return Math.min(Math.max(Math.floor(mm / grid.spacing[axis]), 0), grid.shape[axis] - 1);
}

// A slice of bytes (or of one component of them) as {width, height, values}.
function cutBytes(bytes, [nx, ny, nz], axis, index, component = 0) {
  const size = [nx, ny, nz], steps = [1, nx, nx * ny];
  const width = size[ACROSS[axis]], height = size[DOWN[axis]];
  const values = new Uint8Array(width * height);
  const start = component * nx * ny * nz + index * steps[axis];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      values[row * width + column] = bytes[start + row * steps[DOWN[axis]] + column * steps[ACROSS[axis]]];
    }
  }
  return { width, height, values };
}
