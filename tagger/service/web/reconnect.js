// Polls a service that does not answer, with growing pauses, while the page is visible.

const FIRST_PAUSE = 2_000; // milliseconds
const MAX_PAUSE = 30_000;

export class Reconnect {
  // `check` looks for the service, and calls `schedule` if it is still missing.
  constructor(check) {
    this.check = check;
    this.pause = FIRST_PAUSE;
    this.timer = null;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.timer) this.checkNow();
    });
  }

  schedule() {
    if (this.timer) return;
    this.timer = setTimeout(() => document.hidden || this.checkNow(), this.pause);
    this.pause = Math.min(2 * this.pause, MAX_PAUSE);
  }

  checkNow() {
    clearTimeout(this.timer);
    this.timer = null;
    return this.check();
  }

  // After an answer; the next pause is short again.
  reset() {
    clearTimeout(this.timer);
    this.timer = null;
    this.pause = FIRST_PAUSE;
  }
}
