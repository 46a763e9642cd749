// Looks for a service that did not answer, after growing pauses, and only while the page is seen.

const FIRST = 2_000; // milliseconds
const LONGEST = 30_000;

export class Lookout {
  // `look` goes there and starts the next round, if need be.
  constructor(look) {
    this.look = look;
    this.pause = FIRST;
    this.timer = null;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.timer) this.go();
    });
  }

  start() {
    if (this.timer) return;
    this.timer = setTimeout(() => document.hidden || this.go(), this.pause);
    this.pause = Math.min(2 * this.pause, LONGEST);
  }

  go() {
    clearTimeout(this.timer);
    this.timer = null;
    return this.look();
  }

  // There was an answer: the next time begins with a short pause.
  rest() {
    clearTimeout(this.timer);
    this.timer = null;
    this.pause = FIRST;
  }
}
