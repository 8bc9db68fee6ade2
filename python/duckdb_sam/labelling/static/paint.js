import { raster } from "./rle.js";

/** Colours of objects, told apart by eyes of all kinds; those of the first ones are the farthest apart. */
export const COLOURS = [
  [0, 140, 220], [230, 126, 0], [214, 60, 140], [0, 158, 115], [240, 200, 40],
  [130, 90, 220], [86, 200, 233], [200, 70, 40], [120, 180, 60], [160, 120, 90],
];

/** @param {number} number of an object, from 1 on; tables of others may have 0 and less */
export function colour(number) {
  const count = COLOURS.length;
  return COLOURS[(((number - 1) % count) + count) % count];
}

/**
 * Paint a mask: its inside tinted, its outline solid.
 *
 * @param {any} mask the record of sam_annotate
 * @param {number[]} rgb
 * @param {number} limit of the longer side in pixels
 * @param {boolean} strong whether it is the one that is being worked on
 * @returns {{canvas: HTMLCanvasElement, area: number[]}} with where it is in the picture: left, top, width, height in pixels
 */
export function paint(mask, rgb, limit, strong) {
  const { left, top, width, height, across, down, bits } = raster(mask, limit);
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const tint = pack(rgb, strong ? 110 : 70);
  const line = pack(rgb, strong ? 255 : 190);
  for (let x = 0; x < width; x += 1) {
    const column = x * height;
    for (let y = 0; y < height; y += 1) {
      const at = column + y;
      if (!bits[at]) continue;
      const within =
        x > 0 && x < width - 1 && y > 0 && y < height - 1 &&
        bits[at - 1] && bits[at + 1] && bits[at - height] && bits[at + height];
      pixels[y * width + x] = within ? tint : line;
    }
  }
  context.putImageData(image, 0, 0);
  return { canvas, area: [left / across, top / down, width / across, height / down] };
}

/** @param {number[]} rgb @param {number} alpha */
function pack([red, green, blue], alpha) {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0; // all browsers' machines have the lowest byte first
}
