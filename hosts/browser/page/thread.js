// The worker, and the news of its loss.

/** Milliseconds between two questions whether it is there; two without an answer and it is lost. */
const PULSE = 5000;

export class Thread {
  #url;
  #hear;
  #worker;
  #ready = false;
  #unanswered = 0;

  /** `hear` has a function for every type of message, and `lost`. */
  constructor(url, hear) {
    this.#url = url;
    this.#hear = hear;
    setInterval(() => this.#ask(), PULSE);
    this.revive();
  }

  /** Whether messages are heard. */
  alive() {
    return this.#worker !== undefined && this.#ready;
  }

  /** Starts a new worker, which knows nothing of the old one. */
  revive() {
    this.#worker?.terminate();
    this.#ready = false;
    this.#unanswered = 0;
    const worker = new Worker(this.#url, { type: "module" });
    worker.onmessage = ({ data }) => {
      if (worker !== this.#worker) return;
      this.#unanswered = 0;
      this.#ready ||= data.type === "ready";
      this.#hear[data.type]?.(data);
    };
    worker.onerror = worker.onmessageerror = (event) => {
      event.preventDefault();
      if (worker === this.#worker) this.#lose();
    };
    this.#worker = worker;
  }

  post(message) {
    this.#worker?.postMessage(message);
  }

  #ask() {
    if (!this.#worker) return;
    if (this.#unanswered >= 2) return this.#lose();
    this.#unanswered += 1;
    this.post({ type: "ping" });
  }

  #lose() {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#hear.lost();
  }
}
