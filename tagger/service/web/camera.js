// The live camera, where the browser has one: on localhost and over HTTPS.

const SENTENCES = {
  NotAllowedError: "The browser was not allowed to use the camera: allow it in its settings for this page.",
  NotFoundError: "No camera was found on this device.",
  NotReadableError: "The camera is in use by another program.",
};
const SIDES = ["environment", "user"]; // away from the person first

export const isThere = Boolean(navigator.mediaDevices?.getUserMedia);

export class Camera {
  constructor(video) {
    this.video = video;
    this.side = 0;
    this.stream = null;
    this.turns = 0; // opened or closed so often: a camera that comes too late is let go
  }

  // Whether there is another camera to turn to. Throws an Error with a sentence.
  async open() {
    this.close();
    const turn = this.turns;
    const wanted = { facingMode: SIDES[this.side], width: { ideal: 1920 } };
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
      if (turn !== this.turns) return release(stream);
      this.stream = stream;
      this.video.srcObject = stream;
      await this.video.play();
    } catch (error) {
      if (turn !== this.turns) return false;
      this.close();
      throw new Error(SENTENCES[error.name] ?? "The camera does not start.");
    }
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter((device) => device.kind === "videoinput").length > 1;
  }

  turn() {
    this.side = (this.side + 1) % SIDES.length;
    return this.open();
  }

  // What it sees now, as a JPEG file.
  async take() {
    const canvas = document.createElement("canvas");
    canvas.width = this.video.videoWidth;
    canvas.height = this.video.videoHeight;
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    const jpeg = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
    return new File([jpeg], "camera.jpg", { type: "image/jpeg" });
  }

  close() {
    if (this.stream) release(this.stream);
    this.turns += 1;
    this.stream = null;
    this.video.srcObject = null;
  }
}

function release(stream) {
  for (const track of stream.getTracks()) track.stop();
  return false;
}
