// Prepares a photo for sending and storing: huge ones are scaled down, all are upright.

const LONGER_SIDE = 2048; // pixels; a phone would take minutes to send larger ones
const SHORTER_SIDE = 512; // minimum for long strips; networks see less than that
const THUMBNAIL_SIDE = 192;
const JPEG_QUALITY = 0.92;

// `sent` is a Blob, smaller than the file if `isScaled`; `thumbnail` a Blob, or null if this browser
// cannot decode the file, which the service may still be able to. Rejects if the file cannot be read.
export async function prepare(file) {
  const original = new Blob([await file.arrayBuffer()], { type: file.type });
  const name = file.name || "photo";
  const bitmap = await decode(original);
  if (!bitmap) return { name, sent: original, isScaled: false, thumbnail: null };
  const scale = scaleFor(bitmap.width, bitmap.height);
  const sent = scale < 1 ? await encode(bitmap, scale) : original;
  const thumbnailScale = THUMBNAIL_SIDE / Math.max(bitmap.width, bitmap.height);
  const thumbnail = await encode(bitmap, Math.min(1, thumbnailScale));
  bitmap.close();
  return { name, sent: sent ?? original, isScaled: Boolean(sent) && scale < 1, thumbnail };
}

function scaleFor(width, height) {
  const scale = LONGER_SIDE / Math.max(width, height);
  return Math.min(1, Math.max(scale, SHORTER_SIDE / Math.min(width, height)));
}

async function decode(blob) {
  try {
    return await createImageBitmap(blob, { imageOrientation: "from-image" });
  } catch {
    return null;
  }
}

// A JPEG, or null if the browser has no memory for it.
function encode(bitmap, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // behind transparent pixels, as in the service
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
}
