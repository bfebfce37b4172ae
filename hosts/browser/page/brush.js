// A brush on a canvas, for pointers and for keys: every dab is a few points around it.

/** Points of a dab, and how far they spread, as a share of the canvas. */
const DAB = 8;
const SPREAD = 0.018;
/** How far a key moves the brush, and with shift. */
const STEP = 0.02;
const LEAP = 0.1;
/** Milliseconds between the dabs of a drag. */
const PACE = 25;

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/**
 * Puts a brush on a canvas. `page` tells the corners of what it shows, and is told of points painted or
 * taken back and of movements.
 */
export function brushOn(canvas, page) {
  /** As shares of the canvas, from the lower left. */
  let spot = [0.5, 0.5];
  let shown = false;
  let last = 0;

  const at = ([across, up]) => {
    const [left, bottom, right, top] = page.corners();
    return [left + across * (right - left), bottom + up * (top - bottom)];
  };
  const dab = () => {
    const added = Array.from({ length: DAB }, () => at(spot.map((share) => share + SPREAD * normal())));
    page.paint(added.flat());
  };
  const follow = (event) => {
    const box = canvas.getBoundingClientRect();
    spot = [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    follow(event);
    last = event.timeStamp;
    dab();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId) || event.timeStamp - last < PACE) return;
    follow(event);
    last = event.timeStamp;
    dab();
  });
  canvas.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (arrow) {
      const size = event.shiftKey ? LEAP : STEP;
      spot = spot.map((share, i) => Math.min(1, Math.max(0, share + size * arrow[i])));
      page.moving(...at(spot));
    } else if (event.key === " ") dab();
    else if (event.key === "Backspace" || event.key === "Delete") page.undo();
    else return;
    event.preventDefault();
    page.moved();
  });
  // A brush for keys only is in the way of a pointer.
  canvas.addEventListener("focus", () => {
    shown = canvas.matches(":focus-visible");
    page.moved();
  });
  canvas.addEventListener("blur", () => {
    shown = false;
    page.moved();
  });
  return { at: () => (shown ? at(spot) : undefined) };
}

/** A standard normal by Box and Muller. */
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
