/**
 * Read COCO's compressed run lengths: each is a number of 5-bit groups, the lowest first, whose sixth bit tells that more
 * follow; from the fourth on it is the difference to the last but one. (cocoapi, common/maskApi.c, rleFrString)
 *
 * @param {string} counts
 * @returns {number[]} lengths down the columns, the first of background
 */
export function runs(counts) {
  const found = [];
  let value = 0;
  let shift = 0;
  for (let place = 0; place < counts.length; place += 1) {
    const code = counts.charCodeAt(place) - 48;
    value |= (code & 31) << shift;
    shift += 5;
    if (code & 32) continue;
    if (code & 16 && shift < 32) value |= -1 << shift;
    found.push(found.length > 2 ? value + found[found.length - 2] : value);
    value = 0;
    shift = 0;
  }
  return found;
}

/**
 * Draw the part of run lengths that has the object, scaled down so that the longer side of the whole has at most `limit`
 * pixels. Time and memory depend on the runs and the result, not on the size of the picture.
 *
 * @param {{segmentation: {size: number[], counts: string}, bbox: number[]}} mask
 * @param {number} limit
 * @returns {{left: number, top: number, width: number, height: number, across: number, down: number, bits: Uint8Array}}
 *   bits down the columns, of a part that begins at left and top; pixels drawn for each of the picture
 */
export function raster({ segmentation: { size: [rows, columns], counts }, bbox }, limit) {
  const scale = Math.min(1, limit / Math.max(rows, columns, 1));
  const across = Math.max(1, Math.round(columns * scale)) / columns;
  const down = Math.max(1, Math.round(rows * scale)) / rows;
  const left = Math.floor(bbox[0] * across);
  const top = Math.floor(bbox[1] * down);
  const width = Math.max(1, Math.ceil((bbox[0] + bbox[2]) * across) - left);
  const height = Math.max(1, Math.ceil((bbox[1] + bbox[3]) * down) - top);
  const drawn = new Int32Array(columns).fill(-1); // where a column of the picture is drawn, if it is
  for (let x = 0; x < width; x += 1) drawn[Math.min(columns - 1, Math.floor((x + left + 0.5) / across))] = x;
  const bits = new Uint8Array(width * height);
  let begin = 0;
  let inside = false;
  for (const length of runs(counts)) {
    for (let at = begin; inside && at < begin + length; ) {
      const column = Math.floor(at / rows);
      const end = Math.min(begin + length, (column + 1) * rows);
      const x = drawn[column];
      if (x >= 0) {
        const first = Math.max(0, Math.ceil((at - column * rows) * down - 0.5) - top);
        const last = Math.min(height, Math.ceil((end - column * rows) * down - 0.5) - top);
        if (last > first) bits.fill(1, x * height + first, x * height + last);
      }
      at = end;
    }
    begin += length;
    inside = !inside;
  }
  return { left, top, width, height, across, down, bits };
}
