// The live camera, where the browser has one: on localhost and over HTTPS.

const SENTENCES = {
  NotAllowedError: "Camera access is blocked. Allow it in the browser’s settings for this page.",
  NotFoundError: "No camera found on this device.",
  NotReadableError: "The camera is in use by another program.",
};
const FACING_MODES = ["environment", "user"]; // the rear camera first

export const isSupported = Boolean(navigator.mediaDevices?.getUserMedia);

export class Camera {
  constructor(video) {
    this.video = video;
    this.mode = 0;
    this.stream = null;
    this.session = 0; // counts opening and closing; a stream of an older session is stopped
  }

  // Resolves to whether there is a second camera. Throws an Error with a sentence.
  async open() {
    this.close();
    const session = this.session;
    const constraints = { facingMode: FACING_MODES[this.mode], width: { ideal: 1920 } };
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: constraints });
      if (session !== this.session) return stop(stream);
      this.stream = stream;
      this.video.srcObject = stream;
      await this.video.play();
    } catch (error) {
      if (session !== this.session) return false;
      this.close();
      throw new Error(SENTENCES[error.name] ?? "The camera doesn’t start.");
    }
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter((device) => device.kind === "videoinput").length > 1;
  }

  switchCamera() {
    this.mode = (this.mode + 1) % FACING_MODES.length;
    return this.open();
  }

  // The current frame as a JPEG file.
  async takePhoto() {
    const canvas = document.createElement("canvas");
    canvas.width = this.video.videoWidth;
    canvas.height = this.video.videoHeight;
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    const jpeg = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
    return new File([jpeg], "camera.jpg", { type: "image/jpeg" });
  }

  close() {
    if (this.stream) stop(this.stream);
    this.session += 1;
    this.stream = null;
    this.video.srcObject = null;
  }
}

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
  return false;
}
