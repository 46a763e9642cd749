// A photo as it is sent and as it is kept: scaled down where it is huge, upright in any case.

const LONGER_SIDE = 2048; // pixels; of what is larger, a phone would send for minutes
const SHORTER_SIDE = 512; // that a long strip keeps; networks look at less
const THUMBNAIL_SIDE = 192;
const QUALITY = 0.92; // of JPEG

// `sent` is a Blob, `thumbnail` one too, or null where this browser cannot show such a file: the
// service may read it all the same. Rejects when the file cannot be read.
export async function prepare(file) {
  const original = new Blob([await file.arrayBuffer()], { type: file.type });
  const name = file.name || "photo";
  const bitmap = await decode(original);
  if (!bitmap) return { name, sent: original, thumbnail: null };
  const share = shrinking(bitmap.width, bitmap.height);
  const sent = share < 1 ? await draw(bitmap, share) : original;
  const small = THUMBNAIL_SIDE / Math.max(bitmap.width, bitmap.height);
  const thumbnail = await draw(bitmap, Math.min(1, small));
  bitmap.close();
  return { name, sent: sent ?? original, thumbnail };
}

function shrinking(width, height) {
  const longer = LONGER_SIDE / Math.max(width, height);
  return Math.min(1, Math.max(longer, SHORTER_SIDE / Math.min(width, height)));
}

async function decode(blob) {
  try {
    return await createImageBitmap(blob, { imageOrientation: "from-image" });
  } catch {
    return null;
  }
}

// Null where the browser has no memory for it.
function draw(bitmap, share) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * share));
  canvas.height = Math.max(1, Math.round(bitmap.height * share));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // behind transparent pixels, as the service has it
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
}
